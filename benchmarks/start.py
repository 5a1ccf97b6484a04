"""Time from the spawn to the first answer, to a second worker, and from a kill to a new worker."""

from __future__ import annotations

import json
import os
import signal
import time

from . import servers
from .harness import Measurements, publish, turned
from .servers import Contender, Server

APP = "fastapi_app:app"
CONTENDERS = [
    servers.uvicorn(),
    servers.gunicorn(),
    servers.granian(respawn=True),
    servers.outgrow(),
    servers.outgrow(is_observed=True),
]


def run(rounds: int, _: float) -> None:
    """Start, scale and kill each contender once a round."""
    measured = Measurements("start")
    for number in range(rounds):
        for contender in turned(CONTENDERS, number):
            _first_answer(measured, contender)
            _replacement(measured, contender)
        _scaled(measured, servers.outgrow())
        _scaled(measured, servers.outgrow("--fork", "never", name="outgrow --fork never"))
    publish(measured)


def _first_answer(measured: Measurements, contender: Contender) -> None:
    with servers.serving(contender, APP) as server:
        spent = server.until_answering()
    measured.add(contender.name, "spawn to first answer", spent * 1e3, "ms")


def _replacement(measured: Measurements, contender: Contender) -> None:
    with servers.serving(contender, APP, workers=2) as server:
        before = server.until_workers(2)
        began = time.perf_counter()
        os.kill(min(before), signal.SIGKILL)
        while not _is_new(server, before):
            assert time.perf_counter() - began < servers.START_SECONDS, contender.name
        spent = time.perf_counter() - began
    measured.add(contender.name, "kill -9 to new worker", spent * 1e3, "ms")


def _is_new(server: Server, before: set[int]) -> bool:
    pid = server.answers()
    return pid is not None and pid not in before


def _scaled(measured: Measurements, contender: Contender) -> None:
    with servers.serving(contender, APP) as server:
        server.until_answering()
        began = time.perf_counter()
        servers.ask_supervisor(server, "POST", "/apply", {"workers": "2"})
        spent = time.perf_counter() - began
        status = json.loads(servers.ask_supervisor(server, "GET", "/status"))
        ready = [worker for worker in status["workers"] if worker["state"] == "ready"]
        assert len(ready) == 2, status
    measured.add(contender.name, "second worker", spent * 1e3, "ms")
