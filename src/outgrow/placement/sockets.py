"""The listening sockets: made once, held until the end, lent to workers.

The supervisor holds them so that a connection waiting to be accepted survives the worker that would
have accepted it. TCP gets a socket for each worker (SO_REUSEPORT), since the kernel spreads
connections over sockets far more evenly than over processes that share one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.errors import AddressError, AddressInUseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.model import Settings

SOCKETS_MAX = 128


class Listeners:
    """The listening sockets of one supervisor.

    Attributes:
        sockets: All of them; their index is their number. They are never closed before the end.
        is_shared: One socket serves all workers (Unix socket, inherited, not Linux).
        address: As users write it, such as `http://127.0.0.1:8000`.

    Raises:
        AddressInUseError: Somebody else listens there.
        AddressError: The address cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._backlog = settings.backlog
        self._unix_path: Path | None = None
        scheme = "https" if settings.tls_certificate else "http"
        if settings.fd is not None:
            first, self.address = _inherited(settings.fd, scheme)
        elif settings.unix_socket:
            self._unix_path = Path(settings.unix_socket).absolute()
            first, self.address = _unix(self._unix_path), f"unix:{self._unix_path}"
        else:
            first = bound(settings.host, settings.port)
            self.address = f"{scheme}://{name_of(first)}"
        self.is_shared = first.family == socket.AF_UNIX or settings.fd is not None
        self.is_shared = self.is_shared or sys.platform != "linux"
        self._listen(first)
        self.sockets = [first]

    def grow(self, count: int) -> None:
        """Have at least so many sockets, where each worker can have its own."""
        while not self.is_shared and len(self.sockets) < min(count, SOCKETS_MAX):
            sock = socket.socket(self.sockets[0].family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _only_ipv6(sock)
            sock.bind(self.sockets[0].getsockname())
            self._listen(sock)
            self.sockets.append(sock)

    def _listen(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        try:
            sock.listen(self._backlog)
        except OSError as problem:
            raise AddressError(f"cannot listen on {self.address}: {problem.strerror}") from None

    def close(self) -> None:
        """Stop listening, and remove the Unix socket that was made."""
        for sock in self.sockets:
            sock.close()
        if self._unix_path is not None:
            with contextlib.suppress(OSError):
                self._unix_path.unlink()
            self._unix_path = None  # by now it may be another's


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address, not listening yet; port 0 takes any free one.

    Raises:
        AddressInUseError: Somebody else listens there.
        AddressError: The address cannot be used.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, OverflowError, UnicodeError) as problem:
        raise AddressError(f"`{host}:{port}` is no address: {problem}") from None
    family, _, _, _, address = found[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _only_ipv6(sock)
    try:
        sock.bind(address)
    except OSError as problem:
        sock.close()
        if problem.errno == errno.EADDRINUSE:
            raise AddressInUseError(f"port {port} of {host} is in use by another process") from None
        raise AddressError(f"cannot listen on {host}:{port}: {problem.strerror}") from None
    # Only now: asked for before `bind`, it would let us join another server's port unnoticed.
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return sock


def _only_ipv6(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def name_of(sock: socket.socket) -> str:
    """Host and port of a socket, as users write them."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unix(path: Path) -> socket.socket:
    from outgrow.placement.folder import short_path

    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as short:
            sock.bind(short)
        path.chmod(0o666)
    except OSError as problem:
        sock.close()
        raise AddressError(
            f"cannot listen on {path}: {problem.strerror}",
            hint="Its folder must exist and be yours",
        ) from None
    return sock


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; refuse anything else that is in the way."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressError(
            f"{path} exists and is no socket", hint="Name another path, or remove it"
        )
    from outgrow.placement.folder import short_path

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, short_path(path) as short:
        probe.setblocking(False)  # a full backlog must not hold us up
        try:
            probe.connect(short)
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # it lives, or is not ours to judge
    raise AddressInUseError(
        f"another process listens on {path}", hint="Stop it, or name another path"
    )


def _inherited(number: int, scheme: str) -> tuple[socket.socket, str]:
    try:
        sock = socket.socket(fileno=os.dup(number))
        name = sock.getsockname()
    except OSError as problem:
        raise AddressError(
            f"descriptor {number} is no socket: {problem.strerror}",
            hint="systemd passes sockets from descriptor 3 on",
        ) from None
    if isinstance(name, tuple):
        return sock, f"{scheme}://{name_of(sock)}"
    return sock, f"unix:{name}"


def share_out(
    count: int, owners: Mapping[str, set[int]], serving: Sequence[str]
) -> dict[str, set[int]]:
    """Which worker accepts from which sockets, so that shares are even and few sockets move.

    Args:
        count: How many sockets there are; each goes to exactly one worker.
        owners: Who has which now.
        serving: The workers among which to share; may be empty.

    Returns:
        For each serving worker its sockets; they differ by one at most.
    """
    if not serving:
        return {}
    shares = {name: sorted(owners.get(name, set[int]())) for name in serving}
    taken: set[int] = set()
    for sockets in shares.values():
        sockets[:] = [number for number in sockets if number < count and number not in taken]
        taken.update(sockets)
    free = [number for number in range(count) if number not in taken]
    most = -(-count // len(serving))
    for sockets in shares.values():
        while len(sockets) > most:
            free.append(sockets.pop())
    for number in free:
        min(shares.values(), key=len).append(number)
    while True:
        least, fullest = min(shares.values(), key=len), max(shares.values(), key=len)
        if len(fullest) - len(least) <= 1:
            return {name: set(sockets) for name, sockets in shares.items()}
        least.append(fullest.pop())
