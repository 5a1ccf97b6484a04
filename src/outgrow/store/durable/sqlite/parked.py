"""Parked events in an SQLite file: what `lanes` decides about is read and written here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.lanes import ROWS_OF_KEY_MAX, RUNNING, WAITING, Cursor, Parked, Partition
from outgrow.store.durable.packing import failure_in, headers_of, packed
from outgrow.store.durable.records import Freed, Publication
from outgrow.store.durable.sqlite.dead import bury
from outgrow.store.durable.sqlite.rows import lease_in, marks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from outgrow.store.durable.records import EventOutcome, Lease
    from outgrow.store.durable.sqlite.rows import WriterConnection

RUNNING_AGAIN = (
    "UPDATE parked SET state = 1, attempt = attempt + 1, worker = ?, epoch = ? "
    "WHERE subscription = ? AND partition = ? AND offset = ?"
)
_COLUMNS = "offset, key, state, attempt, due_ms, worker, epoch, failure"


def load(
    db: WriterConnection,
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
    place = (subscription, number)
    found = db.execute(
        "SELECT c.offset, c.taken, c.worker, c.epoch, s.attempts_max, s.topic FROM cursor c "
        "JOIN subscription s ON s.name = c.subscription "
        "WHERE c.subscription = ? AND c.partition = ?",
        place,
    ).fetchone()
    if found is None:
        return None
    offset, taken, worker, epoch, attempts_max, topic = found
    cursor = Cursor(offset, taken, lease_in(worker, epoch))
    partition = Partition(number, cursor, attempts_max, now_ms)
    window: list[tuple[int, str | None]] = []
    is_closed = cursor.holder == lease and (
        not offsets or any(offset < one <= taken for one in offsets)
    )
    if is_closed:
        asked = (
            "SELECT offset, key FROM message "
            "WHERE topic = ? AND partition = ? AND offset > ? AND offset <= ?"
        )
        window = db.execute(asked, (topic, number, offset, taken)).fetchall()
        _read(db, partition, place, "offset > ? AND offset <= ?", (offset, taken))
        _read(db, partition, place, "state = 3", ())
    if offsets:
        _read(db, partition, place, f"offset IN ({marks(len(offsets))})", offsets)
    else:
        holder = (lease.worker.bytes, lease.epoch)
        _read(db, partition, place, "state = 1 AND worker = ? AND epoch = ?", holder)
    keys = {row.key for row in partition.rows.values()} | {key for _, key in window}
    _load_keys(db, subscription, partition, keys)
    if is_closed:
        partition.unfold(window)
        partition.line_up_replayed()
    return partition


def revive(
    db: WriterConnection,
    subscription: str,
    number: int,
    offset: int,
    key: str | None,
    now_ms: int,
) -> bool:
    """Park an event that comes back from the dead letters; False where nobody reads it."""
    asked = (
        "SELECT c.offset, c.taken, c.worker, c.epoch, s.attempts_max FROM cursor c "
        "JOIN subscription s ON s.name = c.subscription "
        "WHERE c.subscription = ? AND c.partition = ?"
    )
    found = db.execute(asked, (subscription, number)).fetchone()
    if found is None or found[0] < offset:
        return False
    cursor = Cursor(found[0], found[1], lease_in(found[2], found[3]))
    partition = Partition(number, cursor, found[4], now_ms)
    _load_keys(db, subscription, partition, [key])
    partition.insert(Parked(offset, key, WAITING, 0, now_ms, is_stored=False))
    save(db, subscription, partition)
    return True


def _load_keys(
    db: WriterConnection, subscription: str, partition: Partition, keys: Iterable[str | None]
) -> None:
    place = (subscription, partition.number)
    for key in keys:
        if key is not None:
            limited = f"key = ? ORDER BY offset LIMIT {ROWS_OF_KEY_MAX}"
            _read(db, partition, place, limited, (key,))


def _read(
    db: WriterConnection,
    partition: Partition,
    place: tuple[str, int],
    condition: str,
    values: Sequence[object],
) -> None:
    asked = (
        f"SELECT {_COLUMNS} FROM parked WHERE subscription = ? AND partition = ? AND {condition}"
    )
    for row in db.execute(asked, (*place, *values)).fetchall():
        offset, key, state, attempt, due_ms, worker, epoch, failure = row
        holder = lease_in(worker, epoch)
        partition.rows.setdefault(
            offset, Parked(offset, key, state, attempt, due_ms, holder, failure_in(failure))
        )


def save(db: WriterConnection, subscription: str, partition: Partition) -> None:
    """Write back what changed."""
    cursor, place = partition.cursor, (subscription, partition.number)
    for offset, attempts, failure in partition.dead:
        _bury_event(db, subscription, partition, offset, attempts, packed(failure) or b"")
    db.executemany(
        "DELETE FROM parked WHERE subscription = ? AND partition = ? AND offset = ?",
        [(*place, offset) for offset in partition.deleted],
    )
    written = [partition.rows[offset] for offset in partition.written]
    db.executemany(
        "INSERT OR REPLACE INTO parked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*place, row.offset, row.key, *_state_of(row)) for row in written],
    )
    holder = cursor.holder
    db.execute(
        "UPDATE cursor SET offset = ?, taken = ?, worker = ?, epoch = ? "
        "WHERE subscription = ? AND partition = ?",
        (cursor.offset, cursor.taken)
        + ((holder.worker.bytes, holder.epoch) if holder else (None, None))
        + place,
    )


def _state_of(row: Parked) -> tuple[object, ...]:
    holder = row.holder if row.state == RUNNING else None
    return (
        row.state,
        row.attempt,
        row.due_ms,
        holder.worker.bytes if holder else None,
        holder.epoch if holder else None,
        packed(row.failure),
    )


def _bury_event(
    db: WriterConnection,
    subscription: str,
    partition: Partition,
    offset: int,
    attempts: int,
    failure: bytes,
) -> None:
    asked = (
        "SELECT m.id, m.topic, m.key, m.schema, m.body, m.headers FROM message m "
        "JOIN subscription s ON s.topic = m.topic "
        "WHERE s.name = ? AND m.partition = ? AND m.offset = ?"
    )
    found = db.execute(asked, (subscription, partition.number, offset)).fetchone()
    if found is None:
        return
    id, topic, key, schema, body, headers = found
    event = Publication(
        id=UUID(bytes=id),
        topic=topic,
        body=body,
        key=key,
        schema=schema,
        headers=headers_of(headers),
    )
    copy = packed((partition.number, offset, event)) or b""
    died = (attempts, partition.now_ms, failure)
    bury(db, ("event", id, subscription, topic), died, copy)


def close_quickly(
    db: WriterConnection,
    lease: Lease,
    subscription: str,
    number: int,
    outcomes: Sequence[EventOutcome],
) -> bool:
    """Close a window of which all is done, which is the usual case; False where this is not one."""
    if any(one.how != "done" or one.attempt != 1 for one in outcomes):
        return False
    place = (subscription, number)
    asked = (
        "SELECT offset, taken, worker, epoch FROM cursor WHERE subscription = ? AND partition = ?"
    )
    found = db.execute(asked, place).fetchone()
    if found is None or found[2:] != (lease.worker.bytes, lease.epoch):
        return False
    offset, taken, _, _ = found
    settled = {one.position.offset for one in outcomes}
    if min(settled) <= offset or max(settled) > taken:
        return False
    asked = (
        "SELECT offset FROM parked WHERE subscription = ? AND partition = ? "
        "AND (offset > ? AND offset <= ? OR state = 3)"
    )
    parked = {row[0] for row in db.execute(asked, (*place, offset, taken)).fetchall()}
    if len(settled) + len(parked) != taken - offset or parked & settled:
        return False
    if any(not offset < one <= taken for one in parked):
        return False  # one came back from the dead letters, and waits for this
    db.execute(
        "UPDATE cursor SET offset = taken, worker = NULL, epoch = NULL "
        "WHERE subscription = ? AND partition = ?",
        place,
    )
    return True


def parked_keys(
    db: WriterConnection, subscription: str, number: int, keys: Collection[str | None]
) -> set[str]:
    """Which of these keys are held up."""
    any_parked = "SELECT 1 FROM parked WHERE subscription = ? AND partition = ? LIMIT 1"
    if db.execute(any_parked, (subscription, number)).fetchone() is None:
        return set()
    asked = "SELECT 1 FROM parked WHERE subscription = ? AND partition = ? AND key = ? LIMIT 1"
    named = [key for key in keys if key is not None]
    return {key for key in named if db.execute(asked, (subscription, number, key)).fetchone()}


def park_behind(
    db: WriterConnection,
    subscription: str,
    number: int,
    events: Iterable[tuple[int, str | None]],
) -> None:
    """Park events behind earlier ones of their key."""
    db.executemany(
        "INSERT INTO parked VALUES (?, ?, ?, ?, 2, 0, 0, NULL, NULL, NULL)",
        [(subscription, number, offset, key) for offset, key in events],
    )


def seize(db: WriterConnection, lease: Lease, now_ms: int, *, is_counted: bool) -> Freed:
    """Take all events from a worker."""
    holder = (lease.worker.bytes, lease.epoch)
    asked = (
        "SELECT subscription, partition FROM cursor WHERE worker = ? AND epoch = ? "
        "UNION SELECT subscription, partition FROM parked "
        "WHERE state = 1 AND worker = ? AND epoch = ?"
    )
    again = dead = 0
    for subscription, number in db.execute(asked, (*holder, *holder)).fetchall():
        partition = load(db, subscription, number, now_ms, lease=lease)
        if partition is not None:
            freed = partition.seize(lease, is_counted=is_counted)
            again, dead = again + freed.again_count, dead + freed.dead_count
            save(db, subscription, partition)
    return Freed(again, dead)
