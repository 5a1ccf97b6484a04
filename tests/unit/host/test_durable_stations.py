"""What the slots of queues and subscriptions did, and who handed work on to them, is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

import pytest

from outgrow import Event, enqueue, enqueue_many, job, publish, service, subscribe
from outgrow.host import Durable, DurableSource, Host, app_of
from outgrow.host.durable.forms import publication_of
from outgrow.store import durable_at, wall_clock
from outgrow.telemetry import StationTotals, outside_links, station_book
from outgrow.wire import NEVER_NS, Frame, current

pytestmark = pytest.mark.timeout(60)
MS = 1_000_000
WORK_SECONDS = 0.02


async def work() -> None:
    """Be busy for a while, with others beside."""
    ends = monotonic() + WORK_SECONDS
    while monotonic() < ends:
        await asyncio.sleep(0)


class Rung(Event, name="stations.Rung"):
    """Somebody rang."""


@service
class Porter:
    """Carries."""

    @job(queue="loads")
    async def carry(self) -> None:
        await work()

    @job(queue="loads", attempts_max=1)
    async def drop(self) -> None:
        raise ValueError

    @subscribe
    async def on_rung(self, event: Rung) -> None:
        await work()


def told(name: str) -> StationTotals:
    """The totals of a station; empty ones where nobody met it."""
    found = [one for one in station_book.all() if (one.name, one.kind) == (name, "queue")]
    return found[0] if found else StationTotals(name, "queue")


def handed(caller: str, callee: str) -> int:
    return sum(one.calls for one in outside_links() if (one.caller, one.callee) == (caller, callee))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0)


def with_porter(folder: Path, ask: Callable[[Host], Awaitable[None]]) -> None:
    async def run() -> None:
        url = f"sqlite:///{folder}/durable.db"
        source = DurableSource(
            lambda: Durable(durable_at(url, is_fast=True), "test", now_ms=wall_clock)
        )
        host = Host(app_of(Porter), source=source)
        await host.start()
        try:
            await ask(host)
        finally:
            await host.stop()
            await source.close()

    asyncio.run(run())


def test_a_job_takes_a_slot_of_its_queue_while_it_runs(tmp_path: Path) -> None:
    before = told("queue loads: slots")

    async def ask(host: Host) -> None:
        porter = host.client(Porter)
        for _ in range(3):
            await enqueue(porter.carry)
        await enqueue(porter.drop)
        await until(lambda: told("queue loads: slots").served == before.served + 4)

    with_porter(tmp_path, ask)
    after = told("queue loads: slots")
    assert after.capacity == 10
    assert after.hold_ns - before.hold_ns >= 3 * WORK_SECONDS * 1e9
    held_ns, busy_ns = after.hold_ns - before.hold_ns, after.busy_ns - before.busy_ns
    assert busy_ns == pytest.approx(held_ns, abs=4 * MS), "each slot is busy while it is held"
    assert sum(after.waits.values()) - sum(before.waits.values()) == 4


def test_a_job_that_waits_for_its_time_is_late_from_then_on(tmp_path: Path) -> None:
    before = told("queue loads: slots")

    async def ask(host: Host) -> None:
        await enqueue(host.client(Porter).carry.options(delay_seconds=0.05))
        await until(lambda: told("queue loads: slots").served == before.served + 1)

    with_porter(tmp_path, ask)
    # Who looks for what is due does so once a second.
    assert told("queue loads: slots").wait_ns - before.wait_ns < 20e9


def test_an_event_takes_a_slot_of_its_subscription(tmp_path: Path) -> None:
    name = "subscription porter.on_rung: slots"
    before = told(name)

    async def ask(host: Host) -> None:
        await publish(Rung(), Rung())
        await until(lambda: told(name).served == before.served + 2)

    with_porter(tmp_path, ask)
    after = told(name)
    assert after.hold_ns - before.hold_ns >= 2 * WORK_SECONDS * 1e9
    assert sum(after.waits.values()) - sum(before.waits.values()) == 2


def test_who_enqueues_and_publishes_is_counted(tmp_path: Path) -> None:
    names = ("POST /loads", "queue loads Porter.carry"), ("POST /loads", "topic stations.Rung")
    before = [handed(*each) for each in names]

    async def ask(host: Host) -> None:
        current.set(Frame("POST /loads", NEVER_NS))
        porter = host.client(Porter)
        await enqueue(porter.carry)
        await enqueue_many(porter.carry.given() for _ in range(4))
        await publish(Rung(), Rung())
        publication_of(Rung())  # as a session does in a transaction

    with_porter(tmp_path, ask)
    assert [handed(*each) for each in names] == [before[0] + 5, before[1] + 3]
