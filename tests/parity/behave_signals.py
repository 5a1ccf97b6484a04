"""The end of a server: signals, requests in flight, exit codes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed

from .behave_websocket import socket
from .launches import PLAIN, launch
from .reasons import ASKED_TO_STOP
from .registry import Difference, alone
from .servers import Program, Server, accepts, until
from .wire import Connection, ask, notes, request

SHORT = launch(drain_seconds="1")


@contextmanager
def in_flight(server: Server) -> Iterator[Connection]:
    """A request that the app answers when the file `gate` appears."""
    with Connection(server) as connection:
        connection.send(request(f"/hold-file?key=flight&file={server.folder}/gate"))
        notes(server, "flight")
        yield connection


def refuses_connections(server: Server) -> bool:
    """Whether nobody listens any more."""
    try:
        with Connection(server) as connection:
            connection.send(request("/hello"))
            return connection.is_closed()
    except ConnectionError:
        return True


@alone(
    "signals",
    "SIGTERM: exit code",
    differs=Difference(
        uvicorn=-15,
        outgrow=0,
        reason=ASKED_TO_STOP,
    ),
)
def term(program: Program) -> object:
    with program.running(PLAIN) as server:
        server.signal(signal.SIGTERM)
        return server.exit_code()


@alone("signals", "SIGINT: exit code")
def interrupt(program: Program) -> object:
    with program.running(PLAIN) as server:
        server.signal(signal.SIGINT)
        return server.exit_code()


@alone("signals", "SIGTERM: a request in flight is finished, then the lifespan, then the process")
def term_in_flight(program: Program) -> object:
    with program.running(PLAIN) as server, in_flight(server) as connection:
        server.signal(signal.SIGTERM)
        (server.folder / "gate").touch()
        answer = connection.answer()
        server.exit_code()
        return answer.status_line, answer.body, connection.is_closed(), server.record()


@alone("signals", "SIGTERM: a response begun after the signal says `connection: close`")
def term_says_close(program: Program) -> object:
    with program.running(PLAIN) as server, in_flight(server) as connection:
        server.signal(signal.SIGTERM)
        until(lambda: not accepts(server), 3.0)
        (server.folder / "gate").touch()
        return connection.answer().header("connection")


@alone("signals", "SIGTERM: new connections are refused while a request in flight is finished")
def term_refuses(program: Program) -> object:
    with program.running(PLAIN) as server, in_flight(server) as connection:
        server.signal(signal.SIGTERM)
        is_refused = until(lambda: not accepts(server), 3.0)
        (server.folder / "gate").touch()
        return is_refused, connection.answer().body


@alone("signals", "SIGTERM: an idle connection is closed, the process does not wait for it")
def term_idle(program: Program) -> object:
    with program.running(PLAIN) as server, Connection(server) as connection:
        connection.send(request("/hello"))
        connection.answer()
        server.signal(signal.SIGTERM)
        is_closed = connection.is_closed()
        code = server.exit_code()
        return is_closed, code != "still running"


@alone("signals", "SIGTERM: the lifespan's shutdown runs, and nobody listens afterwards", slow=True)
def term_lifespan(program: Program) -> object:
    with program.running(PLAIN) as server:
        ask(server, "/hello")
        server.signal(signal.SIGTERM)
        server.exit_code()
        return server.record(), refuses_connections(server)


@alone("signals", "SIGTERM: work after the response is finished before the end")
def term_background(program: Program) -> object:
    with program.running(PLAIN) as server:
        assert ask(server, f"/background?file={server.folder}/gate").status == 200
        server.signal(signal.SIGTERM)
        (server.folder / "gate").touch()
        server.exit_code()
        return server.record()


@alone("signals", "SIGTERM: past `drain_seconds` a request in flight is cancelled", slow=True)
def term_drained(program: Program) -> object:
    with program.running(SHORT) as server, in_flight(server) as connection:
        server.signal(signal.SIGTERM)
        server.exit_code()
        return connection.rest().split(b"\r\n")[0], server.record()


@alone("signals", "SIGTERM: an open WebSocket is closed with 1012, the app sees it")
def term_websocket(program: Program) -> object:
    with program.running(SHORT) as server:
        code = None
        with socket(server, "/records?key=open") as opened:
            notes(server, "open")
            server.signal(signal.SIGTERM)
            try:
                opened.recv(timeout=8)
            except ConnectionClosed as closed:
                code = closed.rcvd and closed.rcvd.code
        server.exit_code()
        return code, server.record()


@alone(
    "signals", "SIGTERM: an event stream that never ends is ended after `drain_seconds`", slow=True
)
def term_stream(program: Program) -> object:
    with program.running(SHORT) as server, Connection(server) as connection:
        connection.send(request("/gated-parts?key=never"))
        connection.until(b"data: 1\n\n\r\n")
        server.signal(signal.SIGTERM)
        code = server.exit_code()
        return connection.rest(), code != "still running"


@alone(
    "signals",
    "a second SIGINT ends at once, a request in flight is lost",
    differs=Difference(
        uvicorn=(0, b"HTTP/1.1 500 Internal Server Error", False),
        outgrow=(0, b"", False),
        reason="outgrow kills its workers then, also those whose code would not be cancelled;"
        " uvicorn cancels, and waits for code that does not listen",
    ),
    slow=True,
)
def interrupt_twice(program: Program) -> object:
    with program.running(PLAIN) as server, in_flight(server) as connection:
        server.signal(signal.SIGINT)
        until(lambda: not accepts(server), 3.0)
        server.signal(signal.SIGINT)
        code = server.exit_code()
        return code, connection.rest().split(b"\r\n")[0], "shutdown" in server.record()


@alone(
    "signals",
    "SIGHUP",
    differs=Difference(
        uvicorn=(True, -1),
        outgrow=(True, "still running"),
        reason="SIGHUP reloads: new workers take over from the old ones. Without workers uvicorn"
        " dies of it",
    ),
    slow=True,
)
def hang_up(program: Program) -> object:
    with program.running(PLAIN) as server:
        before = ask(server, "/pid").value()
        server.signal(signal.SIGHUP)
        return after_hang_up(server, before)


def after_hang_up(server: Server, before: int) -> object:
    """What became of the server: ended, or a new worker."""
    from .behave_limits import changed

    is_changed = until(lambda: changed(server, before))
    return is_changed, server.exit_code(1.0)
