"""The log in an SQLite file. Its writer is the sequencer: one, so that offsets have no gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.checks import check_events, check_name, check_topic
from outgrow.store.durable.errors import SubscriptionMissingError
from outgrow.store.durable.handing import handed_over
from outgrow.store.durable.ids import PARTITIONS_COUNT, partition_of
from outgrow.store.durable.packing import headers_of, packed
from outgrow.store.durable.protocol import COUNT_MAX, TAKE_MAX, FromOffsets, FromTime
from outgrow.store.durable.records import (
    Delivery,
    EventOutcome,
    Position,
    Publication,
    SubscriptionView,
)
from outgrow.store.durable.sqlite.parked import (
    RUNNING_AGAIN,
    close_quickly,
    load,
    park_behind,
    parked_keys,
    save,
)
from outgrow.store.durable.sqlite.rows import check_lease

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.protocol import Start
    from outgrow.store.durable.records import Lease
    from outgrow.store.durable.sqlite.rows import Row, WriterConnection
    from outgrow.store.durable.sqlite.writer import Writer

_MESSAGE = "m.partition, m.offset, m.id, m.topic, m.key, m.schema, m.appended_ms, m.body, m.headers"


class SqliteLog:
    """The events of one file."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    async def append(self, events: Sequence[Publication]) -> list[Position | None]:
        """Keep events."""
        check_events(events)
        return await self._writer.run(lambda db: _append(db, events, self._clock()))

    async def subscribe(
        self, name: str, topic: str, *, start: Start = "end", attempts_max: int = 5
    ) -> None:
        """Have a cursor on a topic."""
        check_name("subscription", name)
        check_name("topic", topic)
        await self._writer.run(lambda db: _subscribe(db, name, topic, start, attempts_max))

    async def unsubscribe(self, name: str) -> None:
        """Forget a cursor."""

        def forget(db: WriterConnection) -> None:
            db.execute("DELETE FROM parked WHERE subscription = ?", (name,))
            db.execute("DELETE FROM cursor WHERE subscription = ?", (name,))
            db.execute("DELETE FROM subscription WHERE name = ?", (name,))

        await self._writer.run(forget)

    async def take(self, lease: Lease, subscription: str, *, limit: int = 100) -> list[Delivery]:
        """Events to handle now."""
        at_most = max(1, min(limit, TAKE_MAX))
        return await handed_over(
            self._writer.run(lambda db: _take(db, lease, subscription, at_most, self._clock())),
            lambda taken: self.settle(lease, subscription, [one.returned() for one in taken]),
        )

    async def settle(
        self, lease: Lease, subscription: str, outcomes: Sequence[EventOutcome]
    ) -> list[bool]:
        """Say how handling ended."""
        return await self._writer.run(
            lambda db: _settle(db, lease, subscription, outcomes, self._clock())
        )

    async def strays(self, lease: Lease, subscription: str, known: Collection[Position]) -> int:
        """Take back what the worker does not know of."""

        def take_back(db: WriterConnection) -> int:
            again = 0
            for number in _partitions_held(db, subscription, lease):
                partition = load(db, subscription, number, self._clock(), lease=lease)
                if partition is not None:
                    again += partition.seize(lease, is_counted=False, known=known).again_count
                    save(db, subscription, partition)
            return again

        return await self._writer.run(take_back)

    async def rewind(self, subscription: str, start: Start) -> None:
        """Read again, or skip."""

        def move(db: WriterConnection) -> None:
            topic, _, _ = _subscription(db, subscription)
            for number, offset in _starts(db, topic, start).items():
                db.execute(
                    "UPDATE cursor SET offset = ?, taken = ?, worker = NULL, epoch = NULL "
                    "WHERE subscription = ? AND partition = ?",
                    (offset, offset, subscription, number),
                )
                db.execute(
                    "DELETE FROM parked WHERE subscription = ? AND partition = ?",
                    (subscription, number),
                )

        await self._writer.run(move)

    async def pause_subscription(self, name: str, *, paused: bool) -> None:
        """Give out nothing more, or go on."""

        def pause(db: WriterConnection) -> None:
            _subscription(db, name)
            db.execute("UPDATE subscription SET is_paused = ? WHERE name = ?", (paused, name))

        await self._writer.run(pause)

    async def subscriptions(self) -> list[SubscriptionView]:
        """All of them."""
        return await self._writer.run(_views)


def _append(
    db: WriterConnection, events: Sequence[Publication], now_ms: int
) -> list[Position | None]:
    positions: list[Position | None] = []
    rows: list[Row] = []
    for one in events:
        kept = db.execute("INSERT OR IGNORE INTO received VALUES (?)", (one.id.bytes,))
        if not kept.rowcount:
            positions.append(None)
            continue
        number = partition_of(one.key, one.id)
        asked = (
            "INSERT INTO head VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET offset = offset + 1 RETURNING offset"
        )
        offset = db.execute(asked, (one.topic, number)).fetchall()[0][0]
        positions.append(Position(number, offset))
        rows.append(
            (
                one.topic,
                number,
                offset,
                one.id.bytes,
                one.key,
                one.schema,
                now_ms,
                one.body,
                packed(one.headers),
            )
        )
    db.executemany("INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return positions


def keep_again(
    db: WriterConnection, number: int, offset: int, event: Publication, now_ms: int
) -> None:
    """Have an event stand where it stood, though its time in the log is over."""
    db.execute(
        "INSERT OR IGNORE INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.topic,
            number,
            offset,
            event.id.bytes,
            event.key,
            event.schema,
            now_ms,
            event.body,
            packed(event.headers),
        ),
    )


def _subscribe(
    db: WriterConnection, name: str, topic: str, start: Start, attempts_max: int
) -> None:
    added = db.execute(
        "INSERT INTO subscription VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
        (name, topic, attempts_max),
    )
    if not added.rowcount:
        check_topic(name, _subscription(db, name)[0], topic)
        db.execute("UPDATE subscription SET attempts_max = ? WHERE name = ?", (attempts_max, name))
        return
    starts = dict.fromkeys(range(PARTITIONS_COUNT), 0) | _starts(db, topic, start)
    db.executemany(
        "INSERT INTO cursor VALUES (?, ?, ?, ?, NULL, NULL)",
        [(name, number, offset, offset) for number, offset in starts.items()],
    )


def _starts(db: WriterConnection, topic: str, start: Start) -> dict[int, int]:
    """The offset before the first event to read, by partition."""
    heads: dict[int, int] = dict(
        db.execute("SELECT partition, offset FROM head WHERE topic = ?", (topic,)).fetchall()
    )
    if start == "end":
        return heads
    if isinstance(start, FromOffsets):
        wanted = start.by_partition.items()
        return {n: max(0, min(offset - 1, heads.get(n, 0))) for n, offset in wanted}
    after_ms = start.at_ms if isinstance(start, FromTime) else 0
    asked = (
        "SELECT partition, min(offset) - 1 FROM message WHERE topic = ? AND appended_ms >= ? "
        "GROUP BY partition"
    )
    return heads | dict(db.execute(asked, (topic, after_ms)).fetchall())


def _take(
    db: WriterConnection, lease: Lease, subscription: str, limit: int, now_ms: int
) -> list[Delivery]:
    check_lease(db, lease)
    topic, _, is_paused = _subscription(db, subscription)
    if is_paused:
        return []
    taken = _take_parked(db, lease, subscription, topic, limit, now_ms)
    asked = (
        "SELECT c.partition, c.taken FROM cursor c JOIN head h "
        "ON h.topic = ? AND h.partition = c.partition AND h.offset > c.taken "
        "WHERE c.subscription = ? AND c.worker IS NULL"
    )
    behind = db.execute(asked, (topic, subscription)).fetchall()
    # Not always from the first, which a busy worker would never get past.
    first = now_ms % len(behind) if behind else 0
    for number, offset in behind[first:] + behind[:first]:
        if len(taken) >= limit:
            break
        room = limit - len(taken)
        taken += _open_window(db, lease, subscription, (topic, number, offset), room, now_ms)
    return taken


def _take_parked(
    db: WriterConnection, lease: Lease, subscription: str, topic: str, limit: int, now_ms: int
) -> list[Delivery]:
    asked = (
        f"SELECT {_MESSAGE}, p.attempt + 1 FROM parked p INDEXED BY parked_due JOIN message m "
        "ON m.topic = ? AND m.partition = p.partition AND m.offset = p.offset "
        "WHERE p.subscription = ? AND p.state = 0 AND p.due_ms <= ? ORDER BY p.due_ms LIMIT ?"
    )
    rows = db.execute(asked, (topic, subscription, now_ms, limit)).fetchall()
    holder = (lease.worker.bytes, lease.epoch, subscription)
    db.executemany(RUNNING_AGAIN, [(*holder, row[0], row[1]) for row in rows])
    return [_delivery(row[:-1], row[-1], now_ms) for row in rows]


def _open_window(
    db: WriterConnection,
    lease: Lease,
    subscription: str,
    place: tuple[str, int, int],
    limit: int,
    now_ms: int,
) -> list[Delivery]:
    topic, number, offset = place
    asked = (
        f"SELECT {_MESSAGE} FROM message m WHERE topic = ? AND partition = ? AND offset > ? "
        "ORDER BY offset LIMIT ?"
    )
    rows = db.execute(asked, (topic, number, offset, limit)).fetchall()
    if not rows:
        return []
    held_up = parked_keys(db, subscription, number, {row[4] for row in rows})
    behind = [(row[1], row[4]) for row in rows if row[4] in held_up]
    if behind:
        park_behind(db, subscription, number, behind)
    given = [_delivery(row, 1, now_ms) for row in rows if row[4] not in held_up]
    last = rows[-1][1]
    holder = (lease.worker.bytes, lease.epoch) if given else (None, None)
    db.execute(
        "UPDATE cursor SET offset = ?, taken = ?, worker = ?, epoch = ? "
        "WHERE subscription = ? AND partition = ?",
        (offset if given else last, last, *holder, subscription, number),
    )
    return given


def _settle(
    db: WriterConnection,
    lease: Lease,
    subscription: str,
    outcomes: Sequence[EventOutcome],
    now_ms: int,
) -> list[bool]:
    answers = [False] * len(outcomes)
    by_partition: dict[int, list[int]] = {}
    for place, outcome in enumerate(outcomes):
        by_partition.setdefault(outcome.position.partition, []).append(place)
    for number, places in by_partition.items():
        here = [outcomes[place] for place in places]
        if close_quickly(db, lease, subscription, number, here):
            results = [True] * len(here)
        else:
            offsets = [one.position.offset for one in here]
            partition = load(db, subscription, number, now_ms, lease=lease, offsets=offsets)
            if partition is None:
                continue
            results = partition.settle(lease, here)
            save(db, subscription, partition)
        for place, result in zip(places, results, strict=True):
            answers[place] = result
    return answers


def _partitions_held(db: WriterConnection, subscription: str, lease: Lease) -> list[int]:
    holder = (subscription, lease.worker.bytes, lease.epoch)
    asked = (
        "SELECT partition FROM cursor WHERE subscription = ? AND worker = ? AND epoch = ? "
        "UNION SELECT partition FROM parked "
        "WHERE subscription = ? AND state = 1 AND worker = ? AND epoch = ?"
    )
    return [row[0] for row in db.execute(asked, (*holder, *holder)).fetchall()]


def _views(db: WriterConnection) -> list[SubscriptionView]:
    unread = (
        "SELECT coalesce(sum(h.offset - c.taken), 0) FROM cursor c JOIN head h "
        "ON h.topic = ? AND h.partition = c.partition WHERE c.subscription = ?"
    )
    parked = "SELECT count(*) FROM (SELECT 1 FROM parked WHERE subscription = ? LIMIT ?)"
    next_try = "SELECT min(due_ms) FROM parked WHERE subscription = ? AND state = 0"
    asked = "SELECT name, topic, attempts_max, is_paused FROM subscription ORDER BY name"
    return [
        SubscriptionView(
            name=name,
            topic=topic,
            attempts_max=attempts_max,
            is_paused=bool(is_paused),
            unread_count=db.execute(unread, (topic, name)).fetchone()[0],
            parked_count=db.execute(parked, (name, COUNT_MAX)).fetchone()[0],
            next_try_ms=db.execute(next_try, (name,)).fetchone()[0],
        )
        for name, topic, attempts_max, is_paused in db.execute(asked).fetchall()
    ]


def _subscription(db: WriterConnection, name: str) -> tuple[str, int, bool]:
    asked = "SELECT topic, attempts_max, is_paused FROM subscription WHERE name = ?"
    found = db.execute(asked, (name,)).fetchone()
    if found is None:
        raise SubscriptionMissingError(f"there is no subscription `{name}`")
    return found


def _delivery(row: Row, attempt: int, now_ms: int) -> Delivery:
    number, offset, id, topic, key, schema, appended_ms, body, headers = row
    event = Publication(
        id=UUID(bytes=id),
        topic=topic,
        body=body,
        key=key,
        schema=schema,
        headers=headers_of(headers),
    )
    return Delivery(
        position=Position(number, offset),
        attempt=attempt,
        appended_ms=appended_ms,
        event=event,
        waited_ms=max(0, now_ms - appended_ms) if attempt == 1 else 0,
    )
