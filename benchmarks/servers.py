"""The contenders: how each is started, found ready and stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import cost

APPS = Path(__file__).parent / "apps"
START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A server and its settings.

    Attributes:
        name: What the table calls it.
        command: Builds the words after `python -m` from app, port and number of workers.
    """

    name: str
    command: Callable[[str, int, int], list[str]]


@dataclass
class Server:
    """A running contender.

    Attributes:
        name: The contender's name.
        port: Where it listens, on 127.0.0.1.
        process: The first process; its descendants belong to it.
        folder: Its working folder, empty at the start.
        started_at: Just before it was spawned, on `time.perf_counter()`.
    """

    name: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    started_at: float = field(default_factory=time.perf_counter)

    def answers(self, path: str = "/pid") -> int | None:
        """The process id in the answer on a new connection; None if nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as wire:
                request = f"GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
                wire.sendall(request.encode())
                answer = b"".join(iter(lambda: wire.recv(65536), b""))
        except OSError:
            return None
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            return None
        return int(body) if body.isdigit() else 0

    def until_answering(self, path: str = "/pid") -> float:
        """Wait for the first answer; returns the seconds since the spawn."""
        while self.answers(path) is None:
            assert self.process.poll() is None, f"{self.name} ended:\n{self.output()}"
            waited = time.perf_counter() - self.started_at
            assert waited < START_SECONDS, f"{self.name} does not answer:\n{self.output()}"
            time.sleep(0.002)
        return time.perf_counter() - self.started_at

    def until_workers(self, count: int) -> set[int]:
        """Wait until so many workers have answered; returns their process ids."""
        seen: set[int] = set()
        limit = time.perf_counter() + START_SECONDS
        while len(seen) < count:
            assert time.perf_counter() < limit, f"{self.name}: {len(seen)} of {count} workers"
            if pid := self.answers():
                seen.add(pid)
        return seen

    def output(self) -> str:
        """The end of what it wrote."""
        return (self.folder / "output.log").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Stop it with all its processes."""
        members = cost.tree(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def serving(
    contender: Contender, app: str, *, workers: int = 1, app_folder: Path = APPS
) -> Iterator[Server]:
    """Start a contender in a folder of its own, without waiting for it; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        words = contender.command(app, port, workers)
        environment = _environment(app_folder)
        with (folder / "output.log").open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(contender.name, port, process, folder, began)
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def uvicorn(*, access_log: bool = False) -> Contender:
    """Uvicorn itself, with uvloop and httptools."""
    log = [] if access_log else ["--no-access-log"]

    def command(app: str, port: int, workers: int) -> list[str]:
        fast = ["--loop", "uvloop", "--http", "httptools"]
        many = ["--workers", str(workers)] if workers > 1 else []
        return ["uvicorn", app, "--port", str(port), *fast, *many, *log]

    return Contender(name="uvicorn" + " with access log" * access_log, command=command)


def gunicorn(*, preload: bool = False) -> Contender:
    """Gunicorn with the workers that uvicorn recommends for it."""
    early = ["--preload"] if preload else []

    def command(app: str, port: int, workers: int) -> list[str]:
        kind = ["-k", "uvicorn_worker.UvicornWorker", "-w", str(workers)]
        return ["gunicorn", app, "-b", f"127.0.0.1:{port}", *kind, *early]

    return Contender(name="gunicorn" + " --preload" * preload, command=command)


def granian(*, respawn: bool = False) -> Contender:
    """granian, whose HTTP side is Rust; it replaces a killed worker only if told to."""
    again = ["--respawn-failed-workers"] if respawn else []

    def command(app: str, port: int, workers: int) -> list[str]:
        return ["granian", app, "--interface", "asgi", "--port", str(port), *_many(workers), *again]

    return Contender(name="granian", command=command)


def outgrow(
    *options: str, access_log: bool = False, is_observed: bool = False, name: str = ""
) -> Contender:
    """Ours, counting every call.

    Args:
        options: Further ones of `outgrow run`.
        access_log: Whether it writes one.
        is_observed: Whether an observer keeps what happens beside it, as by default; its peers have
            nothing like it.
        name: What the table calls it; chosen by the others where empty.
    """
    log = [] if access_log else ["--no-access-log"]
    seen = ["--observe", "auto", "--page-port", "0"] if is_observed else ["--observe", "never"]
    name = name or "outgrow" + " with access log" * access_log + ", observed" * is_observed

    def command(app: str, port: int, workers: int) -> list[str]:
        many = _many(workers)
        return ["outgrow", "run", app, "--port", str(port), *many, *log, *seen, *options]

    return Contender(name=name, command=command)


def control_socket(server: Server) -> Path:
    """Where our supervisor answers."""
    return server.folder / ".outgrow" / "control.sock"


def ask_supervisor(server: Server, method: str, path: str, change: object = None) -> str:
    """One request to our supervisor's control socket; what it answers, once it is done."""
    connection = _UnixConnection(control_socket(server))
    body = None if change is None else json.dumps(change)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        return text
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("outgrow", timeout=START_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(START_SECONDS)
        self.sock.connect(str(self._path))


def _many(workers: int) -> list[str]:
    return ["--workers", str(workers)]


def _environment(app_folder: Path) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("OUTGROW_")}
    paths = [str(app_folder), os.environ.get("PYTHONPATH", "")]
    return {**ours, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
