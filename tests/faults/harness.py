"""Start, ask, break and stop an `outgrow run`, with every wait bounded."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from . import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).parent
LONG = os.environ.get("OUTGROW_FAULTS") == "long"
"""Whether the long form was asked for."""

START_SECONDS = 20.0
"""Longest that a start may take on a busy machine."""


class Worker(TypedDict):
    """The part of a worker's status that these tests read."""

    name: str
    group: str
    pid: int
    version: int
    state: str
    restarts: int
    up_seconds: float


class Event(TypedDict):
    """Something the supervisor noticed."""

    at: float
    text: str


class Group(TypedDict):
    """A group in the supervisor's status."""

    name: str
    runs: list[str]
    min: int
    max: int


class Status(TypedDict):
    """The part of the supervisor's status that these tests read."""

    state: str
    version: int
    pid: int
    restarts: int
    addresses: list[str]
    workers: list[Worker]
    groups: list[Group]
    events: list[Event]


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Wait for the condition, looking every 10 ms; returns how long it took in seconds.

    Raises:
        AssertionError: It did not come true in time; says what was waited for.
    """
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < seconds, f"waited {waited:.1f} s for {what}"
        time.sleep(0.01)
    return time.monotonic() - began


@dataclass
class Supervised:
    """One `outgrow run` under test.

    Attributes:
        process: What was started; the supervisor, unless a wrapper stands before it.
        workspace: Its working folder; the state folder `.outgrow` is inside.
        output: What it wrote to stdout and stderr.
        mark: Text in the environment of every process it starts.
        wrapped: `process` is a wrapper, and the supervisor its first child.
    """

    process: subprocess.Popen[bytes]
    workspace: Path
    output: Path
    mark: str
    wrapped: bool = False

    @classmethod
    def start(
        cls,
        workspace: Path,
        *options: str,
        app: str = "ledger_app:app",
        env: Mapping[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> Supervised:
        """Start it on a free port, without waiting."""
        mark = f"faults-{uuid.uuid4().hex}"
        output = workspace / f"output-{time.monotonic_ns()}.log"
        command = [*wrapper, sys.executable, "-m", "outgrow", "run", app, "--port", "0"]
        with output.open("wb") as sink:
            process = subprocess.Popen(
                [*command, *options],
                cwd=workspace,
                env=_environment(workspace, mark, env or {}),
                stdin=stdin,
                stdout=sink if stdout is None else stdout,
                stderr=sink,
                start_new_session=True,
            )
        return cls(process, workspace, output, mark, wrapped=bool(wrapper))

    def text(self) -> str:
        """All it has written so far."""
        return self.output.read_text(errors="replace")

    def until_ready(self, workers: int = 1, *, seconds: float = START_SECONDS) -> Supervised:
        """Wait until it has announced its address and so many workers are ready."""
        wait_until(self._announced_or_gone, seconds, f"the address in:\n{self.text()[-2000:]}")
        assert self.process.poll() is None, self.text()[-3000:]
        self.until_whole(workers, seconds=seconds)
        return self

    def until_whole(
        self, workers: int, *, without: tuple[int, ...] = (), seconds: float = START_SECONDS
    ) -> float:
        """Wait until just so many workers are ready, none of them `without`; in seconds.

        Workers that drain do not count: they have been replaced already.
        """

        def whole() -> bool:
            status = self.try_status()
            if status is None or status["state"] != "running":
                return False
            staying = [row for row in status["workers"] if row["state"] != "draining"]
            ready = all(row["state"] == "ready" for row in staying)
            kept = {row["pid"] for row in staying} & set(without)
            return ready and len(staying) == workers and not kept

        try:
            return wait_until(whole, seconds, f"{workers} ready workers")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.try_status()}\n{self.text()[-3000:]}") from None

    def until_drained(self, seconds: float) -> float:
        """Wait until no worker drains any more; in seconds."""
        return wait_until(
            lambda: not self.workers("draining"), seconds, f"the drain's end: {self.status()}"
        )

    @property
    def port(self) -> int:
        """The port it announced."""
        after = self.text().split("http://127.0.0.1:", 1)[1]
        digits = after.split()[0].strip("/ ),.\x1b")
        return int("".join(letter for letter in digits[:5] if letter.isdigit()))

    @property
    def pid(self) -> int:
        """The supervisor's own process id, as the kernel outside of its namespace knows it."""
        return processes.children(self.process.pid)[0] if self.wrapped else self.process.pid

    def status(self) -> Status:
        """The control socket's status."""
        status, body = self._ask("GET", "/status")
        assert status == 200, body
        return json.loads(body)

    def try_status(self) -> Status | None:
        """The status, or None while nobody answers."""
        try:
            return self.status()
        except (OSError, http.client.HTTPException):
            return None

    def workers(self, *states: str) -> list[int]:
        """Process ids of the workers in these states; of all workers without any."""
        found = [row for row in self.status()["workers"] if row["pid"]]  # 0: not yet forked
        return [row["pid"] for row in found if not states or row["state"] in states]

    def apply(self, **change: object) -> tuple[int, str]:
        """POST a change and wait for its end; returns the HTTP status and the progress lines."""
        return self._ask("POST", "/apply", json.dumps(change).encode())

    def reload(self) -> None:
        """Reload, and fail unless the progress ends well."""
        status, lines = self.apply(reload=True)
        assert status == 200, f"{status}\n{lines}"
        assert lines.strip(), "no line of progress"

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another verb of the command line in the same workspace."""
        return subprocess.run(
            [sys.executable, "-m", "outgrow", *words],
            cwd=self.workspace,
            env=_environment(self.workspace, self.mark, {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def get(self, target: str, *, method: str = "GET", seconds: float = 15.0) -> Any:
        """One request on a connection of its own; the JSON of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, target, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, f"{response.status} {body[:300]!r}"
            return json.loads(body)
        finally:
            connection.close()

    def send(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        os.kill(self.pid, number)

    def until_gone(self, seconds: float) -> float:
        """Wait until it and all that it started are gone; in seconds."""

        def gone() -> bool:
            self.process.poll()
            return not processes.marked(self.mark)

        try:
            return wait_until(gone, seconds, "all processes to be gone")
        except AssertionError as error:
            left = {pid: _command_line(pid) for pid in processes.marked(self.mark)}
            raise AssertionError(f"{error}: {left}\n{self.text()[-3000:]}") from None

    def stop(self) -> int:
        """Ask it to stop, wait until nothing is left of it, and return its exit code."""
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        self.until_gone(40)
        return self.process.wait(5)

    def discard(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        for pid in processes.marked(self.mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.until_gone(10)
        self.process.wait(5)

    def _announced_or_gone(self) -> bool:
        return self.process.poll() is not None or "http://127.0.0.1:" in self.text()

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
        connection = _UnixConnection(self.workspace / ".outgrow" / "control.sock")
        try:
            connection.request(method, path, body or None, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("outgrow", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def _environment(workspace: Path, mark: str, extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OUTGROW_") and name not in ("PORT", "WEB_CONCURRENCY")
    }
    paths = [str(workspace), str(HERE), str(HERE / "apps"), inherited.get("PYTHONPATH", "")]
    ours = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "LEDGER_FOLDER": str(workspace),
        "FAULTS_MARK": mark,
        "OUTGROW_OBSERVE": "never",
    }
    return {**inherited, **ours, **extra}


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return "?"
