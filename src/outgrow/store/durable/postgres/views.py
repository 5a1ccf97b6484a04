"""What people see of the jobs in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.packing import failure_in
from outgrow.store.durable.protocol import COUNT_MAX, PAGE_MAX
from outgrow.store.durable.records import JobState, JobView, QueueLimits, QueueView, Rate

if TYPE_CHECKING:
    from outgrow.store.durable.postgres.pool import Pool
    from outgrow.store.durable.postgres.rows import Row

_STATES: dict[JobState, int] = {"ready": 0, "running": 1, "held": 2, "later": 3}
_NAMES: dict[int, JobState] = {number: name for name, number in _STATES.items()}
_NO_ID = UUID(int=0)
_DONE = "SELECT * FROM outgrow.job_done WHERE"
_DEAD = "SELECT * FROM outgrow.dead WHERE kind = 'job' AND"
_QUEUES = """
SELECT q.*, c.ready, c.running, c.held, c.later, (
    SELECT min(first.enqueued_ms) FROM generate_series(-9, 9) AS r (rank) CROSS JOIN LATERAL (
        SELECT j.enqueued_ms FROM outgrow.job j
        WHERE j.queue = q.name AND j.state = 0 AND j.rank = r.rank ORDER BY j.place LIMIT 1
    ) first) AS oldest
FROM outgrow.queue q CROSS JOIN LATERAL (SELECT
    {} AS ready, {} AS running, {} AS held, {} AS later) c
ORDER BY q.name
""".format(
    *(
        f"(SELECT count(*) FROM (SELECT 1 FROM outgrow.job j WHERE j.queue = q.name "
        f"AND j.state = {state} LIMIT {COUNT_MAX}) n)"
        for state in range(4)
    )
)


async def find(pool: Pool, id: UUID) -> JobView | None:
    """One job, wherever it is."""
    asked = "SELECT * FROM outgrow.job WHERE id = $1"
    if row := await pool.run(lambda db: db.fetchrow(asked, id)):
        return _live(row)
    # Of one that was tried again, the last.
    ended = f"{_DONE} id = $1 ORDER BY finished_ms DESC LIMIT 1"
    if row := await pool.run(lambda db: db.fetchrow(ended, id)):
        return _done(row)
    row = await pool.run(lambda db: db.fetchrow(f"{_DEAD} id = $1", id))
    return _dead(row) if row else None


async def jobs(
    pool: Pool, state: JobState, queue: str | None, after: UUID | None, limit: int
) -> list[JobView]:
    """A page of those in one state."""
    page = max(1, min(limit, PAGE_MAX))
    values: tuple[object, ...] = (after or _NO_ID, queue, page)
    ending = "AND id > $1 AND ($2::text IS NULL OR {} = $2) ORDER BY id LIMIT $3"
    if state in _STATES:
        table = f"(SELECT * FROM outgrow.job WHERE state = {_STATES[state]}"
        # Few run, which the planner cannot know: it shall not look for them by their ids.
        table += " OFFSET 0) j" if state == "running" else ") j"
        asked = f"SELECT * FROM {table} WHERE true {ending.format('queue')}"
        return [_live(row) for row in await pool.run(lambda db: db.fetch(asked, *values))]
    if state == "dead":
        asked = f"{_DEAD} true {ending.format('source')}"
        return [_dead(row) for row in await pool.run(lambda db: db.fetch(asked, *values))]
    asked = f"{_DONE} state = $4 {ending.format('queue')}"
    return [_done(row) for row in await pool.run(lambda db: db.fetch(asked, *values, state))]


async def queues(pool: Pool) -> list[QueueView]:
    """All queues, with counts."""
    return [
        QueueView(
            name=row["name"],
            is_paused=row["is_paused"],
            limits=QueueLimits(
                slots=row["slots"],
                rate=Rate(
                    count=row["rate_count"],
                    per_ms=row["rate_per_ms"],
                    burst_count=row["rate_burst"],
                )
                if row["rate_count"] is not None
                else None,
            ),
            ready_count=row["ready"],
            running_count=row["running"],
            held_count=row["held"],
            later_count=row["later"],
            oldest_ready_ms=row["oldest"],
        )
        for row in await pool.run(lambda db: db.fetch(_QUEUES))
    ]


def _live(row: Row) -> JobView:
    worker = row["worker"]
    return JobView(
        id=UUID(bytes=row["id"].bytes),
        kind=row["kind"],
        queue=row["queue"],
        state=_NAMES[row["state"]],
        attempt=row["attempt"],
        attempts_max=row["attempts_max"],
        priority=-row["rank"],
        key=row["key"],
        enqueued_ms=row["enqueued_ms"],
        run_at_ms=row["run_at_ms"],
        started_ms=row["started_ms"],
        worker=UUID(bytes=worker.bytes) if worker is not None else None,
        is_cancelled=row["is_cancelled"],
        progress=row["progress"],
        failure=failure_in(row["failure"]),
    )


def _done(row: Row) -> JobView:
    return JobView(
        id=UUID(bytes=row["id"].bytes),
        kind=row["kind"],
        queue=row["queue"],
        state=row["state"],
        attempt=row["attempt"],
        key=row["key"],
        enqueued_ms=row["enqueued_ms"],
        started_ms=row["started_ms"],
        finished_ms=row["finished_ms"],
        result=row["result"],
        failure=failure_in(row["failure"]),
    )


def _dead(row: Row) -> JobView:
    return JobView(
        id=UUID(bytes=row["id"].bytes),
        kind=row["name"],
        queue=row["source"],
        state="dead",
        attempt=row["attempts"],
        finished_ms=row["died_ms"],
        failure=failure_in(row["failure"]),
    )
