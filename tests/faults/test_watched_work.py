"""The keeper stands still and dies while the observer is asked for its work: nobody hangs on it."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from outgrow.dashboard.reaching import ANSWER_SECONDS
from outgrow.errors import NotRunningError
from outgrow.placement import ApiClient

from .harness import wait_until
from .test_durable_work import keeper_of

if TYPE_CHECKING:
    from .conftest import Start

pytest.importorskip("duckdb")

BACK_SECONDS = 30.0
# For a machine that does other things as well, beside what an answer may take.
SLACK_SECONDS = 3.0
OBSERVE = {"OUTGROW_OBSERVE": "auto", "OUTGROW_PAGE_PORT": "0"}


@pytest.mark.timeout(120)
def test_an_observer_outlives_its_keeper_and_asks_the_next_one(start: Start) -> None:
    server = start("--workers", "1", "--no-access-log", app="work_app:app", env=OBSERVE)
    server.until_ready(1)
    api = ApiClient(server.workspace / ".outgrow", seconds=10)

    def work() -> dict[str, Any]:
        try:
            return api.get("queues")
        except NotRunningError:
            return {"state": "no observer"}

    def billing() -> list[dict[str, Any]]:
        return [one for one in work().get("queues", []) if one["name"] == "books"]

    urllib.request.urlopen(f"http://127.0.0.1:{server.port}/record", data=b"x").close()
    wait_until(billing, BACK_SECONDS, "the queue of the job of an order")

    pid = keeper_of(server)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    assert work()["state"] == "away"
    assert time.monotonic() - began < ANSWER_SECONDS + SLACK_SECONDS
    began = time.monotonic()
    assert api.get("now")["app"]
    assert time.monotonic() - began < SLACK_SECONDS, "what else is asked does not wait"

    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: keeper_of(server) not in (0, pid), BACK_SECONDS, "another keeper")
    wait_until(billing, BACK_SECONDS, "the same queue by way of the next keeper")


@pytest.mark.timeout(120)
def test_what_queues_do_and_what_waits_there_is_told_over_time(start: Start) -> None:
    server = start("--workers", "1", "--no-access-log", app="work_app:app", env=OBSERVE)
    server.until_ready(1)
    api = ApiClient(server.workspace / ".outgrow", seconds=10)

    def books() -> dict[str, Any]:
        try:
            lines = api.get("queues/series")["queues"]
        except NotRunningError:
            return {}
        return next((one for one in lines if one["name"] == "queue books"), {})

    def is_joined() -> bool:
        try:
            links = {(one["caller"], one["callee"]) for one in api.get("now")["links"]}
        except NotRunningError:
            return False
        return ("queue books", "Books") in links and "queue books" in {to for _, to in links}

    urllib.request.urlopen(f"http://127.0.0.1:{server.port}/record", data=b"x").close()
    wait_until(is_joined, BACK_SECONDS, "a map that goes through the queue")
    wait_until(lambda: any(books().get("busy_percent", [])), BACK_SECONDS, "slots at work")
    assert books()["slots"] == 10
    # The store is asked every 10 s.
    wait_until(lambda: 0 in books()["waiting"], BACK_SECONDS, "an answer that nothing waits")
