"""The forms an app may have: ASGI 3 and 2, WSGI, factories, and how each is found."""

from __future__ import annotations

from typing import Any

from .launches import Launch, launch
from .reasons import EXIT_CODES, OWN_LINES
from .registry import Difference, alone, on
from .servers import Program, Server
from .wire import Connection, ask, request

WSGI = launch("probe_wsgi:app", interface="wsgi")
TEXT = [("Content-Type", "text/plain")]


def served(program: Program, wanted: Launch) -> object:
    """What the app answers, or how the server ended."""
    with program.running(wanted) as server:
        answer = ask(server, "/")
        return answer.value() if answer.status == 200 else answer.status_line


def ended(program: Program, wanted: Launch, *words: str) -> object:
    """The exit code, and which of the words the server printed."""
    end = program.ending(wanted)
    return end.code, [word for word in words if word in end.output]


@alone("apps", "an ASGI 3 function is found by looking")
def function(program: Program) -> object:
    return served(program, launch("probe_variants:three"))


@alone("apps", "an instance with an async `__call__` is found by looking", slow=True)
def instance(program: Program) -> object:
    return served(program, launch("probe_variants:instance"))


@alone("apps", "an awaitable ASGI 3 class is found by looking")
def awaited_class(program: Program) -> object:
    return served(program, launch("probe_variants:Awaited"))


@alone("apps", "an ASGI 2 class is found by looking, and told version 2.0")
def two_class(program: Program) -> object:
    return served(program, launch("probe_variants:Two"))


@alone("apps", "an ASGI 2 function is found by looking", slow=True)
def two_function(program: Program) -> object:
    return served(program, launch("probe_variants:two"))


@alone("apps", "`interface=asgi2` forces ASGI 2", slow=True)
def two_forced(program: Program) -> object:
    return served(program, launch("probe_variants:two", interface="asgi2"))


@alone("apps", "`interface=asgi3` forces ASGI 3 for a wrapper that is no coroutine function")
def three_forced(program: Program) -> object:
    return served(program, launch("probe_variants:plain_wrapper", interface="asgi3"))


@alone(
    "apps",
    "a wrapper of an ASGI 3 app that is no coroutine function, found by looking",
    differs=Difference(
        uvicorn="HTTP/1.1 500 Internal Server Error",
        outgrow=({"version": "3.0", "spec_version": "2.3"}, "unset"),
        reason="outgrow counts what the app takes, so that a decorator that hides `async` does"
        " not turn ASGI 3 into ASGI 2",
    ),
)
def wrapper_found(program: Program) -> object:
    return served(program, launch("probe_variants:plain_wrapper"))


@alone(
    "apps",
    "a `functools.partial` of an ASGI 3 function, found by looking",
    differs=Difference(
        uvicorn="HTTP/1.1 500 Internal Server Error",
        outgrow=({"version": "3.0", "spec_version": "2.3"}, "unset"),
        reason="outgrow counts what the app takes, so that a partial of ASGI 3 is not taken for"
        " ASGI 2",
    ),
)
def partial_found(program: Program) -> object:
    return served(program, launch("probe_variants:partial"))


@alone("apps", "a factory with the flag `factory`")
def factory_flagged(program: Program) -> object:
    return served(program, launch("probe_variants:factory", factory=True))


@alone("apps", "a factory is found by looking")
def factory_found(program: Program) -> object:
    return served(program, launch("probe_variants:factory"))


@alone("apps", "an attribute of an attribute", slow=True)
def dotted(program: Program) -> object:
    return served(program, launch("probe_variants:Holder.app"))


@alone(
    "apps",
    "a module without an attribute",
    differs=Difference(
        uvicorn=("ends", 3),
        outgrow="serves",
        reason="outgrow looks for the usual names in the module: app, application, create_app and"
        " so on",
    ),
)
def module_alone(program: Program) -> object:
    server = program.spawn(launch("probe_app"))
    return listening(server)


def listening(server: Server) -> object:
    """Whether the server comes up: words, or its exit code."""
    from .servers import ADDRESS, START_SECONDS, stop

    try:
        match = server.output.wait_for(ADDRESS, "stderr", START_SECONDS)
        return "serves" if match else ("ends", server.exit_code())
    finally:
        stop(server)


@alone(
    "apps",
    "no such module: exit code",
    differs=Difference(
        uvicorn=(3, ["probe_missing"]),
        outgrow=(1, ["probe_missing"]),
        reason=EXIT_CODES,
    ),
)
def no_module(program: Program) -> object:
    return ended(program, launch("probe_missing:app"), "probe_missing")


@alone(
    "apps",
    "no such attribute: exit code",
    differs=Difference(
        uvicorn=(3, ["missing", "probe_app"]),
        outgrow=(1, ["missing", "probe_app"]),
        reason=EXIT_CODES,
    ),
    slow=True,
)
def no_attribute(program: Program) -> object:
    return ended(program, launch("probe_app:missing"), "missing", "probe_app")


@alone(
    "apps",
    "an import that raises: exit code and traceback",
    differs=Difference(
        uvicorn=(1, ["Traceback", "ValueError: the import raises", "probe_broken.py"]),
        outgrow=(1, ["ValueError: the import raises", "probe_broken.py"]),
        reason=OWN_LINES,
    ),
)
def import_raises(program: Program) -> object:
    words = ("Traceback", "ValueError: the import raises", "probe_broken.py")
    return ended(program, launch("probe_broken:app"), *words)


@alone(
    "apps",
    "a factory that raises: exit code and traceback",
    differs=Difference(
        uvicorn=(1, ["Traceback", "ValueError: the factory raises"]),
        outgrow=(1, ["ValueError: the factory raises"]),
        reason=OWN_LINES,
    ),
    slow=True,
)
def factory_raises(program: Program) -> object:
    wanted = launch("probe_variants:failing_factory", factory=True)
    return ended(program, wanted, "Traceback", "ValueError: the factory raises")


@alone(
    "apps",
    "a factory that needs arguments, with the flag `factory`",
    differs=Difference(
        uvicorn=(3, ["needy_factory", "name"]),
        outgrow=(1, ["needy_factory", "name"]),
        reason=EXIT_CODES,
    ),
    slow=True,
)
def factory_needs(program: Program) -> object:
    wanted = launch("probe_variants:needy_factory", factory=True)
    return ended(program, wanted, "needy_factory", "name")


@alone(
    "apps",
    "a WSGI function is found by looking",
    differs=Difference(
        uvicorn=("HTTP/1.1 500 Internal Server Error", b"Internal Server Error"),
        outgrow=("HTTP/1.1 200 OK", b"onetwo"),
        reason="a WSGI app takes two arguments, which can be seen; uvicorn needs `--interface"
        " wsgi`",
    ),
)
def wsgi_found(program: Program) -> object:
    with program.running(launch("probe_wsgi:app")) as server:
        return ask(server, "/parts").shape()[::2]


@on(WSGI, "apps", "WSGI: the environ, whole")
def environ(server: Server) -> object:
    headers = [*TEXT, ("X-A", "1"), ("X-A", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]
    answer = ask(server, "/show/caf%C3%A9%20x?q=%201", method="POST", headers=headers, body=b"ab")
    seen: dict[str, Any] = answer.value()
    for name in ("SERVER_PORT", "REMOTE_PORT"):
        if name in seen:
            seen[name] = type(seen[name]).__name__
    return {name: seen[name] for name in sorted(seen)}


@on(WSGI, "apps", "WSGI: status, headers and body go through")
def wsgi_echo(server: Server) -> object:
    return ask(server, "/echo", method="POST", headers=TEXT, body=b"abc").shape()


@on(WSGI, "apps", "WSGI: a large body is read whole")
def wsgi_large(server: Server) -> object:
    data = b"x" * 3_000_000
    return ask(server, "/echo", method="POST", headers=TEXT, body=data).body == data


@on(WSGI, "apps", "WSGI: the body can be read line by line")
def wsgi_lines(server: Server) -> object:
    return ask(server, "/lines", method="POST", headers=TEXT, body=b"one\ntwo\nthree").body


@on(WSGI, "apps", "WSGI: a chunked body is read whole")
def wsgi_chunked(server: Server) -> object:
    data = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with Connection(server) as connection:
        headers = [("Transfer-Encoding", "chunked")]
        connection.send(request("/echo", method="POST", headers=headers) + data)
        return connection.answer().body


@on(WSGI, "apps", "WSGI: a generator's parts are sent")
def wsgi_parts(server: Server) -> object:
    return ask(server, "/parts").body


@on(WSGI, "apps", "WSGI: an exception before the start becomes 500")
def wsgi_raises(server: Server) -> object:
    answer = ask(server, "/raises")
    return answer.status_line, answer.body


@on(WSGI, "apps", "WSGI: an exception after the start cuts the response")
def wsgi_raises_late(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/raises-late".replace("-", "_")))
        data = connection.rest()
        return data.split(b"\r\n")[0], data.endswith(b"0\r\n\r\n")


@on(WSGI, "apps", "WSGI: `write` and the returned body come in order")
def wsgi_writes(server: Server) -> object:
    return ask(server, "/writes").body


@on(WSGI, "apps", "WSGI: the app runs outside the main thread")
def wsgi_thread(server: Server) -> object:
    return ask(server, "/thread").value()


@on(WSGI, "apps", "WSGI: HEAD sends no body")
def wsgi_head(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/echo", method="HEAD", headers=[("Connection", "close")]))
        return connection.rest().partition(b"\r\n\r\n")[2]
