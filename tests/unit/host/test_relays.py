"""What moves an outbox wakes when it is told, and ends when it is stopped."""

from __future__ import annotations

import asyncio

import pytest

from outgrow.host.durable import relays
from outgrow.host.durable.relays import Relay


class Mover:
    """Counts how often it was asked to move something."""

    def __init__(self) -> None:
        self.asked_count = 0

    async def move(self) -> int:
        self.asked_count += 1
        return 0

    async def forget_handled(self, now_ms: int) -> None: ...


@pytest.mark.parametrize("turns_count", range(4))
def test_a_stop_that_comes_with_a_hint_is_not_overlooked(turns_count: int) -> None:
    async def ask() -> None:
        relay = Relay(Mover(), "it")
        relay.start()
        for _ in range(5):
            await asyncio.sleep(0)
        relay.wake()
        for _ in range(turns_count):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await relay.stop()

    asyncio.run(ask())


def test_it_looks_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "MOVE_SECONDS", 0.001)

    async def ask() -> None:
        mover = Mover()
        relay = Relay(mover, "it")
        relay.start()
        async with asyncio.timeout(10):
            while mover.asked_count < 3:
                await asyncio.sleep(0)
        await relay.stop()

    asyncio.run(ask())
