"""What is logged: the access log's lines, errors with their traceback, levels, configurations."""

from __future__ import annotations

import json
import re

from .behave_sockets import UNIX
from .behave_websocket import socket
from .launches import PLAIN, launch
from .registry import alone, on
from .servers import Program, Server
from .wire import Connection, ask

QUIET = launch(access_log=False)
WARNING = launch(log_level="warning", silent=True)
CONFIGURED = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "OWN %(name)s %(levelname)s %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
    "loggers": {
        "uvicorn": {"handlers": ["own"], "level": "INFO", "propagate": False},
        "uvicorn.access": {"handlers": ["own"], "level": "INFO", "propagate": False},
        "probe": {"handlers": ["own"], "level": "INFO"},
    },
}
INI = """
[loggers]
keys=root,access
[handlers]
keys=own
[formatters]
keys=own
[logger_root]
level=INFO
handlers=own
[logger_access]
level=INFO
handlers=own
qualname=uvicorn.access
propagate=0
[handler_own]
class=StreamHandler
formatter=own
args=(sys.stderr,)
[formatter_own]
format=OWN %(name)s %(message)s
"""


def line(server: Server, pattern: str, stream: str | None = None, seconds: float = 5.0) -> str:
    """The line that matches, with colours cut and ports blanked."""
    match = server.output.wait_for(pattern, stream, seconds)
    text = re.sub(r"\x1b\[\d*m", "", match.string) if match else "no such line"
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:port", text)


@on(PLAIN, "logs", "an access line on stdout, whole")
def access(server: Server) -> object:
    ask(server, "/status?code=201&mark=access")
    return line(server, "mark=access", "stdout")


@on(PLAIN, "logs", "an access line quotes the decoded path and keeps the query")
def access_quoted(server: Server) -> object:
    ask(server, "/scope/caf%C3%A9%0A%20x?mark=quoted&q=%20+")
    return line(server, "mark=quoted", "stdout")


@on(PLAIN, "logs", "an access line of HTTP/1.0, of 404, and of an unknown status")
def access_rare(server: Server) -> object:
    ask(server, "/missing?mark=old", version="1.0")
    ask(server, "/status?code=299&mark=rare", method="POST")
    return line(server, "mark=old", "stdout"), line(server, "mark=rare", "stdout")


@on(PLAIN, "logs", "an access line names the client that a trusted proxy forwards")
def access_forwarded(server: Server) -> object:
    ask(server, "/hello?mark=forwarded", headers=[("X-Forwarded-For", "203.0.113.9:80")])
    return line(server, "mark=forwarded", "stdout")


@on(UNIX, "logs", "an access line of a client without an address")
def access_unix(server: Server) -> object:
    ask(server, "/hello?mark=unix")
    return line(server, "mark=unix", "stdout")


@on(PLAIN, "logs", "a refused request leaves a warning, no access line")
def refused(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(b"mark=refused\r\n\r\n")
        connection.rest()
    return line(server, "Invalid HTTP request", "stderr"), server.output.find(
        "mark=refused"
    ) is None


@on(PLAIN, "logs", "a WebSocket's lines: accepted, open, closed, on stderr")
def websocket(server: Server) -> object:
    with socket(server, "/echo?mark=ws"):
        pass
    return line(server, "mark=ws", "stderr"), server.output.find("mark=ws", "stdout") is None


@on(PLAIN, "logs", "an exception is logged on stderr with its traceback")
def exception(server: Server) -> object:
    ask(server, "/raises")
    last = line(server, "ValueError: the probe raises$", "stderr")
    text = server.output.text("stderr")
    return last, line(server, "Exception in ASGI", "stderr"), "probe_http.py" in text


@on(PLAIN, "logs", "an exception in a WebSocket is logged on stderr with its traceback")
def websocket_exception(server: Server) -> object:
    with socket(server, "/raises-late"):
        pass
    return line(server, "ValueError: the socket raises late", "stderr")


@on(PLAIN, "logs", "wrong use of `send` and a missing response are logged")
def misuse(server: Server) -> object:
    ask(server, "/body-first")
    ask(server, "/nothing")
    return (
        line(server, r"^RuntimeError: Expected ASGI message 'http.response.start'", "stderr"),
        line(server, "returned without starting response", "stderr"),
    )


@on(PLAIN, "logs", "the app's prints and warnings come through on their streams")
def says(server: Server) -> object:
    ask(server, "/says")
    return (
        line(server, "the probe prints$", "stdout"),
        line(server, "the probe prints to stderr", "stderr"),
        line(server, "the probe warns", "stderr"),
        server.output.find("the probe informs") is None,
    )


@on(PLAIN, "logs", "the root logger is left alone; levels and handlers of the others")
def loggers(server: Server) -> object:
    return ask(server, "/loggers").value()


@on(QUIET, "logs", "`access_log=false`: no access lines, errors still")
def quiet(server: Server) -> object:
    ask(server, "/hello?mark=quiet")
    ask(server, "/raises")
    error = line(server, "ValueError: the probe raises", "stderr")
    return server.output.find("mark=quiet") is None, error


@on(WARNING, "logs", "`log_level=warning`: no access lines, errors still")
def warnings_only(server: Server) -> object:
    ask(server, "/hello?mark=warning")
    ask(server, "/raises")
    error = line(server, "ValueError: the probe raises", "stderr")
    return server.output.find("mark=warning") is None, error


@alone("logs", "`log_config` as JSON")
def configured(program: Program) -> object:
    wanted = launch(log_config="{folder}/log.json", files={"log.json": json.dumps(CONFIGURED)})
    with program.running(wanted) as server:
        ask(server, "/hello?mark=own")
        ask(server, "/says")
        return line(server, "OWN.*mark=own"), line(server, "OWN probe.*informs")


@alone("logs", "`log_config` as INI", slow=True)
def configured_ini(program: Program) -> object:
    wanted = launch(log_config="{folder}/log.ini", files={"log.ini": INI})
    with program.running(wanted) as server:
        ask(server, "/hello?mark=own")
        return line(server, "OWN.*mark=own")


@alone("logs", "`log_config` and `access_log=false` together", slow=True)
def configured_quiet(program: Program) -> object:
    files = {"log.json": json.dumps(CONFIGURED)}
    wanted = launch(log_config="{folder}/log.json", files=files, access_log=False)
    with program.running(wanted) as server:
        ask(server, "/hello?mark=own")
        ask(server, "/says")
        return line(server, "OWN probe.*informs"), server.output.find("mark=own") is None
