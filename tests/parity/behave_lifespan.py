"""The lifespan protocol: order, state, and every way to fail."""

from __future__ import annotations

import signal

from .launches import PLAIN, Launch, launch
from .reasons import ASKED_TO_STOP, EXIT_CODES
from .registry import Difference, alone, on
from .servers import Program, Server
from .wire import ask


def ended(program: Program, app: str, *words: str, lifespan: str = "auto") -> object:
    """The exit code of a server that cannot start, and which words it printed."""
    end = program.ending(launch(f"probe_lifespan:{app}", lifespan=lifespan))
    return end.code, [word for word in words if word in end.output]


def whole_life(program: Program, wanted: Launch, *words: str) -> object:
    """What a server that starts, answers once and is stopped left behind."""
    with program.running(wanted) as server:
        status = ask(server, "/hello").status_line
        server.signal(signal.SIGTERM)
        server.exit_code()
        return status, server.record(), [word for word in words if word in server.output.text()]


@alone("lifespan", "start-up comes before the first request, shutdown at the end, once each")
def order(program: Program) -> object:
    return whole_life(program, PLAIN)


@alone("lifespan", "the lifespan's scope and messages")
def messages(program: Program) -> object:
    return whole_life(program, launch("probe_lifespan:shows_messages"))


@on(PLAIN, "lifespan", "`state` is copied for each request, what it holds is shared")
def state(server: Server) -> object:
    ask(server, "/state")
    seen = ask(server, "/scope").value()["state"]
    return "mine" in seen, bool(seen["shared"])


@alone("lifespan", "an app without lifespan is served (`lifespan=auto`)")
def unsupported(program: Program) -> object:
    words = ("Traceback", "the lifespan raises")
    return whole_life(program, launch("probe_lifespan:raises"), *words)


@alone(
    "lifespan",
    "an app without lifespan does not start with `lifespan=on`",
    differs=Difference(
        uvicorn=(3, ["Traceback", "the lifespan raises"]),
        outgrow=(1, ["Traceback", "the lifespan raises"]),
        reason=EXIT_CODES,
    ),
)
def unsupported_on(program: Program) -> object:
    return ended(program, "raises", "Traceback", "the lifespan raises", lifespan="on")


@alone("lifespan", "`lifespan=off` never calls it", slow=True)
def off(program: Program) -> object:
    return whole_life(program, launch("probe_lifespan:raises", lifespan="off"))


@alone(
    "lifespan",
    "`startup.failed` ends the server, with the app's message",
    differs=Difference(
        uvicorn=(3, ["no database here"]),
        outgrow=(1, ["no database here"]),
        reason=EXIT_CODES,
    ),
)
def refused(program: Program) -> object:
    return ended(program, "refuses", "no database here")


@alone("lifespan", "a lifespan that returns before it answered start-up", slow=True)
def returns_early(program: Program) -> object:
    return whole_life(program, launch("probe_lifespan:returns_early"))


@alone(
    "lifespan",
    "a lifespan that leaves after start-up: the app is served, with its state",
    slow=True,
)
def leaves(program: Program) -> object:
    return whole_life(program, launch("probe_lifespan:leaves_after_startup"))


@alone("lifespan", "an unknown lifespan message counts as no support", slow=True)
def nonsense(program: Program) -> object:
    return whole_life(program, launch("probe_lifespan:says_nonsense"))


@alone("lifespan", "an exception in the shutdown: what is said, and the record", slow=True)
def shutdown_raises(program: Program) -> object:
    wanted = launch("probe_lifespan:raises_when_started", lifespan="on")
    return whole_life(program, wanted, "the shutdown raises")


@alone("lifespan", "`shutdown.failed`: the app's message is logged")
def shutdown_failed(program: Program) -> object:
    return whole_life(program, launch("probe_lifespan:fails_shutdown"), "could not flush")


@alone(
    "lifespan",
    "`shutdown.failed`: exit code",
    differs=Difference(
        uvicorn=-15,
        outgrow=0,
        reason=ASKED_TO_STOP,
    ),
    slow=True,
)
def shutdown_failed_code(program: Program) -> object:
    with program.running(launch("probe_lifespan:fails_shutdown")) as server:
        server.signal(signal.SIGTERM)
        return server.exit_code()


@on(PLAIN, "lifespan", "a context variable set in the lifespan, as requests see it")
def context(server: Server) -> object:
    return ask(server, "/context").value()


@on(PLAIN, "lifespan", "a context variable set in one request does not reach the next")
def context_between(server: Server) -> object:
    return [ask(server, "/context").value() for _ in range(3)]
