"""Where the observer hears workers: on a Unix socket, or on a port that speaks TLS.

Each connection is one worker's. What it says goes to the intake at once; where a report brings a
trace that other workers may hold parts of, those are asked for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import socket
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from outgrow.errors import AddressError
from outgrow.telemetry.records import REPORT_BYTES_MAX, Origin, Report, SpanRecord, Wanted
from outgrow.telemetry.reports import (
    PROTOCOL,
    FrameError,
    Hello,
    Refused,
    Welcome,
    frame_of,
    from_worker,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from pathlib import Path

    from outgrow.telemetry.reports import ToWorker

CONNECTIONS_MAX = 4096
HELLO_SECONDS = 10.0
WANTED_MAX = 1000
ASKED_MAX = 20_000
ASKED_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_WRITE_BYTES_MAX = 1024 * 1024
_BACKLOG = 1024
_SERVER, _CLIENT = 2, 3
_ASKED = "asked"
_logger = logging.getLogger(__name__)


class Intake(Protocol):
    """Takes what workers report; called on the loop of the server, one after the other."""

    def hear(self, origin: Origin) -> None:
        """A worker is there, or there again."""
        ...

    def take(self, origin: Origin, report: Report) -> None:
        """It has reported."""
        ...

    def left(self, origin: Origin) -> None:
        """Its connection has ended, after a last report or without one."""
        ...


class ReportServer:
    """Hears workers, on the loop in which it listens.

    Args:
        intake: Takes what they report. What it raises is logged, and the worker stays.
        token: What a worker has to show; empty where any may report.
        connections_max: More are refused.

    Attributes:
        refused: Connections that were refused, for whatever reason: a total.
        failed: Reports that the intake could not take: a total.
        reports: Reports that it took: a total.
    """

    def __init__(
        self, intake: Intake, *, token: str = "", connections_max: int = CONNECTIONS_MAX
    ) -> None:
        self.intake = intake
        self.refused = 0
        self.failed = 0
        self.reports = 0
        self._token = token
        self._connections_max = connections_max
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []
        self._open: set[_Connection] = set()
        self._workers: dict[str, _Connection] = {}
        self._asked: dict[bytes, float] = {}

    @property
    def origins(self) -> list[Origin]:
        """The workers that are connected now."""
        return [one.origin for one in self._workers.values() if one.origin is not None]

    async def listen(self, path: Path) -> None:
        """Hear workers at a Unix socket, which only this user can open.

        Raises:
            AddressError: The path is too long, or nobody can listen there.
        """
        sock = _bound(path)
        self._paths.append(path)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(self._connection, sock=sock, backlog=_BACKLOG)
        self._servers.append(server)

    async def listen_tls(self, host: str, port: int, context: ssl.SSLContext) -> int:
        """Hear workers of other machines; returns the port, for which 0 is any.

        Raises:
            AddressError: There is no token, or nobody can listen there.
        """
        if not self._token:
            raise AddressError(
                f"reports at {host}:{port} could come from anybody",
                hint="Give the observer a token",
            )
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._connection, host, port, ssl=context)
        except (OSError, OverflowError, UnicodeError) as problem:
            raise AddressError(f"reports cannot be heard at {host}:{port}: {problem}") from problem
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hear nobody any more; each worker that was connected has left."""
        for server in self._servers:
            server.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        gone = [connection.cut_off() for connection in list(self._open)]
        if gone:
            await asyncio.wait(gone, timeout=_CLOSE_SECONDS)

    def ask(self, trace_ids: Iterable[bytes], *, but: str = "") -> None:
        """Ask all workers for what they still have of traces.

        Args:
            trace_ids: Those that were asked for in the last seconds are left out.
            but: The epoch of a worker that has told all that it has.
        """
        fresh = self._fresh(trace_ids)
        for start in range(0, len(fresh), WANTED_MAX):
            frame = frame_of(Wanted(fresh[start : start + WANTED_MAX]))
            for epoch, connection in self._workers.items():
                if epoch != but:
                    connection.send(frame)

    def _fresh(self, trace_ids: Iterable[bytes]) -> list[bytes]:
        now = monotonic()
        asked = self._asked
        while asked and asked[first := next(iter(asked))] < now - ASKED_SECONDS:
            del asked[first]
        fresh = [one for one in dict.fromkeys(trace_ids) if one not in asked]
        del fresh[max(0, ASKED_MAX - len(asked)) :]
        asked.update(dict.fromkeys(fresh, now))
        return fresh

    # What connections say.

    def _connection(self) -> _Connection:
        return _Connection(self)

    def opened(self, connection: _Connection) -> str:
        """Count a connection; why it is refused, or nothing."""
        self._open.add(connection)
        is_full = len(self._open) > self._connections_max
        return f"{self._connections_max} workers report already" if is_full else ""

    def greeted(self, connection: _Connection, hello: Hello) -> Refused | None:
        """Know a worker by its first words; why it is refused, or nothing."""
        if hello.protocol != PROTOCOL:
            text = f"it speaks version {hello.protocol} of the protocol, the observer {PROTOCOL}"
            return Refused(text, "Run the same version of outgrow in both")
        if self._token and not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            return Refused("its token is not the observer's", "Give both the same token")
        before = self._workers.pop(hello.origin.epoch, None)
        if before is not None:
            before.origin = None  # the same worker, whose old connection has not been missed yet
            before.hang_up()
        self._workers[hello.origin.epoch] = connection
        self.intake.hear(hello.origin)
        return None

    def told(self, origin: Origin, report: Report) -> None:
        """Hand a report on, and ask the others for their parts of its traces."""
        try:
            self.intake.take(origin, report)
        except Exception:
            if not self.failed:
                _logger.exception("a report of %s could not be taken", origin.worker)
            self.failed += 1
        else:
            self.reports += 1
        if report.spans and len(self._workers) > 1:
            self.ask(_shared(report.spans), but=origin.epoch)

    def closed(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        origin = connection.origin
        if origin is not None:
            self._workers.pop(origin.epoch, None)
            self.intake.left(origin)


def _bound(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of an observer that was killed
        sock.bind(str(path))
        path.chmod(0o600)  # before `listen`, so that nobody can have come in
    except OSError as problem:
        sock.close()
        raise AddressError(f"reports cannot be heard at {path}: {problem}") from problem
    return sock


def _shared(spans: list[SpanRecord]) -> Iterable[bytes]:
    """Traces that other workers may have parts of, and that were not asked for from here."""
    for span in spans:
        if span.kept_for == _ASKED:
            continue
        is_calling = span.kind == _CLIENT and "db.system.name" not in span.attributes
        if is_calling or (span.kind == _SERVER and span.parent_id):
            yield span.trace_id


class _Connection(asyncio.Protocol):
    """One worker's connection.

    Attributes:
        origin: The worker; None before its first words, and once another has its place.
    """

    def __init__(self, server: ReportServer) -> None:
        self.origin: Origin | None = None
        self._server = server
        self._reader = from_worker()
        self._transport: asyncio.Transport | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._alarm = asyncio.get_running_loop().call_later(HELLO_SECONDS, self.hang_up)
        if why := self._server.opened(self):
            self._refuse(Refused(why))

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            for message in self._reader.read(data):
                if isinstance(message, Hello):
                    self._greet(message)
                elif self.origin is None:
                    self._refuse(Refused("it reports without a greeting"))
                else:
                    self._server.told(self.origin, message)
                if transport.is_closing():
                    return
        except FrameError as problem:
            self._refuse(Refused(f"it sent {problem}"))

    def _greet(self, hello: Hello) -> None:
        if self.origin is not None:
            return self._refuse(Refused("it greets twice"))
        refused = self._server.greeted(self, hello)
        if refused is not None:
            return self._refuse(refused)
        self.origin = hello.origin
        self._reader.bytes_max = REPORT_BYTES_MAX
        if self._alarm is not None:
            self._alarm.cancel()
        return self.send(frame_of(Welcome()))

    def _refuse(self, refused: Refused) -> None:
        self._server.refused += 1
        message: ToWorker = refused
        self.send(frame_of(message))
        self.hang_up()

    def send(self, frame: bytes) -> None:
        """Say something, unless the worker has long not listened."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() < _WRITE_BYTES_MAX:
            transport.write(frame)

    def hang_up(self) -> None:
        """Close the connection, once what was said is sent."""
        if self._transport is not None:
            self._transport.close()

    def cut_off(self) -> asyncio.Future[None]:
        """Close the connection now; what is done once it is closed."""
        if self._transport is not None:
            self._transport.abort()
        return self._gone

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._server.closed(self)
        self._gone.set_result(None)
