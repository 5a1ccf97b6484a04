"""The HTTP edge of one worker: uvicorn's protocols, with a coming and going of our own.

A worker is given listening sockets and has them taken away while it runs; it leaves without failing
a request. uvicorn's `Server` binds once and closes idle connections when it stops, so only its
configuration, protocols, lifespan and clock are used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from outgrow.errors import ServiceError, SettingValueError, StartupFailedError
from outgrow.host.app import LoadedApp, as_asgi
from outgrow.host.house import hosts_services, start_services, stop_services
from outgrow.host.places import lines_in, waiting_line
from outgrow.host.protocol import EdgeProtocol, EdgeState, protocol_for
from outgrow.host.tracing import web_socket_segment
from outgrow.telemetry import CallCounter, CountedWebSockets, keeper

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from outgrow.model import Settings

TICK_SECONDS = 0.1
CUT_OFF_SECONDS = 1.0
_ACCEPTED_AT_ONCE_MAX = 1024
_SWEEP_TICKS = 5
_logger = logging.getLogger("uvicorn.error")


class Edge:
    """Serves one app on sockets that come and go.

    Args:
        loaded: The app.
        settings: How to serve it.
        start: Starts the services that run here; all that the app asks for where None.
        has_app: Whether the app runs here, besides services.

    Attributes:
        state: What all connections share, the counted calls among it.
        ticked_at: When the loop last turned, on its own clock; in seconds.
    """

    def __init__(
        self,
        loaded: LoadedApp,
        settings: Settings,
        *,
        start: Callable[[], Awaitable[object]] | None = None,
        has_app: bool = True,
    ) -> None:
        app = as_asgi(loaded, settings.threads)
        counter = CallCounter(keeper)
        self.ticked_at = 0.0
        counted = CountedWebSockets(app, counter, web_socket_segment)
        self._config = _uvicorn_config(counted, settings, is_wsgi=loaded.interface == "wsgi")
        try:
            self._config.load()
        except (OSError, ssl.SSLError) as problem:
            raise SettingValueError(f"the TLS files cannot be used: {problem}") from None
        # Only the version in the scope depends on it: the app is adapted already.
        self._config.interface = loaded.interface
        self.state = EdgeState(settings, app, counter)
        self._server = uvicorn.Server(self._config)
        self.threads = settings.threads if loaded.interface == "wsgi" else 0
        self.state.has_threads = bool(self.threads)
        self._unread: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
        self._listening: dict[int, asyncio.Server] = {}
        self._opening: set[asyncio.Task[Any]] = set()
        self._lifespan: _Lifespan | None = None
        self._start_services = start or start_services
        self._has_app = has_app

    @property
    def requests_total(self) -> int:
        """Requests that ended, and WebSockets that closed."""
        return self.state.counter.calls

    @property
    def in_flight(self) -> int:
        """Requests begun and not ended, with the background work that they left."""
        return len(self._server.server_state.tasks)

    @property
    def connection_count(self) -> int:
        """Open connections, WebSockets included."""
        return len(self._server.server_state.connections)

    @property
    def waits_for(self) -> str:
        """Where the app's start-up waits: file, line and function; empty where unknown."""
        return self._lifespan.place() if self._lifespan is not None else ""

    async def start(self) -> None:
        """Run the app's start-up; where it fails, services that it uses are stopped again.

        Raises:
            StartupFailedError: It failed.
            ServiceError: A service that the app uses could not be started.
        """
        try:
            await self._start()
        except BaseException as problem:
            try:
                await stop_services()
            except ServiceError as another:
                problem.add_note(f"While what had started was stopped: {another}")
            raise

    async def _start(self) -> None:
        if hosts_services():
            self.state.hosts_services = True
            await self._start_services()
        await self._tick(0)
        self.state.note_lag(0.0)  # services may have come since it was made
        if self._config.lifespan == "off" or not self._has_app:
            return
        self._lifespan = _Lifespan(self._config)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise StartupFailedError(f"the app's start-up failed: {self._lifespan.problem()}")

    @property
    def _handshake_seconds(self) -> float | None:
        return self.state.settings.header_seconds if self._config.ssl else None

    async def listen(self, number: int, sock: socket.socket) -> None:
        """Accept connections from this socket from now on."""
        if number in self._listening:
            sock.close()
            return
        loop = asyncio.get_running_loop()

        def accepted() -> EdgeProtocol:
            if self.state.wait_ns_max:
                self._accept_waiting(sock, loop)
            return self._connection()

        self._listening[number] = await loop.create_server(
            accepted,
            sock=sock,
            ssl=self._config.ssl,
            ssl_handshake_timeout=self._handshake_seconds,
            backlog=self._config.backlog,
        )

    def _connection(self) -> EdgeProtocol:
        connection = protocol_for(self.state.settings)(
            config=self._config,
            server_state=self._server.server_state,
            app_state=self._lifespan.state if self._lifespan is not None else {},
            state=self.state,
        )
        self.state.arriving.add(connection)
        return connection

    def _accept_waiting(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Accept what waits behind a connection that was accepted.

        uvloop accepts one in each turn of the loop. While turns are long most clients would hear
        nothing, not even that they are refused.
        """
        for waiting in _waiting(sock):
            opening = loop.connect_accepted_socket(
                self._connection,
                waiting,
                ssl=self._config.ssl,
                ssl_handshake_timeout=self._handshake_seconds,
            )
            task = loop.create_task(_opened(opening))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def release(self, number: int) -> None:
        """Accept no more connections from this socket."""
        server = self._listening.pop(number, None)
        if server is not None:
            server.close()

    async def tick(self) -> None:
        """Keep the clock, the Date header and the limits, until cancelled."""
        count = 0
        while True:
            await self._tick(count)
            count += 1
            woken_at = perf_counter() + TICK_SECONDS  # the loop's own clock stands for a turn
            await asyncio.sleep(TICK_SECONDS)
            self.state.note_lag(perf_counter() - woken_at)

    async def _tick(self, count: int) -> None:
        self.ticked_at = asyncio.get_running_loop().time()
        self.state.now_seconds = self.ticked_at
        await self._server.on_tick(count % 10)
        if count % _SWEEP_TICKS == 0:
            now = self.ticked_at
            await _all_read()  # clients are not to blame if this loop stood still
            self.ticked_at = asyncio.get_running_loop().time()
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, EdgeProtocol):
                    connection.sweep(now)
                self._sweep_unread(connection)

    def _sweep_unread(self, connection: Any) -> None:
        """End a connection, of whatever kind, whose client has long read nothing."""
        size = connection.transport.get_write_buffer_size()
        if size == 0:
            if self._unread:
                self._unread.pop(connection, None)
            return
        known_size, since = self._unread.get(connection, (0, 0.0))
        if size != known_size:
            self._unread[connection] = (size, self.ticked_at)
        elif self.ticked_at - since > self.state.settings.write_idle_seconds:
            connection.transport.abort()

    async def drain(self, *, closes_idle: bool, seconds: float) -> None:
        """Accept no more, let everything finish for so long, then end it.

        Streams and WebSockets may go on for `seconds`; then WebSockets are closed with 1012 and
        responses are cut off. Where idle connections are closed, WebSockets are closed at once.
        """
        self.state.is_draining = True
        for number in list(self._listening):
            self.release(number)
        told = self._tell_to_leave(set(), closes_idle=closes_idle)
        await _all_read()  # what the kernel just handed over becomes known
        self._tell_to_leave(told, closes_idle=closes_idle)
        if await self._empties_within(seconds):
            return
        if self._close_web_sockets():
            await self._empties_within(CUT_OFF_SECONDS / 2)  # their apps hear of it and clean up
        self._cut_off()
        if not await self._empties_within(CUT_OFF_SECONDS):
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()

    def _tell_to_leave(self, told: set[Any], *, closes_idle: bool) -> set[Any]:
        connections: set[Any] = set(self._server.server_state.connections)
        for connection in connections - told:
            if isinstance(connection, EdgeProtocol):
                connection.leave(closes_idle=closes_idle)
            elif closes_idle:
                connection.shutdown()
        return connections

    async def _empties_within(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        state = self._server.server_state
        give_up = loop.time() + seconds
        while state.connections or state.tasks or self.state.arriving:
            if loop.time() > give_up:
                return False
            await asyncio.sleep(0.02)
        return True

    def _close_web_sockets(self) -> int:
        open_now: set[Any] = set(self._server.server_state.connections)
        sockets = [one for one in open_now if not isinstance(one, EdgeProtocol)]
        for connection in sockets:
            connection.shutdown()
        return len(sockets)

    def _cut_off(self) -> None:
        """Cancel what still runs: a request without a response gets a 500, others are cut off."""
        state = self._server.server_state
        if state.tasks:
            _logger.warning("cut off %d requests: the time to drain is over", len(state.tasks))
        for task in list(state.tasks):
            task.cancel(msg="the worker's time to drain is over")

    async def stop(self) -> None:
        """Run the app's shut-down."""
        try:
            if self._lifespan is not None:
                await self._lifespan.shutdown()
        finally:
            await stop_services()


def _waiting(sock: socket.socket) -> Iterator[socket.socket]:
    for _ in range(_ACCEPTED_AT_ONCE_MAX):
        try:
            connection, _ = sock.accept()
        except OSError:  # none waits, or there is no room for more
            return
        connection.setblocking(False)
        yield connection


async def _opened(opening: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(OSError):  # as a handshake that fails does
        await opening


async def _all_read() -> None:
    """Let the loop take what lies ready: connections to accept, and what clients sent."""
    for _ in range(3):
        await asyncio.sleep(0)


def _uvicorn_config(app: Any, settings: Settings, *, is_wsgi: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=EdgeProtocol,
        ws="none" if is_wsgi else "websockets-sansio",
        ws_max_size=settings.ws_message_bytes_max,
        ws_ping_interval=settings.ws_ping_seconds or None,
        ws_ping_timeout=settings.ws_ping_timeout_seconds or None,
        ws_per_message_deflate=settings.ws_deflate,
        lifespan="off" if is_wsgi else settings.lifespan,
        interface="asgi3",
        log_config=None,
        log_level=settings.log_level,
        access_log=settings.access_log,
        proxy_headers=settings.proxy_headers,
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=settings.server_header,
        date_header=settings.date_header,
        root_path=settings.root_path,
        backlog=settings.backlog,
        timeout_keep_alive=settings.keep_alive_seconds,  # pyright: ignore[reportArgumentType]
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_keyfile_password=settings.tls_key_password,
        ssl_ca_certs=settings.tls_client_ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
        headers=[_header(line) for line in settings.header],
    )


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise SettingValueError(f"`header` is `{line}`", hint="Write it as 'Name: value'")
    return name.strip(), value.strip()


class _Lifespan(LifespanOn):
    """uvicorn's lifespan, which also says why it failed and where it waits."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._task: asyncio.Task[Any] | None = None
        self._said = ""

    async def main(self) -> None:
        self._task = asyncio.current_task()
        await super().main()

    async def send(self, message: Any) -> None:
        if message["type"] == "lifespan.startup.failed":
            self._said = message.pop("message", "")
        await super().send(message)

    def problem(self) -> str:
        """The exception, and the app's lines that led to it, from what the app said."""
        lines = self._said.strip().splitlines()
        if not lines:
            return "it gave no reason; the log above may"
        return f"{lines[-1]}\n{lines_in(self._said)}".rstrip()

    def place(self) -> str:
        """Where the start-up waits."""
        return waiting_line(self._task)
