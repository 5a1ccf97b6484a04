"""Both servers as real processes, on real sockets.

A `Program` is one of the two, able to start launches; a `Server` is one that runs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import certificates
from .launches import Kind, Launch, Options, command, environment
from .output import Output

START_SECONDS = 20.0
STOP_SECONDS = 15.0
ADDRESS = re.compile(r"https?://[\w.\[\]:]+?:(\d+)")
OTHER_ADDRESS = re.compile(r"running on (unix )?socket|unix:|http://")


class NotServingError(Exception):
    """The server ended, or said nothing, before it served; holds its output."""


@dataclass(kw_only=True)
class Server:
    """A server process, where it listens and what it says."""

    kind: Kind
    process: subprocess.Popen[str]
    output: Output
    folder: Path
    address: tuple[str, int] | str

    def signal(self, number: int) -> None:
        """Send a signal to the main process."""
        self.process.send_signal(number)

    def exit_code(self, seconds: float = STOP_SECONDS) -> int | str:
        """How the process ended; words when it does not."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return "still running"
        self.output.wait_for_end()
        return code

    def record(self) -> list[str]:
        """The lines that the app appended to its record file."""
        path = self.folder / "record"
        return path.read_text().splitlines() if path.exists() else []


@dataclass(frozen=True)
class Ended:
    """A process that ended without serving."""

    code: int | str
    output: str


@dataclass(frozen=True)
class Program:
    """One of the two servers, before it is started.

    Attributes:
        kind: Which of them.
        spawned: The processes that were started, in order; those that ended as well.
    """

    kind: Kind
    spawned: list[Server] = field(default_factory=list["Server"], compare=False, repr=False)

    def spawn(self, wanted: Launch, **paths: str) -> Server:
        """Start the process and return at once; `paths` fill in further placeholders."""
        folder = Path(tempfile.mkdtemp(prefix="parity-"))
        for name, text in wanted.files:
            (folder / name).write_text(text)
        places = {"folder": str(folder), "certificates": str(certificates.folder()), **paths}
        options = filled(wanted, places)
        with listening(wanted, folder) as listener:
            place = listener.getsockname()
            if wanted.silent:
                options["port"] = str(place[1])
            if wanted.inherit:
                options["fd"] = str(listener.fileno())
            process = self._process(wanted, options, folder, listener)
            known = wanted.silent or wanted.inherit
            address = place if known else str(options.get("unix_socket", ""))
        server = Server(
            kind=self.kind,
            process=process,
            output=Output(process),
            folder=folder,
            address=address,
        )
        self.spawned.append(server)
        return server

    def _process(
        self, wanted: Launch, options: Options, folder: Path, listener: socket.socket
    ) -> subprocess.Popen[str]:
        if wanted.silent:
            listener.close()  # only its port was wanted
        return subprocess.Popen(
            command(self.kind, wanted.app, options),
            cwd=folder,
            env=environment(self.kind, wanted.environ, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=(listener.fileno(),) if wanted.inherit else (),
            start_new_session=True,
        )

    def start(self, wanted: Launch, **paths: str) -> Server:
        """Start the process and wait until it serves."""
        server = self.spawn(wanted, **paths)
        if wanted.silent:
            is_ready = until(lambda: accepts(server), START_SECONDS)
        else:
            pattern = OTHER_ADDRESS if server.address else ADDRESS
            match = server.output.wait_for(pattern, "stderr", START_SECONDS)
            is_ready = match is not None
            if match and not server.address:
                server.address = ("127.0.0.1", int(match[1]))
        if not is_ready:
            stop(server)
            raise NotServingError(server.output.text().strip())
        return server

    @contextmanager
    def running(self, wanted: Launch, **paths: str) -> Iterator[Server]:
        """A server for the time of the block."""
        server = self.start(wanted, **paths)
        try:
            yield server
        finally:
            stop(server)

    def ending(self, wanted: Launch, **paths: str) -> Ended:
        """Start a process that is expected to end by itself, and wait for that."""
        server = self.spawn(wanted, **paths)
        try:
            return Ended(server.exit_code(), server.output.text())
        finally:
            stop(server)


def filled(wanted: Launch, places: dict[str, str]) -> Options:
    """The launch's options, with their placeholders filled in."""
    return {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in wanted.options
    }


def listening(wanted: Launch, folder: Path) -> socket.socket:
    """A listening socket to inherit; for others, a bound one that shows a free port."""
    is_unix = wanted.inherit == "unix"
    listener = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
    listener.bind(str(folder / "inherited.sock") if is_unix else ("127.0.0.1", 0))
    if wanted.inherit:
        listener.listen(128)
    return listener


def accepts(server: Server) -> bool:
    """Whether somebody listens."""
    family = socket.AF_UNIX if isinstance(server.address, str) else socket.AF_INET
    with socket.socket(family) as client:
        return client.connect_ex(server.address) == 0


def stop(server: Server) -> None:
    """End the process: gracefully, or after a while with all it started."""
    if server.process.poll() is None:
        server.signal(signal.SIGTERM)
        try:
            server.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
    server.output.wait_for_end(1.0)
    shutil.rmtree(server.folder, ignore_errors=True)


class Servers:
    """The shared servers of one kind: each launch is started once."""

    def __init__(self, kind: Kind) -> None:
        self.program = Program(kind)
        self._running: dict[Launch, Server] = {}

    def get(self, wanted: Launch) -> Server:
        """The server of this launch, started at the first demand."""
        if wanted not in self._running:
            self._running[wanted] = self.program.start(wanted)
        return self._running[wanted]

    def close(self) -> None:
        """Stop them all, together."""
        for server in self._running.values():
            server.signal(signal.SIGTERM)
        for server in self._running.values():
            stop(server)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Ask a condition again and again until it holds; False when time ends first."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True
