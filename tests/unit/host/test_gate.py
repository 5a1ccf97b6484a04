"""The bulkhead: never more at work than it lets in."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from time import monotonic_ns

import pytest

from outgrow import (
    DeadlineExceededError,
    OverloadedError,
    call,
    deadline,
    operation,
    service,
)
from outgrow.host import Host, app_of
from outgrow.host.gate import Gate, GateUse
from outgrow.telemetry import LinkTotals, StationTotals, bucket_of, station_book
from outgrow.telemetry.histogram import BUCKETS_MAX
from outgrow.testing import running
from tests.recorded import recorded


def test_a_place_held_twice_goes_to_nobody_before_it_is_free() -> None:
    async def let_in() -> tuple[list[bool], list[bool]]:
        gate = Gate("`Stock`", 1, 2)
        await gate.wait()
        waiting = [asyncio.create_task(gate.wait()) for _ in range(2)]
        await asyncio.sleep(0)
        gate.running += 1  # a thread that was left behind holds on to the place
        gate.leave()
        await asyncio.sleep(0)
        early = [each.done() for each in waiting]
        gate.leave()
        await asyncio.sleep(0)
        late = [each.done() for each in waiting]
        gate.leave()
        await asyncio.wait(waiting)
        gate.leave()
        assert gate.running == 0
        return early, late

    assert asyncio.run(let_in()) == ([False, False], [True, False])


def test_threads_that_were_left_behind_keep_the_next_in_line_out() -> None:
    end = threading.Event()
    counts = {"now": 0, "most": 0}

    @service(concurrent_calls_max=1, queue_max=8)
    class Reports:
        @operation
        def make(self) -> int:
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
            end.wait(10)
            counts["now"] -= 1
            return 1

    async def ask_often() -> None:
        async with running(Reports) as app:
            reports = app.client(Reports)

            async def one(seconds: float) -> str:
                try:
                    with deadline(seconds):
                        await call(reports.make)
                except DeadlineExceededError:
                    return "late"
                return "answered"

            told = await asyncio.gather(*(one(0.01 * (1 + number)) for number in range(5)))
            assert told == ["late"] * 5
            end.set()
            assert await call(reports.make) == 1

    asyncio.run(ask_often())
    assert counts == {"now": 0, "most": 1}


async def lasts(seconds: float) -> None:
    """Take so long, and compute nothing."""
    await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=seconds)


def test_a_gate_tells_how_it_was_used() -> None:
    async def use() -> list[StationTotals]:
        @service(concurrent_calls_max=1, queue_max=1)
        class Counted:
            @operation
            async def work(self, seconds: float) -> None:
                await lasts(seconds)

        told: list[StationTotals] = []
        async with running(Counted) as app:
            client = app.client(Counted)
            calls = [asyncio.create_task(client.work(0.03)) for _ in range(3)]
            await asyncio.gather(*calls, return_exceptions=True)
            assert [type(each.exception()) for each in calls].count(OverloadedError) == 1
            told.append(counted())
            hanging = asyncio.create_task(client.work(30))
            for _ in range(2):
                await lasts(0.05)
                told.append(counted())
            hanging.cancel()
            await asyncio.wait([hanging])
            told.append(counted())
        return told

    def counted() -> StationTotals:
        (one,) = [each for each in station_book.all() if each.name.endswith("Counted")]
        return one

    with recorded():
        calm, hung, still_hung, ended = asyncio.run(use())
    assert (calm.kind, calm.capacity) == ("bulkhead", 1)
    assert (calm.served, calm.rejected, calm.queue_max) == (2, 1, 1)
    assert calm.hold_ns >= 60_000_000
    assert calm.wait_ns > 0
    assert calm.nested_wait_ns == 0, "the wait for its own place is not within it"
    assert sum(calm.waits.values()) == 2
    assert calm.hold_squared_s2 > 0
    assert hung.hold_ns == calm.hold_ns
    assert still_hung.busy_ns - hung.busy_ns >= 50_000_000, "a call that hangs holds its place"
    assert ended.busy_ns >= still_hung.busy_ns


def test_a_wait_further_in_is_no_work_of_those_around_it() -> None:
    async def use() -> dict[str, StationTotals]:
        @service(concurrent_calls_max=1)
        class Narrow:
            @operation
            async def work(self) -> None:
                await lasts(0.03)

        @service
        class Wide:
            narrow: Narrow

            @operation
            async def ask(self) -> None:
                await self.narrow.work()

        async with running([Narrow, Wide]) as app:
            wide = app.client(Wide)

            async def outer() -> None:
                await wide.ask()

            await asyncio.gather(*(asyncio.create_task(outer()) for _ in range(3)))
        return {each.name.rpartition(".")[2]: each for each in station_book.all()}

    with recorded():
        told = asyncio.run(use())
    wide, narrow = told["Wide"], told["Narrow"]
    assert narrow.wait_ns > narrow.hold_ns / 2, "30 ms and 60 ms"
    assert narrow.nested_wait_ns == 0
    assert wide.nested_wait_ns == narrow.wait_ns
    assert wide.hold_ns > wide.nested_wait_ns + narrow.hold_ns / 2


def test_one_call_of_sixteen_is_timed_on_the_loop() -> None:
    async def use() -> LinkTotals:
        @service
        class Busy:
            @operation
            async def spin(self) -> None:
                await asyncio.sleep(0)
                end = time.perf_counter() + 0.001
                while time.perf_counter() < end:
                    pass

        host = Host(app_of(Busy))
        await host.start()
        for _ in range(64):
            await host.client(Busy).spin()
        await host.stop()
        return host.book.all()[0]

    link = asyncio.run(use())
    assert (link.calls, link.metered) == (64, 4)
    assert 4_000_000 <= link.loop_ns <= link.duration_ns


def used(link: LinkTotals) -> GateUse:
    use = GateUse(4)
    use.calls.append({"edge": link})
    return use


def ended(link: LinkTotals, calls: int, spent_ns: int) -> None:
    link.calls += calls
    link.duration_ns += calls * spent_ns
    link.buckets[bucket_of(spent_ns)] += calls


def test_what_is_told_of_a_bulkhead_never_falls() -> None:
    link = LinkTotals("edge", "Stock.take", 0, buckets=[0] * BUCKETS_MAX)
    use = used(link)
    ended(link, 1000, 2_000_000)
    first = use.told("Stock", 0)
    for _ in range(10):
        use.waited(monotonic_ns() - 4 * 10**9)  # they have their places, and have not ended
    second = use.told("Stock", 4)
    ended(link, 10, 4_002_000_000)
    third = use.told("Stock", 0)
    for name in ("served", "busy_ns", "hold_ns", "hold_squared_s2", "nested_wait_ns", "wait_ns"):
        told = [getattr(one, name) for one in (first, second, third)]
        assert told == sorted(told), name
    assert first.waits[0] <= second.waits[0] <= third.waits[0]
    assert third.hold_ns == pytest.approx(1010 * 2_000_000, rel=0.02)


def test_waits_in_line_do_not_make_the_holds_of_a_bulkhead_look_uneven() -> None:
    link = LinkTotals("edge", "Stock.take", 0, buckets=[0] * BUCKETS_MAX)
    use = used(link)
    for _ in range(100):
        use.waited(monotonic_ns() - 10**9)
    ended(link, 100, 1_100_000_000)
    told = use.told("Stock", 0)
    mean = told.hold_ns / 1e9 / told.served
    assert mean == pytest.approx(0.1, rel=0.05)
    assert told.hold_squared_s2 / told.served / mean**2 - 1 == pytest.approx(0.0, abs=0.15)


def test_calls_whose_time_was_up_are_told_apart_from_those_that_failed() -> None:
    async def use() -> LinkTotals:
        @service
        class Slow:
            @operation(timeout=0.02)
            async def answer(self, how: str) -> None:
                if how == "never":
                    await asyncio.Event().wait()
                if how == "wrong":
                    raise ValueError(how)

        host = Host(app_of(Slow))
        await host.start()
        client = host.client(Slow)
        for how in ("well", "never", "wrong"):
            with suppress(ValueError, DeadlineExceededError):
                await client.answer(how)
        given_up = asyncio.create_task(client.answer("never"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        await host.stop()
        return host.book.all()[0]

    link = asyncio.run(use())
    assert (link.calls, link.errors, link.timeouts) == (4, 3, 1)
