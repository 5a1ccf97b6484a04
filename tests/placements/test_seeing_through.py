"""Work that is seen through: past a deadline, through a cancel, and within its own time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from outgrow import Baggage, DeadlineExceededError, deadline, operation, see_through, service
from outgrow.testing import RunningApp

from .conftest import Play

shelf = Baggage("shelf", str)
undone: list[str] = []


@service
class Ledger:
    @operation
    async def undo(self, id: str) -> None:
        undone.append(f"{id} {shelf.get()}")

    @operation
    async def hang(self) -> None:
        await asyncio.Event().wait()


@service
class Desk:
    ledger: Ledger

    @operation
    async def place(self, id: str) -> None:
        try:
            await self.ledger.hang()
        finally:
            await see_through(self.ledger.undo(id))

    @operation
    async def stand(self) -> None:
        await see_through(self.ledger.hang(), seconds=0.01)


@pytest.fixture(autouse=True)
def _nothing_undone() -> None:
    undone.clear()


async def _until_undone() -> list[str]:
    async with asyncio.timeout(5):
        while not undone:
            await asyncio.sleep(0)
    return undone


def test_what_a_missed_deadline_left_behind_is_undone(play: Play) -> None:
    async def piece(app: RunningApp) -> list[str]:
        with pytest.raises(DeadlineExceededError), deadline(0.05), shelf.set("tea"):
            await app.client(Desk).place("a")
        return await _until_undone()

    assert play(Desk, piece) == ["a tea"]


def test_what_a_cancel_left_behind_is_undone(play: Play) -> None:
    async def piece(app: RunningApp) -> list[str]:
        placing = asyncio.ensure_future(app.client(Desk).place("b"))
        for _ in range(100):
            await asyncio.sleep(0)
        placing.cancel()
        with suppress(asyncio.CancelledError):
            await placing
        return await _until_undone()

    assert play(Desk, piece) == ["b None"]


def test_it_has_time_of_its_own(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        with pytest.raises(DeadlineExceededError, match="seen through"):
            await app.client(Desk).stand()

    play(Desk, piece)


def test_it_goes_on_when_its_caller_is_ended() -> None:
    async def run() -> list[str]:
        free = asyncio.Event()

        async def work() -> None:
            await free.wait()
            undone.append("c")

        caller = asyncio.ensure_future(see_through(work()))
        await asyncio.sleep(0)
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
        free.set()
        return await _until_undone()

    assert asyncio.run(run()) == ["c"]
