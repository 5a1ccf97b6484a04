"""Where processes meet: Unix sockets on one machine, TCP between machines, there with TLS only."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from outgrow.errors import AddressError
from outgrow.wire.connection import HANDSHAKE_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.wire.connection import Connection

C = TypeVar("C", bound="Connection")

UNIX_PATH_BYTES_MAX = 107
_FORM = "Write it as `unix:PATH` or `tcp:HOST:PORT`"


class Meeting(msgspec.Struct, frozen=True):
    """An address that a process listens at.

    Attributes:
        kind: Which sockets.
        path: Of the socket, for `unix`.
        host: Name or number, for `tcp`.
        port: For `tcp`; 0 where any will do.
    """

    kind: Literal["unix", "tcp"]
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """As people write it."""
        return f"unix:{self.path}" if self.kind == "unix" else f"tcp:{self.host}:{self.port}"

    @property
    def is_near(self) -> bool:
        """Whether only processes of this machine can reach it."""
        if self.kind == "unix" or self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ip_address(self.host.strip("[]")).is_loopback
        return False


def meeting_of(text: str) -> Meeting:
    """The address that a text means, `unix:PATH` or `tcp:HOST:PORT`.

    Raises:
        AddressError: None of these.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        return Meeting("unix", path=rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) < 65_536:
        return Meeting("tcp", host=host, port=int(port))
    raise AddressError(f"`{text}` is no address for calls", hint=_FORM)


class Certificates(msgspec.Struct, frozen=True):
    """What a process shows the others, and whom it believes.

    Attributes:
        own: File with its certificate, and those that lead to the authority.
        key: File with the key to it.
        authority: File with the certificates that sign those of all others.
    """

    own: str
    key: str
    authority: str

    def context(self, side: Literal["caller", "callee"]) -> ssl.SSLContext:
        """TLS in which both sides show who they are.

        Raises:
            AddressError: A file cannot be read.
        """
        made = ssl.SSLContext(
            ssl.PROTOCOL_TLS_SERVER if side == "callee" else ssl.PROTOCOL_TLS_CLIENT
        )
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.verify_mode = ssl.CERT_REQUIRED
        try:
            made.load_cert_chain(self.own, self.key)
            made.load_verify_locations(self.authority)
        except (OSError, ssl.SSLError) as problem:
            raise AddressError(
                f"the certificates for calls cannot be read: {problem}",
                hint="Name files with a certificate, its key and the authority, all in PEM",
            ) from problem
        return made


def _context(
    meeting: Meeting, certificates: Certificates | None, side: Literal["caller", "callee"]
) -> ssl.SSLContext | None:
    if certificates is not None and meeting.kind == "tcp":
        return certificates.context(side)
    if not meeting.is_near:
        raise AddressError(
            f"calls at {meeting} would cross the network unprotected",
            hint="Give it certificates, or an address of this machine",
        )
    return None


async def connect(
    meeting: Meeting, make: Callable[[], C], certificates: Certificates | None = None
) -> C:
    """A connection to a process that listens there.

    Raises:
        AddressError: The address may not be used so.
        OSError: Nobody listens.
    """
    context = _context(meeting, certificates, "caller")
    made: list[C] = []

    def begun() -> C:
        made.append(make())
        return made[-1]

    try:
        return await _connected(meeting, begun, context)
    except BaseException:
        for each in made:  # uvloop tells a connection nothing when its maker is cancelled
            each.close()
        raise


async def _connected(meeting: Meeting, make: Callable[[], C], context: ssl.SSLContext | None) -> C:
    loop = asyncio.get_running_loop()
    if meeting.kind == "unix":
        _, made = await loop.create_unix_connection(make, meeting.path)
        return made
    host = meeting.host.strip("[]")
    name = host if context is not None else None
    _, made = await loop.create_connection(
        make,
        host,
        meeting.port,
        ssl=context,
        server_hostname=name,
        ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX if context is not None else None,
    )
    return made


async def listen(
    meeting: Meeting, make: Callable[[], Connection], certificates: Certificates | None = None
) -> asyncio.Server:
    """A server that gives each connection to what `make` makes.

    A Unix socket that is left over from a process that died is replaced; its folder, which keeps
    others out, must be there.

    Raises:
        AddressError: The address may not be used so, or cannot be listened at.
    """
    loop = asyncio.get_running_loop()
    context = _context(meeting, certificates, "callee")
    try:
        if meeting.kind == "unix":
            return await loop.create_unix_server(make, sock=_unix_socket(meeting))
        return await loop.create_server(
            make,
            meeting.host.strip("[]"),
            meeting.port,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX if context is not None else None,
        )
    except OSError as problem:
        raise AddressError(f"nobody can listen at {meeting}: {problem}") from problem


def _unix_socket(meeting: Meeting) -> socket.socket:
    path = Path(meeting.path)
    if len(bytes(path)) > UNIX_PATH_BYTES_MAX:
        raise AddressError(
            f"the path of {meeting} is over {UNIX_PATH_BYTES_MAX} bytes",
            hint="Choose a folder with a shorter path: `--folder`",
        )
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(meeting.path)
        path.chmod(0o600)  # before it listens: nobody else ever gets in
    except OSError:
        made.close()
        raise
    return made
