"""A worker of four stops while it has calls: those that may run twice are answered by another."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from .harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Start
    from .harness import Supervised

APP = """
import asyncio, os
from typing import Annotated
from fastapi import Depends, FastAPI
from outgrow import operation, service, uses


@service
class Stock:
    @operation(idempotent=True)
    async def look(self) -> int:
        await asyncio.sleep(0.01)
        return os.getpid()

    @operation(idempotent=True, hedge_after=0.05)
    async def look_soon(self) -> int:
        await asyncio.sleep(0.01)
        return os.getpid()


app = FastAPI()
Client = Annotated[Stock, Depends(uses(Stock))]


@app.get("/look/{kind}")
async def look(kind: str, stock: Client) -> int:
    return await (stock.look_soon() if kind == "soon" else stock.look())
"""
GROUPS = """
[size.machine.groups.store]
runs = ["stock"]
replicas = 4
"""
CLIENTS = 8


@pytest.fixture
def store(start: Start, tmp_path: Path) -> Supervised:
    (tmp_path / "stored.py").write_text(APP)
    (tmp_path / "outgrow.toml").write_text(GROUPS)
    return start("--no-access-log", app="stored:app").until_ready(5)


class Visitors:
    """Clients that never stop; each request is answered, or the first that is not is kept.

    Attributes:
        answered: Requests by the process that answered the call.
        problems: What went wrong.
    """

    def __init__(self, server: Supervised, target: str) -> None:
        self._server, self._target = server, target
        self._is_over = threading.Event()
        self.answered: Counter[int] = Counter()
        self.problems: list[BaseException] = []
        self._threads = [threading.Thread(target=self._visit) for _ in range(CLIENTS)]

    def _visit(self) -> None:
        while not self._is_over.is_set():
            try:
                self.answered[self._server.get(self._target)] += 1
            except BaseException as problem:
                self.problems.append(problem)
                return

    def __enter__(self) -> Visitors:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for each in self._threads:
            each.join()


@pytest.fixture
def pids(store: Supervised) -> Iterator[list[int]]:
    """The processes of Stock; none is left stopped."""
    found = [w["pid"] for w in store.status()["workers"] if w["name"].startswith("store/")]
    yield found
    for pid in found:
        os.kill(pid, signal.SIGCONT)


def links(server: Supervised) -> list[dict[str, Any]]:
    """All links, as the status tells them."""
    status: Any = server.status()
    return status["links"]


def link(server: Supervised, callee: str) -> dict[str, Any]:
    """The one link to an operation."""
    (found,) = [each for each in links(server) if each["callee"] == callee]
    return found


@pytest.mark.parametrize("kind", ["soon", pytest.param("late", marks=pytest.mark.slow)])
def test_no_call_that_may_run_twice_fails_when_its_worker_stops(
    store: Supervised, pids: list[int], kind: str
) -> None:
    with Visitors(store, f"/look/{kind}") as visitors:
        wait_until(lambda: {*visitors.answered} == {*pids}, 10, "all to answer")
        os.kill(pids[1], signal.SIGSTOP)
        wait_until(lambda: store.workers("silent") == [pids[1]], 10, "its silence to be seen")
        visitors.answered.clear()
        wait_until(lambda: visitors.answered.total() > 100, 10, "100 more answers")
        assert {*visitors.answered} == {*pids} - {pids[1]}
        wait_until(
            lambda: link(store, f"Stock.look{'_soon' * (kind == 'soon')}")["hedges_per_second"],
            *(10, "its hedges to be told"),
        )
    assert not visitors.problems, visitors.problems


def test_a_call_from_another_worker_comes_from_the_route(store: Supervised) -> None:
    store.get("/look/soon")
    wait_until(lambda: links(store), 10, "the link to be told")
    assert link(store, "Stock.look_soon")["caller"] == "GET /look/{kind}"
