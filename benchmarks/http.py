"""Requests per second, latency and CPU per request of one worker, access log off and on.

Ours stands there twice: without an observer, as its peers have none, and with one, as by default.
"""

from __future__ import annotations

from contextlib import ExitStack

from . import cost, servers
from .harness import Measurements, publish, turned
from .load import generator, load
from .servers import Contender, Server

FRAMEWORKS = {"raw ASGI": "raw:app", "Starlette": "starlette_app:app", "FastAPI": "fastapi_app:app"}
PATHS = {"5 B": "/", "1 kB JSON": "/order"}
CONTENDERS = [
    servers.uvicorn(),
    servers.gunicorn(),
    servers.granian(),
    servers.outgrow(),
    servers.outgrow(is_observed=True),
]
LOGGING = [servers.uvicorn(access_log=True), servers.outgrow(access_log=True)]


def run(rounds: int, seconds: float) -> None:
    """Measure every framework and answer on every contender, then the access log's price."""
    measured = Measurements("http", tools=generator())
    for framework, app in FRAMEWORKS.items():
        _measure(measured, CONTENDERS, framework, app, dict(PATHS), rounds, seconds)
    publish(measured)
    logged = Measurements("http_access_log", LOGGING[0].name, tools=generator())
    paths = {"5 B": "/"}
    _measure(logged, LOGGING, "Starlette", "starlette_app:app", paths, rounds, seconds)
    publish(logged)


def _measure(
    measured: Measurements,
    contenders: list[Contender],
    framework: str,
    app: str,
    paths: dict[str, str],
    rounds: int,
    seconds: float,
) -> None:
    with ExitStack() as stack:
        running = [stack.enter_context(servers.serving(each, app)) for each in contenders]
        for server in running:
            server.until_answering()
            load(server.port, "/order", 1)  # warm
        for number in range(rounds):
            for answer, path in paths.items():
                for server in turned(running, number):
                    _measure_once(measured, server, f"{framework}, {answer}", path, seconds)


def _measure_once(
    measured: Measurements, server: Server, label: str, path: str, seconds: float
) -> None:
    before = cost.cpu_by_process(server.process.pid)
    rate = load(server.port, path, seconds)
    after = cost.cpu_by_process(server.process.pid)
    assert not rate.errors, f"{server.name}: {rate.errors} errors under load"
    spent = [used - before.get(pid, 0.0) for pid, used in after.items()]
    per_request = [each * 1e6 / rate.requests for each in sorted(spent)]
    measured.add(server.name, f"{label}: rate", rate.per_second, "requests/s")
    measured.add(server.name, f"{label}: p50", rate.p50_ms, "ms")
    measured.add(server.name, f"{label}: p99", rate.p99_ms, "ms")
    measured.add(server.name, f"{label}: CPU", sum(per_request), "us/request")
    if len(per_request) > 1:
        besides = sum(per_request[:-1])
        measured.add(server.name, f"{label}: other processes", besides, "us/request")
