"""Sends requests to an app over kept connections: HTTP/1.1, as much of it as a load test needs."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 1024 * 1024
"""Of an answer's body no more is kept; all of it is read."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent.

    Attributes:
        path: With its query.
        body: JSON, as a rule.
        headers: `NAME: VALUE` each.
    """

    method: str
    path: str
    body: bytes = b""
    headers: tuple[str, ...] = ()

    def content(self, host: str, headers: Sequence[str]) -> bytes:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += ["User-Agent: outgrow-verify", *headers, *self.headers]
        if self.body:
            if not any(line.lower().startswith("content-type:") for line in lines):
                lines.append("Content-Type: application/json")
            lines.append(f"Content-Length: {len(self.body)}")
        elif self.method not in ("GET", "HEAD"):
            lines.append("Content-Length: 0")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True, kw_only=True)
class Received:
    """An answer.

    Attributes:
        headers: By name in small letters; the last one where several have it.
        body: Its first megabyte.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """What the body says.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(self.body)


_Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Sender:
    """Sends to one app.

    Attributes:
        address: Such as `http://127.0.0.1:8000` or `unix:/run/app.sock`.
        headers: `NAME: VALUE` each, sent along.
    """

    address: str
    headers: Sequence[str] = ()
    _idle: deque[_Wire] = field(default_factory=deque[_Wire])

    def __post_init__(self) -> None:
        """Refuse headers that would be another request.

        Raises:
            SettingValueError: One is no header.
        """
        for line in self.headers:
            if not is_header(line):
                raise SettingValueError(
                    "a `--header` has no `:`, or several lines", hint="Write NAME: VALUE"
                )

    @property
    def host(self) -> str:
        """As requests name it."""
        return urlsplit(self.address).netloc or "localhost"

    async def send(self, request: Request) -> Received:
        """Send a request; its answer.

        Raises:
            OSError: There is no connection, or it broke.
            EOFError: The answer ended too early.
        """
        wire = self._kept() or await self._open()
        is_kept = False
        try:
            reader, writer = wire
            writer.write(request.content(self.host, self.headers))
            answer, is_kept = await _answer(reader, request.method)
        except asyncio.LimitOverrunError as problem:
            raise OSError("the answer's head is too long") from problem
        finally:
            if is_kept:
                self._idle.append(wire)
            else:
                wire[1].close()
        return answer

    def _kept(self) -> _Wire | None:
        """A connection that is idle, and that the app has not closed meanwhile."""
        while self._idle:
            wire = self._idle.pop()
            if not (wire[0].at_eof() or wire[1].is_closing()):
                return wire
            wire[1].close()
        return None

    async def _open(self) -> _Wire:
        kind, _, path = self.address.partition(":")
        if kind == "unix":
            return await asyncio.open_unix_connection(path, limit=HEAD_BYTES_MAX)
        parts = urlsplit(self.address)
        host = parts.hostname or "127.0.0.1"
        context = None
        if parts.scheme == "https":
            # It is our own app, by its address: its certificate names another host.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = parts.port or (443 if context else 80)
        return await asyncio.open_connection(
            _EVERYWHERE.get(host, host), port, ssl=context, limit=HEAD_BYTES_MAX
        )

    def close(self) -> None:
        """Close what is open and idle."""
        while self._idle:
            self._idle.pop()[1].close()


def is_header(line: str) -> bool:
    """Whether it is one header and no more."""
    return ":" in line and not any(mark in line for mark in "\r\n")


async def _answer(reader: asyncio.StreamReader, method: str) -> tuple[Received, bool]:
    """An answer, and whether the connection stays."""
    status, headers = 100, dict[str, str]()
    while status < 200:  # 103 and its like come before the answer
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        words = head[0].split(" ", 2)
        if len(words) < 2 or not words[1].isdigit():
            raise OSError("the answer is not HTTP")
        status = int(words[1])
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    is_kept = "close" not in headers.get("connection", "").lower()
    body = bytearray()
    if method == "HEAD" or status in _WITHOUT_BODY:
        pass
    elif "chunked" in headers.get("transfer-encoding", "").lower():
        await _read_chunks(reader, body)
    elif "content-length" in headers:
        await _read(reader, int(headers["content-length"]), body)
    else:
        is_kept = False
        while part := await reader.read(HEAD_BYTES_MAX):
            _keep(part, body)
    return Received(status=status, headers=headers, body=bytes(body)), is_kept


async def _read_chunks(reader: asyncio.StreamReader, body: bytearray) -> None:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        await _read(reader, size, body)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass


async def _read(reader: asyncio.StreamReader, count: int, body: bytearray) -> None:
    while count > 0:
        part = await reader.read(min(count, HEAD_BYTES_MAX))
        if not part:
            raise EOFError("the answer ended too early")
        count -= len(part)
        _keep(part, body)


def _keep(part: bytes, body: bytearray) -> None:
    body += part[: max(BODY_BYTES_MAX - len(body), 0)]
