"""From where on to look for jobs that can start, so that nobody walks over those that are gone.

A row that was claimed stays in the index until no older transaction can see it. While one is open
for minutes, a claim that begins at the front would walk over all that was claimed since. So we
remember, for each priority, where the first one that waits stood two seconds ago, and begin there.
What commits later than that is found by a look from the front every half minute.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from outgrow.store.durable.records import PRIORITY_MAX

if TYPE_CHECKING:
    from outgrow.store.durable.postgres.pool import Connection, Pool

LOOK_SECONDS = 1.0
BEHIND_SECONDS = 2.0
SWEEP_SECONDS = 30.0
QUEUES_MAX = 1_000

_RANKS = list(range(-PRIORITY_MAX, PRIORITY_MAX + 1))
# Read before the jobs are: what comes after it is beyond it.
_LAST = "SELECT last_value - (NOT is_called)::int FROM outgrow.place"
_FIRST = """
SELECT w.rank, (
    SELECT j.place FROM outgrow.job j
    WHERE j.queue = $1 AND j.state = 0 AND j.rank = w.rank AND j.place > w.mark
    ORDER BY j.place LIMIT 1
) FROM unnest($2::int[], $3::bigint[]) AS w (rank, mark)
"""

Places = dict[int, int]


class _Mark:
    """Of one queue: the marks in use, and those that will be when they are old enough."""

    def __init__(self, at: float) -> None:
        self.used: Places = dict.fromkeys(_RANKS, 0)
        self.waiting: list[tuple[float, Places]] = []
        self.swept_at = at
        self.looked_at = at


class Marks:
    """The marks of all queues that this process claims from."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._by_queue: dict[str, _Mark] = {}

    async def of(self, queue: str) -> tuple[list[int], list[int]]:
        """Ranks, the highest priority first, and the place after which to look in each."""
        at = time.monotonic()
        mark = self._by_queue.get(queue)
        if mark is None:
            if len(self._by_queue) >= QUEUES_MAX:
                self._by_queue.clear()
            mark = self._by_queue[queue] = _Mark(at)
        if at - mark.looked_at >= LOOK_SECONDS:
            mark.looked_at = at
            await self._look(queue, mark, at)
        while mark.waiting and at - mark.waiting[0][0] >= BEHIND_SECONDS:
            mark.used = mark.waiting.pop(0)[1]
        if at - mark.swept_at >= SWEEP_SECONDS:
            mark.swept_at = at
            return _RANKS, [0] * len(_RANKS)
        return _RANKS, [mark.used[rank] for rank in _RANKS]

    async def _look(self, queue: str, mark: _Mark, at: float) -> None:
        newest = mark.waiting[-1][1] if mark.waiting else mark.used
        from_front = at - mark.swept_at >= SWEEP_SECONDS
        begin = [0 if from_front else newest[rank] for rank in _RANKS]

        async def look(db: Connection) -> Places:
            last = await db.fetchval(_LAST)
            rows = await db.fetch(_FIRST, queue, _RANKS, begin)
            return {rank: last if place is None else place - 1 for rank, place in rows}

        mark.waiting.append((at, await self._pool.run(look)))
