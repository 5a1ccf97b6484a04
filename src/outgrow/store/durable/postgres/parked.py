"""Parked events in PostgreSQL: what `lanes` decides about is read from here and written back.

Whoever changes what is parked of a partition has its cursor's row locked, so that all see the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.failures import NO_REASON
from outgrow.store.durable.lanes import (
    ROWS_OF_KEY_MAX,
    RUNNING,
    WAITING,
    Cursor,
    Parked,
    Partition,
)
from outgrow.store.durable.packing import failure_in, headers_of, packed
from outgrow.store.durable.postgres.rows import lease_in
from outgrow.store.durable.records import Freed, Position, Publication

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from outgrow.store.durable.postgres.pool import Connection
    from outgrow.store.durable.postgres.rows import Row
    from outgrow.store.durable.records import EventOutcome, Failure, Lease

_COLUMNS = "seq, key, state, attempt, due_ms, worker, epoch, failure"
_CURSOR = """
SELECT c.seq, c.taken, c.worker, c.epoch, s.attempts_max, s.topic
FROM outgrow.cursor c JOIN outgrow.subscription s ON s.name = c.subscription
WHERE c.subscription = $1 AND c.partition = $2 FOR UPDATE OF c
"""
_CLOSE = """
UPDATE outgrow.cursor c SET seq = c.taken, worker = NULL, epoch = NULL
FROM unnest($4::int[], $5::bigint[], $6::bigint[], $7::bigint[]) AS w (partition, n, low, high)
WHERE c.subscription = $1 AND c.partition = w.partition AND c.worker = $2 AND c.epoch = $3
AND w.low > c.seq AND w.high <= c.taken
AND c.taken - c.seq = w.n + (
    SELECT count(*) FROM outgrow.parked p
    WHERE p.subscription = $1 AND p.partition = c.partition AND p.seq > c.seq AND p.seq <= c.taken)
AND NOT EXISTS (
    SELECT 1 FROM outgrow.parked p
    WHERE p.subscription = $1 AND p.partition = c.partition AND p.state = 3)
AND NOT EXISTS (
    SELECT 1 FROM unnest($8::int[], $9::bigint[]) AS o (partition, seq)
    JOIN outgrow.parked p ON p.subscription = $1 AND p.partition = o.partition AND p.seq = o.seq
    WHERE o.partition = c.partition)
RETURNING c.partition
"""
_HELD = """
SELECT subscription, partition FROM outgrow.cursor
WHERE worker = $1 AND epoch = $2 AND ($3::text IS NULL OR subscription = $3)
UNION SELECT subscription, partition FROM outgrow.parked
WHERE state = 1 AND worker = $1 AND epoch = $2 AND ($3::text IS NULL OR subscription = $3)
ORDER BY 1, 2
"""
_WRITE = """
INSERT INTO outgrow.parked
    (subscription, partition, seq, key, state, attempt, due_ms, worker, epoch, failure)
SELECT $1, $2, * FROM unnest(
    $3::bigint[], $4::text[], $5::smallint[], $6::int[], $7::bigint[], $8::uuid[], $9::bigint[],
    $10::bytea[])
ON CONFLICT (subscription, partition, seq) DO UPDATE SET state = excluded.state,
    attempt = excluded.attempt, due_ms = excluded.due_ms, worker = excluded.worker,
    epoch = excluded.epoch, failure = excluded.failure
"""
_BURY = """
SELECT m.id, m.topic, m.key, m.schema, m.body, m.headers FROM outgrow.message m
JOIN outgrow.subscription s ON s.topic = m.topic
WHERE s.name = $1 AND m.partition = $2 AND m.seq = $3
"""


async def load(
    db: Connection,
    subscription: str,
    number: int,
    now_ms: int,
    *,
    lease: Lease,
    offsets: Sequence[int] = (),
) -> Partition | None:
    """A partition with all that can matter for these offsets, or for all that a lease holds.

    Its open window is closed by it, if it is the lease's and one of the offsets is in there. None
    where there is no such partition.
    """
    found = await db.fetchrow(_CURSOR, subscription, number)
    if found is None:
        return None
    offset, taken, worker, epoch, attempts_max, topic = found
    cursor = Cursor(offset, taken, lease_in(worker, epoch))
    partition = Partition(number, cursor, attempts_max, now_ms)
    window: list[tuple[int, str | None]] = []
    is_closed = cursor.holder == lease and (
        not offsets or any(offset < one <= taken for one in offsets)
    )
    place = (subscription, number)
    if is_closed:
        asked = (
            "SELECT seq, key FROM outgrow.message "
            "WHERE topic = $1 AND partition = $2 AND seq > $3 AND seq <= $4"
        )
        window = [tuple(row) for row in await db.fetch(asked, topic, number, offset, taken)]
        await _read(db, partition, place, "seq > $3 AND seq <= $4 OR state = 3", offset, taken)
    if offsets:
        await _read(db, partition, place, "seq = ANY($3::bigint[])", list(offsets))
    else:
        holder = (lease.worker, lease.epoch)
        await _read(db, partition, place, "state = 1 AND worker = $3 AND epoch = $4", *holder)
    keys = {row.key for row in partition.rows.values()} | {key for _, key in window}
    await _load_keys(db, partition, place, keys)
    if is_closed:
        partition.unfold(window)
        partition.line_up_replayed()
    return partition


async def revive(
    db: Connection, subscription: str, number: int, offset: int, key: str | None, now_ms: int
) -> bool:
    """Park an event that comes back from the dead letters; False where nobody reads it."""
    found = await db.fetchrow(_CURSOR, subscription, number)
    if found is None or found["seq"] < offset:
        return False
    cursor = Cursor(found["seq"], found["taken"], lease_in(found["worker"], found["epoch"]))
    partition = Partition(number, cursor, found["attempts_max"], now_ms)
    await _load_keys(db, partition, (subscription, number), [key])
    partition.insert(Parked(offset, key, WAITING, 0, now_ms, is_stored=False))
    await save(db, subscription, partition)
    return True


async def _load_keys(
    db: Connection, partition: Partition, place: tuple[str, int], keys: Iterable[str | None]
) -> None:
    named = [key for key in keys if key is not None]
    if not named:
        return
    asked = (
        f"SELECT p.* FROM unnest($3::text[]) AS k (key) CROSS JOIN LATERAL (SELECT {_COLUMNS} "
        "FROM outgrow.parked WHERE subscription = $1 AND partition = $2 AND key = k.key "
        f"ORDER BY seq LIMIT {ROWS_OF_KEY_MAX}) p"
    )
    _keep(partition, await db.fetch(asked, *place, named))


async def _read(
    db: Connection, partition: Partition, place: tuple[str, int], condition: str, *values: object
) -> None:
    asked = f"SELECT {_COLUMNS} FROM outgrow.parked WHERE subscription = $1 AND partition = $2"
    _keep(partition, await db.fetch(f"{asked} AND ({condition})", *place, *values))


def _keep(partition: Partition, rows: Iterable[Row]) -> None:
    for offset, key, state, attempt, due_ms, worker, epoch, failure in rows:
        holder = lease_in(worker, epoch)
        partition.rows.setdefault(
            offset, Parked(offset, key, state, attempt, due_ms, holder, failure_in(failure))
        )


async def save(db: Connection, subscription: str, partition: Partition) -> None:
    """Write back what changed."""
    cursor, place = partition.cursor, (subscription, partition.number)
    for offset, attempts, failure in partition.dead:
        await _bury_event(db, place, offset, attempts, failure, partition.now_ms)
    if partition.deleted:
        asked = "DELETE FROM outgrow.parked WHERE subscription = $1 AND partition = $2 "
        await db.execute(asked + "AND seq = ANY($3::bigint[])", *place, list(partition.deleted))
    written = [partition.rows[offset] for offset in sorted(partition.written)]
    if written:
        columns = zip(*(_columns_of(row) for row in written), strict=True)
        await db.execute(_WRITE, *place, *(list(column) for column in columns))
    holder = cursor.holder
    await db.execute(
        "UPDATE outgrow.cursor SET seq = $3, taken = $4, worker = $5, epoch = $6 "
        "WHERE subscription = $1 AND partition = $2",
        *place,
        cursor.offset,
        cursor.taken,
        holder.worker if holder else None,
        holder.epoch if holder else None,
    )


def _columns_of(row: Parked) -> tuple[object, ...]:
    holder = row.holder if row.state == RUNNING else None
    return (
        *(row.offset, row.key, row.state, row.attempt, row.due_ms),
        holder.worker if holder else None,
        holder.epoch if holder else None,
        packed(row.failure),
    )


async def _bury_event(
    db: Connection,
    place: tuple[str, int],
    offset: int,
    attempts: int,
    failure: Failure,
    now_ms: int,
) -> None:
    found = await db.fetchrow(_BURY, *place, offset)
    if found is None:
        return
    subscription, number = place
    event = Publication(
        id=UUID(bytes=found["id"].bytes),
        topic=found["topic"],
        body=found["body"],
        key=found["key"],
        schema=found["schema"],
        headers=headers_of(found["headers"]),
    )
    copy = packed((number, offset, event)) or b""
    await bury(db, ("event", event.id, subscription, event.topic), attempts, now_ms, failure, copy)


async def bury(
    db: Connection,
    what: tuple[str, UUID, str, str],
    attempts: int,
    now_ms: int,
    failure: Failure | None,
    copy: bytes,
) -> None:
    """Keep a dead letter; `what` is its kind, id, source and name."""
    reason = failure or NO_REASON
    await db.execute(
        "INSERT INTO outgrow.dead "
        "(kind, id, source, name, attempts, died_ms, fingerprint, failure, copy) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        *(*what, attempts, now_ms, reason.fingerprint, packed(reason), copy),
    )


async def close_quickly(
    db: Connection, lease: Lease, subscription: str, outcomes: Sequence[EventOutcome]
) -> set[int]:
    """Close windows of which all is done, which is the usual case; which partitions that were."""
    done: dict[int, list[int]] = {}
    rest: set[int] = set()
    for one in outcomes:
        done.setdefault(one.position.partition, []).append(one.position.offset)
        if one.how != "done" or one.attempt != 1:
            rest.add(one.position.partition)
    whole = {number: sorted(set(found)) for number, found in done.items() if number not in rest}
    if not whole:
        return set()
    rows = await db.fetch(
        _CLOSE,
        *(subscription, lease.worker, lease.epoch),
        list(whole),
        [len(found) for found in whole.values()],
        [found[0] for found in whole.values()],
        [found[-1] for found in whole.values()],
        [number for number, found in whole.items() for _ in found],
        [offset for found in whole.values() for offset in found],
    )
    return {row["partition"] for row in rows}


async def parked_keys(
    db: Connection, subscription: str, numbers: Collection[int], keys: Collection[str]
) -> set[tuple[int, str]]:
    """Which of these keys are held up, and where."""
    if not keys:
        return set()
    asked = (
        "SELECT DISTINCT p.partition, p.key FROM unnest($2::int[]) AS w (partition) "
        "CROSS JOIN unnest($3::text[]) AS k (key) JOIN outgrow.parked p "
        "ON p.subscription = $1 AND p.partition = w.partition AND p.key = k.key"
    )
    any_parked = (
        "SELECT partition FROM unnest($2::int[]) AS w (partition) WHERE EXISTS (SELECT 1 "
        "FROM outgrow.parked p WHERE p.subscription = $1 AND p.partition = w.partition)"
    )
    some = [row["partition"] for row in await db.fetch(any_parked, subscription, list(numbers))]
    if not some:
        return set()
    return {tuple(row) for row in await db.fetch(asked, subscription, some, list(keys))}


async def park_behind(
    db: Connection, subscription: str, events: Sequence[tuple[int, int, str | None]]
) -> None:
    """Park events, by partition, offset and key, behind earlier ones of their key."""
    if events:
        await db.executemany(
            "INSERT INTO outgrow.parked "
            "(subscription, partition, seq, key, state, attempt, due_ms) "
            "VALUES ($1, $2, $3, $4, 2, 0, 0)",
            [(subscription, *event) for event in events],
        )


async def seize(
    db: Connection,
    lease: Lease,
    now_ms: int,
    *,
    is_counted: bool,
    subscription: str | None = None,
    known: Collection[Position] = (),
) -> Freed:
    """Take all events from a worker, or those of one subscription that it does not know of."""
    again = dead = 0
    for name, number in await db.fetch(_HELD, lease.worker, lease.epoch, subscription):
        partition = await load(db, name, number, now_ms, lease=lease)
        if partition is not None:
            freed = partition.seize(lease, is_counted=is_counted, known=known)
            again, dead = again + freed.again_count, dead + freed.dead_count
            await save(db, name, partition)
    return Freed(again, dead)
