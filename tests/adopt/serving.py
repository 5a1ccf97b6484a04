"""One server process on one app: started, waited for, stopped, and nothing left of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

ServerName = Literal["outgrow", "uvicorn"]
SERVERS: tuple[ServerName, ...] = ("outgrow", "uvicorn")

ROOT = Path(__file__).resolve().parents[2]
ADOPT = ROOT / "examples" / "adopt"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
FOREIGN_SETTINGS = ("FORWARDED_ALLOW_IPS", "PORT", "WEB_CONCURRENCY", "PYTHONWARNINGS")
START_SECONDS = 30.0
SAID_SECONDS = 10.0
STOP_SECONDS = 15.0
GONE_SECONDS = 5.0

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server.

    Attributes:
        address: Such as `http://127.0.0.1:1234`.
        pid: The process that runs the app.
        supervisor_pid: The process that was started; the same, where one process does all.
        folder: Its state and its log.
    """

    server: ServerName
    address: str
    pid: int
    supervisor_pid: int
    folder: Path

    @property
    def ws_address(self) -> str:
        """The address for WebSocket."""
        return self.address.replace("http://", "ws://")

    def log(self) -> str:
        """All it has said so far."""
        return (self.folder / "server.log").read_text(errors="replace")

    def says(self, text: str) -> bool:
        """Whether it has said this, or does within a while: a supervisor passes on line by line."""
        end = time.monotonic() + SAID_SECONDS
        while text not in self.log():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def client(self, **options: Any) -> httpx.Client:
        """A browser of its own: it keeps cookies."""
        return httpx.Client(base_url=self.address, timeout=60, trust_env=False, **options)


@contextmanager
def served(
    app: str,
    *,
    server: ServerName,
    cwd: Path,
    folder: Path,
    interface: Literal["asgi", "wsgi"] = "asgi",
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Served]:
    """Start a server on an app, wait until it answers, and stop it at the end.

    Args:
        app: Import string, found in `cwd`.
        server: Which server.
        cwd: The app's own folder, where its user would stand.
        folder: A folder for state and log.
        interface: What the app speaks; Outgrow is not told, it must find out.
        workers: Number of workers.
        environment: More environment variables.
        options: More words of the command line.
    """
    mark = f"adopt-{uuid.uuid4().hex}"
    folder.mkdir(parents=True, exist_ok=True)
    words = [*_command(app, server, folder, interface, workers), *options]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=_environment(mark, environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield _running(process, server, folder)
    finally:
        _stop(process, mark, folder)


def wait_for(
    look: Callable[[], Found | None], what: str, seconds: float, *, then: Callable[[], str] = str
) -> Found:
    """The first true thing that `look` finds; fails with `what` and `then()` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"no {what} within {seconds:g} s\n{then()}")
        time.sleep(0.02)


def control_status(folder: Path) -> dict[str, Any] | None:
    """Outgrow's status from its control socket; None while there is none."""
    try:
        transport = httpx.HTTPTransport(uds=str(folder / "state" / "control.sock"))
        with httpx.Client(transport=transport, timeout=5) as client:
            return client.get("http://control/status").json()
    except (httpx.HTTPError, ValueError):
        return None


def marked(mark: str) -> dict[int, str]:
    """Processes that carry this text in their environment, with their commands; no zombies."""
    found: dict[int, str] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:
                    found[int(place.name)] = command.strip()
        except OSError:
            continue
    return found


def _command(app: str, server: ServerName, folder: Path, interface: str, workers: int) -> list[str]:
    words = [sys.executable, "-m", server]
    if server == "outgrow":
        words += ["run", app, "--folder", str(folder / "state")]
    else:
        words += [app, "--interface", "wsgi" if interface == "wsgi" else "auto"]
    return [*words, "--host", "127.0.0.1", "--port", "0", "--workers", str(workers)]


def _environment(mark: str, more: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in FOREIGN_SETTINGS and not name.startswith("OUTGROW_")
    }
    return {**kept, "ADOPT_MARK": mark, "OUTGROW_OBSERVE": "never", **more}


def _running(process: subprocess.Popen[bytes], server: ServerName, folder: Path) -> Served:
    log = folder / "server.log"

    def said() -> str:
        return log.read_text(errors="replace")

    def address() -> str | None:
        assert process.poll() is None, f"{server} ended by itself:\n{said()}"
        match = ADDRESS.search(said())
        return match[0] if match else None

    found = wait_for(address, "address in the log", START_SECONDS, then=said)
    # uvicorn with several workers says its address before any of them listens.
    wait_for(lambda: _accepts(found), "accepted connection", START_SECONDS, then=said)
    pid = process.pid
    if server == "outgrow":
        pid = wait_for(lambda: _worker_pid(folder), "ready worker", START_SECONDS, then=said)
    return Served(server=server, address=found, pid=pid, supervisor_pid=process.pid, folder=folder)


def _accepts(address: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1).close()
    except OSError:
        return False
    return True


def _worker_pid(folder: Path) -> int | None:
    status = control_status(folder)
    ready = [each["pid"] for each in (status or {}).get("workers", []) if each["state"] == "ready"]
    return ready[0] if ready else None


def _stop(process: subprocess.Popen[bytes], mark: str, folder: Path) -> None:
    was_running = process.poll() is None
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
        wait_for(lambda: not marked(mark), "end of every process", GONE_SECONDS)
    except (subprocess.TimeoutExpired, AssertionError):
        left = marked(mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
        log = (folder / "server.log").read_text(errors="replace")
        raise AssertionError(f"it did not stop; left were {left}\n{log}") from None
    assert was_running, f"it ended before the test did, with {process.returncode}"
