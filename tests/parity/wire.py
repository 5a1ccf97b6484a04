"""A client that shows what is on the wire: raw requests, parsed answers, nothing smoothed over."""

from __future__ import annotations

import ast
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from .servers import Server

READ_SECONDS = 10.0
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """One HTTP response as it came."""

    status_line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.status_line.split(" ")[1])

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    def names(self) -> list[str]:
        """The names of the headers, in order."""
        return [name for name, _ in self.headers]

    def value(self) -> Any:
        """The Python literal in the body: probes answer with `repr`."""
        return ast.literal_eval(self.body.decode())

    def shape(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """All of it, with the date blanked."""
        headers = [
            (name, "..." if name.lower() == "date" else value) for name, value in self.headers
        ]
        return self.status_line, headers, self.body


class Connection:
    """One connection to a server, driven byte by byte."""

    def __init__(self, server: Server, context: ssl.SSLContext | None = None) -> None:
        unix = isinstance(server.address, str)
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.socket.settimeout(READ_SECONDS)
        self._unread = bytearray()
        try:
            self.socket.connect(server.address)
            if context is not None:
                self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(262_144)
        except ConnectionResetError:
            data = b""
        self._unread += data
        return bool(data)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes, or what came before the end."""
        while len(self._unread) < count and self._more():
            pass
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def until(self, marker: bytes) -> bytes:
        """The bytes up to and with the marker, or what came before the end."""
        while marker not in self._unread and self._more():
            pass
        end = self._unread.find(marker)
        return self.take(len(self._unread) if end < 0 else end + len(marker))

    def rest(self) -> bytes:
        """All bytes until the server closes."""
        while self._more():
            pass
        return self.take(len(self._unread))

    def is_closed(self) -> bool:
        """Whether the server closes without another byte."""
        return self.rest() == b""

    def answer(self, *, head: bool = False) -> Answer:
        """The next response, read by its own framing."""
        start = self.until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = start.rstrip("\r\n").split("\r\n")
        headers = [_split(line) for line in lines]
        answer = Answer(status_line, headers, b"")
        if not start or head or answer.status in (100, 101, 204, 304):
            return answer
        return Answer(status_line, headers, self._body(answer))

    def _body(self, answer: Answer) -> bytes:
        if answer.header("transfer-encoding") == "chunked":
            return b"".join(self.chunks())
        length = answer.header("content-length")
        return self.rest() if length is None else self.take(int(length))

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty for the last."""
        size = int(self.until(b"\r\n") or b"0", 16)
        data = self.take(size)
        self.until(b"\r\n")
        return data

    def chunks(self) -> list[bytes]:
        """The chunks of a body, without the last, empty one."""
        found: list[bytes] = []
        while data := self.chunk():
            found.append(data)
        return found


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip(" ")


def request(
    target: str = "/",
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    """The bytes of a request; a body brings its content-length."""
    lines = [f"{method} {target} HTTP/{version}", "Host: probe"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(
    server: Server,
    target: str = "/",
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes = b"",
    version: str = "1.1",
) -> Answer:
    """One request on a connection of its own."""
    with Connection(server) as connection:
        connection.send(request(target, method=method, headers=headers, body=body, version=version))
        return connection.answer(head=method == "HEAD")


def raw(server: Server, data: bytes) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    with Connection(server) as connection:
        connection.send(data)
        return connection.rest()


def notes(server: Server, key: str, count: int = 1) -> list[Any]:
    """What the app noted under a key, once there are so many notes."""
    return ask(server, f"/notes?key={key}&count={count}").value()


def open_gate(server: Server, key: str) -> None:
    """Let an app go on that waits at a gate."""
    assert ask(server, f"/open?key={key}").status == 200
