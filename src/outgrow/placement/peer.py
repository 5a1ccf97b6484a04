"""Who speaks at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import pwd
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

_CREDENTIALS = struct.Struct("3i")  # process, user and group, when it connected


@dataclass(frozen=True)
class Peer:
    """A process that connected.

    Attributes:
        pid: Its process id; 0 where the system does not tell.
        name: Its user, for people: `anna (uid 1000)`.
    """

    pid: int
    name: str


def peer_of(sock: socket.socket | TransportSocket) -> Peer:
    """Who has connected to this Unix socket."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return Peer(0, "this machine")  # not Linux
    told = sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(told)
    return Peer(pid, user_name(uid))


def user_name(uid: int) -> str:
    """A user by name and number; in a container there may be no name."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
