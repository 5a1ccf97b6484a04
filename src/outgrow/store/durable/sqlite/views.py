"""What people see of the jobs in an SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.packing import failure_in
from outgrow.store.durable.protocol import COUNT_MAX, PAGE_MAX
from outgrow.store.durable.records import JobState, JobView, QueueLimits, QueueView, Rate
from outgrow.store.durable.sqlite.jobs import HELD, LATER, READY, RUNNING

if TYPE_CHECKING:
    from outgrow.store.durable.sqlite.reader import Reader
    from outgrow.store.durable.sqlite.rows import Row

_STATES: dict[JobState, int] = {"ready": READY, "running": RUNNING, "held": HELD, "later": LATER}
_NAMES: dict[int, JobState] = {number: name for name, number in _STATES.items()}
_LIVE = (
    "id, kind, queue, state, attempt, attempts_max, rank, key, enqueued_ms, run_at_ms, started_ms, "
    "worker, is_cancelled, progress, failure"
)
_DONE = (
    "id, kind, queue, state, attempt, key, enqueued_ms, started_ms, finished_ms, result, failure"
)
_DEAD = "id, name, source, attempts, died_ms, failure"
# The query planner cannot know that few run and many wait.
_INDEXES = {RUNNING: "INDEXED BY job_running"}


async def find(reader: Reader, id: UUID) -> JobView | None:
    """One job, wherever it is."""
    key = (id.bytes,)
    if rows := await reader.rows(f"SELECT {_LIVE} FROM job WHERE id = ?", key):
        return _live(rows[0])
    if rows := await reader.rows(f"SELECT {_DONE} FROM job_done WHERE id = ?", key):
        return _done(rows[0])
    asked = f"SELECT {_DEAD} FROM dead WHERE id = ? AND kind = 'job'"
    rows = await reader.rows(asked, key)
    return _dead(rows[0]) if rows else None


async def jobs(
    reader: Reader, state: JobState, queue: str | None, after: UUID | None, limit: int
) -> list[JobView]:
    """A page of those in one state."""
    after_id = after.bytes if after is not None else b""
    ending = "ORDER BY id LIMIT ?"
    page = max(1, min(limit, PAGE_MAX))
    condition, values = ("AND queue = ?", (queue,)) if queue is not None else ("", ())
    if state in _STATES:
        number = _STATES[state]
        asked = f"SELECT {_LIVE} FROM job {_INDEXES.get(number, '')} WHERE state = {number} "
        rows = await reader.rows(
            f"{asked} AND id > ? {condition} {ending}", (after_id, *values, page)
        )
        return [_live(row) for row in rows]
    if state == "dead":
        asked = f"SELECT {_DEAD} FROM dead WHERE kind = 'job' AND id > ? "
        condition = condition.replace("queue", "source")
        rows = await reader.rows(f"{asked} {condition} {ending}", (after_id, *values, page))
        return [_dead(row) for row in rows]
    asked = f"SELECT {_DONE} FROM job_done WHERE state = ? AND id > ? {condition} {ending}"
    return [_done(row) for row in await reader.rows(asked, (state, after_id, *values, page))]


async def queues(reader: Reader) -> list[QueueView]:
    """All queues, with counts."""
    asked = "SELECT name, is_paused, slots, rate_count, rate_per_ms, rate_burst FROM queue"
    found: list[QueueView] = []
    for name, is_paused, slots, count, per_ms, burst in await reader.rows(f"{asked} ORDER BY 1"):
        counts = [await _count(reader, name, state) for state in (READY, RUNNING, HELD, LATER)]
        rate = Rate(count=count, per_ms=per_ms, burst_count=burst) if count is not None else None
        found.append(
            QueueView(
                name=name,
                is_paused=bool(is_paused),
                limits=QueueLimits(slots=slots, rate=rate),
                ready_count=counts[0],
                running_count=counts[1],
                held_count=counts[2],
                later_count=counts[3],
                oldest_ready_ms=await _oldest_ready(reader, name),
            )
        )
    return found


async def _count(reader: Reader, queue: str, state: int) -> int:
    index = _INDEXES.get(state, "")
    asked = f"SELECT 1 FROM job {index} WHERE queue = ? AND state = {state} LIMIT {COUNT_MAX}"
    return (await reader.rows(f"SELECT count(*) FROM ({asked})", (queue,)))[0][0]


async def _oldest_ready(reader: Reader, queue: str) -> int | None:
    # The first of each priority; there are few, and each is found by the index.
    first = (
        "SELECT enqueued_ms FROM job WHERE queue = ? AND state = 0 AND rank = r.rank "
        "ORDER BY place LIMIT 1"
    )
    asked = (
        "WITH RECURSIVE r (rank) AS (SELECT -9 UNION ALL SELECT rank + 1 FROM r WHERE rank < 9) "
        f"SELECT min(at_ms) FROM (SELECT ({first}) AS at_ms FROM r)"
    )
    return (await reader.rows(asked, (queue,)))[0][0]


def _live(row: Row) -> JobView:
    (id, kind, queue, state, attempt, attempts_max, rank, key), rest = row[:8], row[8:]
    enqueued_ms, run_at_ms, started_ms, worker, is_cancelled, progress, failure = rest
    return JobView(
        id=UUID(bytes=id),
        kind=kind,
        queue=queue,
        state=_NAMES[state],
        attempt=attempt,
        attempts_max=attempts_max,
        priority=-rank,
        key=key,
        enqueued_ms=enqueued_ms,
        run_at_ms=run_at_ms,
        started_ms=started_ms,
        worker=UUID(bytes=worker) if worker is not None else None,
        is_cancelled=bool(is_cancelled),
        progress=progress,
        failure=failure_in(failure),
    )


def _done(row: Row) -> JobView:
    (id, kind, queue, state, attempt, key), rest = row[:6], row[6:]
    enqueued_ms, started_ms, finished_ms, result, failure = rest
    return JobView(
        id=UUID(bytes=id),
        kind=kind,
        queue=queue,
        state=state,
        attempt=attempt,
        key=key,
        enqueued_ms=enqueued_ms,
        started_ms=started_ms,
        finished_ms=finished_ms,
        result=result,
        failure=failure_in(failure),
    )


def _dead(row: Row) -> JobView:
    id, kind, queue, attempts, died_ms, failure = row
    return JobView(
        id=UUID(bytes=id),
        kind=kind,
        queue=queue,
        state="dead",
        attempt=attempts,
        finished_ms=died_ms,
        failure=failure_in(failure),
    )
