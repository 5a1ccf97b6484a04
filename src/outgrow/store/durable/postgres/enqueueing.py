"""Writing jobs into PostgreSQL, each once and no unique one beside another."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.packing import packed
from outgrow.store.durable.postgres.jobs import admit
from outgrow.store.durable.records import Placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.store.durable.postgres.pool import Connection
    from outgrow.store.durable.records import NewJob

_RECEIVE = (
    "INSERT INTO outgrow.received SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id"
)
_INSERT = """
INSERT INTO outgrow.job (id, kind, queue, body, headers, schema, rank, attempts_max, enqueued_ms,
    run_at_ms, expires_at_ms, timeout_ms, unique_key, key, key_slots, state)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[],
    $7::smallint[], $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
    $13::text[], $14::text[], $15::int[], $16::smallint[])
ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING RETURNING id
"""
_HOLDERS = """
SELECT w.unique_key, coalesce(
    (SELECT j.id FROM outgrow.job j WHERE j.unique_key = w.unique_key),
    (SELECT m.id FROM outgrow.unique_mark m WHERE m.unique_key = w.unique_key AND m.until_ms > $2))
FROM unnest($1::text[]) AS w (unique_key)
"""
_MARK = """
INSERT INTO outgrow.unique_mark (unique_key, id, until_ms)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[])
ON CONFLICT (unique_key) DO UPDATE SET id = excluded.id, until_ms = excluded.until_ms
WHERE unique_mark.until_ms <= $4 RETURNING id
"""
_QUEUES = "INSERT INTO outgrow.queue (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"


async def place_jobs(db: Connection, jobs: Sequence[NewJob], now_ms: int) -> list[Placed]:
    """Enqueue jobs, each unless it was before or must be unique."""
    holders = await _holders(db, jobs, now_ms)
    asked = [one for one in jobs if one.unique is None or holders.get(one.unique) is None]
    # Of those with the same unique key, the first.
    fresh = await _received(db, _firsts(asked))
    fresh = await _marked(db, fresh, now_ms)
    added = await insert_jobs(db, fresh, now_ms)
    if len(added) < len(fresh):
        lost = [one.id for one in fresh if one.id not in added]
        await db.execute("DELETE FROM outgrow.unique_mark WHERE id = ANY($1::uuid[])", lost)
    if len(added) < len(jobs):
        holders = await _holders(db, jobs, now_ms)
    placed: list[Placed] = []
    for one in jobs:
        is_new = one.id in added
        added.discard(one.id)
        holder = holders.get(one.unique) if one.unique is not None else None
        placed.append(Placed(one.id if is_new or holder is None else holder, is_new))
    return placed


async def insert_jobs(db: Connection, jobs: Sequence[NewJob], now_ms: int) -> set[UUID]:
    """Write jobs where they belong: to start, to wait for their key, or for their time."""
    if not jobs:
        return set()
    queues = sorted({one.queue for one in jobs})
    known = await db.fetch("SELECT name FROM outgrow.queue WHERE name = ANY($1)", queues)
    if len(known) < len(queues):
        await db.execute(_QUEUES, queues)
    # Those who wait for the same unique key meet in the same order, and not in a circle.
    in_order = sorted(jobs, key=lambda one: one.unique or "")
    columns = zip(*(_columns_of(one, now_ms) for one in in_order), strict=True)
    rows = await db.fetch(_INSERT, *(list(column) for column in columns))
    added = {UUID(bytes=row["id"].bytes) for row in rows}
    keyed = [one for one in jobs if one.key_slots is not None and one.id in added]
    await admit(db, [(one.queue, one.key) for one in keyed if one.key is not None])
    return added


def _columns_of(one: NewJob, now_ms: int) -> tuple[object, ...]:
    run_at_ms = now_ms + one.delay_ms if one.run_at_ms is None else one.run_at_ms
    expires = one.expires_after_ms
    slots = one.key_slots if one.key is not None else None
    return (
        *(one.id, one.kind, one.queue, one.body, packed(one.headers), one.schema),
        *(-one.priority, one.attempts_max, now_ms, run_at_ms),
        *(None if expires is None else now_ms + expires, one.timeout_ms),
        *(one.unique, one.key, slots),
        3 if run_at_ms > now_ms else 0 if slots is None else 2,
    )


def _firsts(jobs: Sequence[NewJob]) -> list[NewJob]:
    found: dict[object, NewJob] = {}
    ids: set[UUID] = set()
    for one in jobs:
        if one.id not in ids and (one.unique or one.id) not in found:
            ids.add(one.id)
            found[one.unique or one.id] = one
    return list(found.values())


async def _received(db: Connection, jobs: Sequence[NewJob]) -> list[NewJob]:
    if not jobs:
        return []
    # In the order of their ids, so that two who send the same ones do not wait for each other.
    rows = await db.fetch(_RECEIVE, sorted(one.id for one in jobs))
    new = {UUID(bytes=row["id"].bytes) for row in rows}
    return [one for one in jobs if one.id in new]


async def _marked(db: Connection, jobs: Sequence[NewJob], now_ms: int) -> list[NewJob]:
    marks = sorted(
        (one.unique, one.id, now_ms + one.unique_for_ms)
        for one in jobs
        if one.unique is not None and one.unique_for_ms
    )
    if not marks:
        return list(jobs)
    columns = [list(column) for column in zip(*marks, strict=True)]
    rows = await db.fetch(_MARK, *columns, now_ms)
    refused = {id for _, id, _ in marks} - {UUID(bytes=row["id"].bytes) for row in rows}
    return [one for one in jobs if one.id not in refused]


async def _holders(db: Connection, jobs: Sequence[NewJob], now_ms: int) -> dict[str, UUID | None]:
    wanted = sorted({one.unique for one in jobs if one.unique is not None})
    if not wanted:
        return {}
    rows = await db.fetch(_HOLDERS, wanted, now_ms)
    return {key: None if id is None else UUID(bytes=id.bytes) for key, id in rows}
