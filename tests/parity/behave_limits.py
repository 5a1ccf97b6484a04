"""Limits: requests at once, requests of a process."""

from __future__ import annotations

from contextlib import ExitStack

from .launches import launch
from .registry import Difference, alone, on
from .servers import Program, Server, until
from .wire import Answer, Connection, ask, request

CROWDED = launch(concurrency_max="3")


REFUSED_HEADERS = [
    ("date", "..."),
    ("server", "uvicorn"),
    ("content-type", "text/plain; charset=utf-8"),
    ("content-length", "19"),
    ("connection", "close"),
]
REFUSED = "HTTP/1.1 503 Service Unavailable"


def with_held(server: Server, count: int, target: str) -> Answer:
    """What one more request gets while so many are in flight, or idle after `/hello`."""
    assert until(lambda: ask(server, "/hello").status == 200)
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(Connection(server))
            connection.send(request(target))
            connection.until(b"data: 1" if "streams" in target else b"hi")
        return ask(server, "/hello")


@on(
    CROWDED,
    "limits",
    "`concurrency_max=3`: a request while three are in flight",
    differs=Difference(
        uvicorn=(REFUSED, REFUSED_HEADERS, b"Service Unavailable"),
        outgrow=(REFUSED, [*REFUSED_HEADERS, ("retry-after", "1")], b"Service Unavailable"),
        reason="a client that is sent away is told when to come back: proxies and clients that"
        " retry go by `Retry-After`",
    ),
)
def crowded(server: Server) -> object:
    return with_held(server, 3, "/streams-until-disconnect?key=crowd").shape()


@on(
    CROWDED,
    "limits",
    "`concurrency_max=3`: a request while two are in flight",
    differs=Difference(
        uvicorn=REFUSED,
        outgrow="HTTP/1.1 200 OK",
        reason="a limit of three lets three requests run at once; uvicorn counts the new one before"
        " it compares, so that only two do",
    ),
)
def nearly_crowded(server: Server) -> object:
    return with_held(server, 2, "/streams-until-disconnect?key=crowd").status_line


@on(
    CROWDED,
    "limits",
    "`concurrency_max=3`: a request while three connections are idle",
    differs=Difference(
        uvicorn=REFUSED,
        outgrow="HTTP/1.1 200 OK",
        reason="the limit is on work, not on connections: a proxy or a browser that keeps idle"
        " connections open takes nobody's place",
    ),
)
def idle_crowd(server: Server) -> object:
    return with_held(server, 3, "/hello").status_line


@on(CROWDED, "limits", "below `concurrency_max`, requests are served")
def not_crowded(server: Server) -> object:
    assert until(lambda: ask(server, "/hello").status == 200)
    return [ask(server, "/hello").status for _ in range(5)]


@alone(
    "limits",
    "after `requests_max` requests: another process answers or none, and the exit code",
    differs=Difference(
        uvicorn=(1, True, 0),
        outgrow=(1, True, "still running"),
        reason="the supervisor replaces the worn worker by a fresh one; uvicorn alone ends, and"
        " leaves the restart to others",
    ),
    slow=True,
)
def recycled(program: Program) -> object:
    with program.running(launch(requests_max="3")) as server:
        first = [ask(server, "/pid").value() for _ in range(3)]
        ended = until(lambda: changed(server, first[0]))
        return len(set(first)), ended, server.exit_code(1.0)


def changed(server: Server, pid: int) -> bool:
    """Whether the process is gone, or another answers."""
    try:
        answer = ask(server, "/pid")
    except ConnectionError:
        return True
    return not answer.status_line or answer.value() != pid
