"""Where settings come from, and the process an app finds itself in."""

from __future__ import annotations

import contextlib

from .launches import PLAIN, launch
from .reasons import EXIT_CODES
from .registry import Difference, alone, on
from .servers import Program, Server, until
from .wire import ask


@alone("settings", "the server's own variables set what flags set")
def own_variables(program: Program) -> object:
    environ = {"{SERVER}_ROOT_PATH": "/from-env", "{SERVER}_SERVER_HEADER": "false"}
    with program.running(launch(environ=environ)) as server:
        answer = ask(server, "/scope")
        return answer.value()["root_path"], answer.header("server")


@alone("settings", "a flag wins over a variable", slow=True)
def flag_wins(program: Program) -> object:
    wanted = launch(environ={"{SERVER}_ROOT_PATH": "/from-env"}, root_path="/from-flag")
    with program.running(wanted) as server:
        return ask(server, "/scope").value()["root_path"]


@alone("settings", "`FORWARDED_ALLOW_IPS`")
def forwarded_allow_ips(program: Program) -> object:
    with program.running(launch(environ={"FORWARDED_ALLOW_IPS": "10.0.0.1"})) as server:
        headers = [("X-Forwarded-Proto", "https")]
        return ask(server, "/scope", headers=headers).value()["scheme"]


@alone("settings", "`WEB_CONCURRENCY=2` starts two workers, and both answer")
def web_concurrency(program: Program) -> object:
    with program.running(launch(environ={"WEB_CONCURRENCY": "2"})) as server:
        pids: set[int] = set()
        is_shared = until(lambda: len(pids | pid(server, pids)) > 1)
        return is_shared, len(pids), server.process.pid in pids


def pid(server: Server, seen: set[int]) -> set[int]:
    """Add the process that answers to those seen."""
    with contextlib.suppress(ConnectionError):
        seen.add(ask(server, "/pid").value())
    return seen


@alone("settings", "the app's environment passes through", slow=True)
def environment(program: Program) -> object:
    with program.running(launch(environ={"DATABASE_URL": "sqlite://", "EMPTY": ""})) as server:
        return ask(server, "/environ?names=DATABASE_URL,EMPTY,HOME").value()["DATABASE_URL"]


@on(PLAIN, "settings", "`app_dir` comes first in `sys.path`; the working folder is the caller's")
def paths(server: Server) -> object:
    first, folder = ask(server, "/first-path").value()
    return first.rpartition("/")[2], folder == str(server.folder)


@on(PLAIN, "settings", "the app runs in the main thread, on uvloop, without debugging")
def process(server: Server) -> object:
    return ask(server, "/process").value()


@alone("settings", "an unknown flag: exit code", slow=True)
def unknown_flag(program: Program) -> object:
    return program.ending(launch(no_such_setting="1")).code


@alone("settings", "a value of the wrong type: exit code", slow=True)
def wrong_type(program: Program) -> object:
    return program.ending(launch(keep_alive_seconds="soon")).code


@alone(
    "settings",
    "no app at all: exit code",
    differs=Difference(
        uvicorn=3,
        outgrow=2,
        reason=EXIT_CODES,
    ),
    slow=True,
)
def no_app(program: Program) -> object:
    return program.ending(launch("")).code
