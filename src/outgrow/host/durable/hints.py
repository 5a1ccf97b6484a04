"""Hints that there may be something to do: never the truth, which is asked of the store."""

from __future__ import annotations

import asyncio

ALL = ""


class Hints:
    """Who waits for work is woken when somebody says that there is some."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._all_count = 0
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def tell(self, *names: str) -> None:
        """There may be something for these; `ALL` is for everybody."""
        for name in names:
            if name == ALL:
                self._all_count += 1
                for waiting in self._waiting.values():
                    _wake(waiting)
            else:
                self._counts[name] = self._counts.get(name, 0) + 1
                _wake(self._waiting.get(name, set()))

    def seen(self, name: str) -> int:
        """A mark to be given to `changed`; taken before the store is asked."""
        return self._all_count + self._counts.get(name, 0)

    async def changed(self, name: str, seen: int, seconds: float) -> None:
        """Wait until something was told since the mark was taken; at most so long."""
        if self.seen(name) != seen:
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(told)
        try:
            await asyncio.wait([told], timeout=seconds)
        finally:
            waiting.discard(told)


def _wake(waiting: set[asyncio.Future[None]]) -> None:
    for told in waiting:
        if not told.done():
            told.set_result(None)


def queue_name(queue: str) -> str:
    """What is told when jobs may start."""
    return f"queue {queue}"


def topic_name(topic: str) -> str:
    """What is told when events were published."""
    return f"topic {topic}"
