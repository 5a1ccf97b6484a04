"""A suspect runs alone for a while, and keeps nobody waiting for longer."""

from __future__ import annotations

import asyncio

from outgrow.host.durable.solitude import Solitude


class Work:
    """Pieces of work that end when they are told to."""

    def __init__(self, solitude: Solitude) -> None:
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.news: asyncio.Queue[str] = asyncio.Queue()
        self._solitude = solitude

    def start(self, name: str, *, alone: bool = False) -> asyncio.Task[None]:
        self.ends[name] = asyncio.Event()
        return asyncio.create_task(self._run(name, alone=alone))

    async def _run(self, name: str, *, alone: bool) -> None:
        async with self._solitude.alone() if alone else self._solitude.beside():
            self.begun.append(name)
            self.news.put_nowait(name)
            await self.ends[name].wait()


async def turns() -> None:
    """Let whoever can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_suspect_waits_for_others_and_they_for_it() -> None:
    async def ask() -> None:
        work = Work(Solitude(30))
        first, second = work.start("first"), work.start("second")
        await turns()
        suspect = work.start("suspect", alone=True)
        await turns()
        third = work.start("third")
        await turns()
        assert work.begun == ["first", "second"]
        work.ends["first"].set()
        work.ends["second"].set()
        await asyncio.gather(first, second)
        await turns()
        assert work.begun == ["first", "second", "suspect"]
        work.ends["suspect"].set()
        await suspect
        await turns()
        assert work.begun == ["first", "second", "suspect", "third"]
        work.ends["third"].set()
        await third

    asyncio.run(ask())


def test_suspects_run_one_after_the_other() -> None:
    async def ask() -> None:
        work = Work(Solitude(30))
        tasks = [work.start(name, alone=True) for name in ("a", "b")]
        await turns()
        assert work.begun == ["a"]
        work.ends["a"].set()
        await turns()
        assert work.begun == ["a", "b"]
        work.ends["b"].set()
        await asyncio.gather(*tasks)

    asyncio.run(ask())


def test_what_takes_long_is_waited_for_only_a_while() -> None:
    async def ask() -> None:
        work = Work(Solitude(0.02))
        long = work.start("long")
        await turns()
        suspects = [work.start(name, alone=True) for name in ("a", "b")]
        other = work.start("other")
        async with asyncio.timeout(5):
            while len(work.begun) < 4:
                await work.news.get()
        for end in work.ends.values():
            end.set()
        await asyncio.gather(long, other, *suspects)

    asyncio.run(ask())


def test_a_suspect_that_is_cancelled_holds_nobody_up() -> None:
    async def ask() -> None:
        work = Work(Solitude(30))
        first = work.start("first")
        await turns()
        suspect = work.start("suspect", alone=True)
        await turns()
        suspect.cancel()
        await turns()
        second = work.start("second")
        await turns()
        assert work.begun == ["first", "second"]
        for end in work.ends.values():
            end.set()
        await asyncio.gather(first, second)

    asyncio.run(ask())
