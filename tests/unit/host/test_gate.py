"""The bulkhead: never more at work than it lets in."""

from __future__ import annotations

import asyncio
import threading

from outgrow import DeadlineExceededError, call, deadline, operation, service
from outgrow.host.gate import Gate
from outgrow.testing import running


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
