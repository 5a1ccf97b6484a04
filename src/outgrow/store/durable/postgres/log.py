"""The log in PostgreSQL.

The row of a partition's head is its sequencer: who appends has it locked until the commit, so that
offsets have no gaps and appear in their order. Reading by a sequence instead loses what commits
late. What is asked for at the same time shares one transaction, so that the lock costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.batcher import Batcher
from outgrow.store.durable.checks import check_events, check_name, check_topic
from outgrow.store.durable.errors import SubscriptionMissingError
from outgrow.store.durable.handing import handed_over
from outgrow.store.durable.ids import PARTITIONS_COUNT, partition_of
from outgrow.store.durable.packing import headers_of, packed
from outgrow.store.durable.postgres.parked import (
    close_quickly,
    load,
    park_behind,
    parked_keys,
    save,
    seize,
)
from outgrow.store.durable.postgres.rows import no_lease
from outgrow.store.durable.protocol import COUNT_MAX, TAKE_MAX, FromOffsets, FromTime
from outgrow.store.durable.records import (
    Delivery,
    EventOutcome,
    Position,
    Publication,
    SubscriptionView,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from outgrow.store.durable.postgres.pool import Connection, Pool
    from outgrow.store.durable.postgres.rows import Row
    from outgrow.store.durable.protocol import Start
    from outgrow.store.durable.records import Lease

_MESSAGE = "m.partition, m.seq, m.id, m.topic, m.key, m.schema, m.appended_ms, m.body, m.headers"
_RECEIVE = (
    "INSERT INTO outgrow.received SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id"
)
_HEADS = """
INSERT INTO outgrow.head (topic, partition, seq)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET seq = head.seq + excluded.seq
RETURNING topic, partition, seq
"""
_APPEND = """
INSERT INTO outgrow.message (topic, partition, seq, id, key, schema, appended_ms, body, headers)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[], $5::text[], $6::text[],
    $7::bigint[], $8::bytea[], $9::bytea[])
"""
_READER = """
SELECT s.topic, s.is_paused, w.id IS NOT NULL AS is_alive FROM outgrow.subscription s
LEFT JOIN outgrow.worker w ON w.id = $2 AND w.epoch = $3 WHERE s.name = $1
"""
_ALIVE = "SELECT 1 FROM outgrow.worker WHERE id = $1 AND epoch = $2 FOR KEY SHARE"
_PARKED = f"""
WITH due AS (
    SELECT p.partition, p.seq FROM outgrow.parked p JOIN outgrow.cursor c
    ON c.subscription = p.subscription AND c.partition = p.partition
    WHERE p.subscription = $1 AND p.state = 0 AND p.due_ms <= $2
    ORDER BY p.due_ms LIMIT $3 FOR UPDATE OF p, c SKIP LOCKED
), running AS (
    UPDATE outgrow.parked p SET state = 1, attempt = attempt + 1, worker = $4, epoch = $5
    FROM due WHERE p.subscription = $1 AND p.partition = due.partition AND p.seq = due.seq
    RETURNING p.partition, p.seq, p.attempt
)
SELECT {_MESSAGE}, r.attempt FROM running r JOIN outgrow.message m
ON m.topic = $6 AND m.partition = r.partition AND m.seq = r.seq ORDER BY r.partition, r.seq
"""
_LAGGING = """
SELECT c.partition, c.taken FROM outgrow.cursor c JOIN outgrow.head h
ON h.topic = $1 AND h.partition = c.partition AND h.seq > c.taken
WHERE c.subscription = $2 AND c.worker IS NULL
ORDER BY (c.partition + $3) % 64 FOR UPDATE OF c SKIP LOCKED
"""
_WINDOW = f"""
SELECT {_MESSAGE} FROM unnest($2::int[], $3::bigint[]) AS w (partition, taken)
CROSS JOIN LATERAL (
    SELECT * FROM outgrow.message m
    WHERE m.topic = $1 AND m.partition = w.partition AND m.seq > w.taken ORDER BY m.seq LIMIT $4
) m LIMIT $4
"""
_OPEN = """
UPDATE outgrow.cursor c SET seq = CASE WHEN w.is_given THEN c.seq ELSE w.last END, taken = w.last,
    worker = CASE WHEN w.is_given THEN $2::uuid END,
    epoch = CASE WHEN w.is_given THEN $3::bigint END
FROM unnest($4::int[], $5::bigint[], $6::boolean[]) AS w (partition, last, is_given)
WHERE c.subscription = $1 AND c.partition = w.partition
"""


class PostgresLog:
    """The events of one database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._appends: Batcher[Sequence[Publication], list[Position | None]] = Batcher(
            self._append, size=len
        )

    async def close(self) -> None:
        """Send what waits."""
        await self._appends.close()

    async def append(self, events: Sequence[Publication]) -> list[Position | None]:
        """Keep events."""
        check_events(events)
        return await self._appends.put(events)

    async def subscribe(
        self, name: str, topic: str, *, start: Start = "end", attempts_max: int = 5
    ) -> None:
        """Have a cursor on a topic."""
        check_name("subscription", name)
        check_name("topic", topic)

        async def subscribe(db: Connection) -> None:
            kept = await db.fetchrow(
                "INSERT INTO outgrow.subscription VALUES ($1, $2, $3) ON CONFLICT (name) "
                "DO UPDATE SET attempts_max = excluded.attempts_max "
                "RETURNING topic, xmax = 0 AS is_new",
                *(name, topic, attempts_max),
            )
            assert kept is not None
            check_topic(name, kept["topic"], topic)
            if kept["is_new"]:
                starts = dict.fromkeys(range(PARTITIONS_COUNT), 0) | await _starts(db, topic, start)
                await db.execute(
                    "INSERT INTO outgrow.cursor (subscription, partition, seq, taken) "
                    "SELECT $1, w.*, w.seq FROM unnest($2::int[], $3::bigint[]) AS w (p, seq)",
                    *(name, list(starts), list(starts.values())),
                )

        await self._pool.run(subscribe)

    async def unsubscribe(self, name: str) -> None:
        """Forget a cursor."""

        async def forget(db: Connection) -> None:
            await db.execute("DELETE FROM outgrow.cursor WHERE subscription = $1", name)
            await db.execute("DELETE FROM outgrow.parked WHERE subscription = $1", name)
            await db.execute("DELETE FROM outgrow.subscription WHERE name = $1", name)

        await self._pool.run(forget)

    async def take(self, lease: Lease, subscription: str, *, limit: int = 100) -> list[Delivery]:
        """Events to handle now."""
        at_most = max(1, min(limit, TAKE_MAX))
        return await handed_over(
            self._pool.run(lambda db: self._take(db, lease, subscription, at_most)),
            lambda taken: self.settle(lease, subscription, [one.returned() for one in taken]),
        )

    async def settle(
        self, lease: Lease, subscription: str, outcomes: Sequence[EventOutcome]
    ) -> list[bool]:
        """Say how handling ended."""

        async def settle(db: Connection) -> list[bool]:
            answers = [False] * len(outcomes)
            by_partition: dict[int, list[int]] = {}
            for place, outcome in enumerate(outcomes):
                by_partition.setdefault(outcome.position.partition, []).append(place)
            closed = await close_quickly(db, lease, subscription, outcomes)
            for number, places in sorted(by_partition.items()):
                here = [outcomes[place] for place in places]
                results = [True] * len(here)
                if number not in closed:
                    results = await self._settle_in(db, lease, subscription, number, here)
                for place, result in zip(places, results, strict=True):
                    answers[place] = result
            return answers

        return await self._pool.run(settle)

    async def strays(self, lease: Lease, subscription: str, known: Collection[Position]) -> int:
        """Take back what the worker does not know of."""
        at_ms = self._pool.now_ms()
        freed = await self._pool.run(
            lambda db: seize(
                db, lease, at_ms, is_counted=False, subscription=subscription, known=known
            )
        )
        return freed.again_count

    async def rewind(self, subscription: str, start: Start) -> None:
        """Read again, or skip."""

        async def move(db: Connection) -> None:
            asked = "SELECT topic FROM outgrow.subscription WHERE name = $1"
            topic = await db.fetchval(asked, subscription)
            if topic is None:
                raise _no_subscription(subscription)
            starts = await _starts(db, topic, start)
            await db.execute(
                "UPDATE outgrow.cursor c SET seq = w.seq, taken = w.seq, worker = NULL, "
                "epoch = NULL FROM unnest($2::int[], $3::bigint[]) AS w (partition, seq) "
                "WHERE c.subscription = $1 AND c.partition = w.partition",
                *(subscription, list(starts), list(starts.values())),
            )
            asked = "DELETE FROM outgrow.parked WHERE subscription = $1 AND partition = ANY($2)"
            await db.execute(asked, subscription, list(starts))

        await self._pool.run(move)

    async def pause_subscription(self, name: str, *, paused: bool) -> None:
        """Give out nothing more, or go on."""
        asked = "UPDATE outgrow.subscription SET is_paused = $2 WHERE name = $1 RETURNING 1"
        if await self._pool.run(lambda db: db.fetchval(asked, name, paused)) is None:
            raise _no_subscription(name)

    async def subscriptions(self) -> list[SubscriptionView]:
        """All of them."""
        asked = f"""
            SELECT s.*, coalesce((SELECT sum(h.seq - c.taken) FROM outgrow.cursor c
                JOIN outgrow.head h ON h.topic = s.topic AND h.partition = c.partition
                WHERE c.subscription = s.name), 0)::bigint AS unread,
            (SELECT count(*) FROM (SELECT 1 FROM outgrow.parked p WHERE p.subscription = s.name
                LIMIT {COUNT_MAX}) q) AS parked,
            (SELECT min(p.due_ms) FROM outgrow.parked p WHERE p.subscription = s.name
                AND p.state = 0) AS next_try
            FROM outgrow.subscription s ORDER BY s.name"""
        return [
            SubscriptionView(
                name=row["name"],
                topic=row["topic"],
                attempts_max=row["attempts_max"],
                is_paused=row["is_paused"],
                unread_count=row["unread"],
                parked_count=row["parked"],
                next_try_ms=row["next_try"],
            )
            for row in await self._pool.run(lambda db: db.fetch(asked))
        ]

    async def _append(self, batch: Sequence[Sequence[Publication]]) -> list[list[Position | None]]:
        events = [one for events in batch for one in events]
        positions = iter(await self._pool.run(lambda db: self._append_all(db, events)))
        return [[next(positions) for _ in events] for events in batch]

    async def _append_all(
        self, db: Connection, events: Sequence[Publication]
    ) -> list[Position | None]:
        # In the order of their ids, so that two who send the same ones do not wait for each other.
        rows = await db.fetch(_RECEIVE, sorted({one.id for one in events}))
        fresh = {UUID(bytes=row["id"].bytes) for row in rows}
        places: list[tuple[Publication, int] | None] = []
        for one in events:
            places.append((one, partition_of(one.key, one.id)) if one.id in fresh else None)
            fresh.discard(one.id)
        kept = [place for place in places if place is not None]
        if not kept:
            return [None] * len(events)
        last = await _next_offsets(db, kept)
        now_ms = self._pool.now_ms()
        columns: list[tuple[object, ...]] = []
        positions: list[Position | None] = []
        for place in places:
            if place is None:
                positions.append(None)
                continue
            one, number = place
            last[one.topic, number] += 1
            offset = last[one.topic, number]
            positions.append(Position(number, offset))
            columns.append(
                (
                    one.topic,
                    number,
                    offset,
                    one.id,
                    one.key,
                    one.schema,
                    now_ms,
                    one.body,
                    packed(one.headers),
                )
            )
        await db.execute(_APPEND, *(list(column) for column in zip(*columns, strict=True)))
        return positions

    async def _take(
        self, db: Connection, lease: Lease, subscription: str, limit: int
    ) -> list[Delivery]:
        found = await db.fetchrow(_READER, subscription, lease.worker, lease.epoch)
        if found is None:
            raise _no_subscription(subscription)
        # Locked, so that who buries us now waits until what we take can be seen.
        if not await db.fetchval(_ALIVE, lease.worker, lease.epoch):
            raise no_lease(lease)
        if found["is_paused"]:
            return []
        topic, now_ms = found["topic"], self._pool.now_ms()
        holder = (lease.worker, lease.epoch)
        rows = await db.fetch(_PARKED, subscription, now_ms, limit, *holder, topic)
        taken = [_delivery(row, row["attempt"], now_ms) for row in rows]
        lagging = await db.fetch(_LAGGING, topic, subscription, now_ms % PARTITIONS_COUNT)
        if lagging and len(taken) < limit:
            numbers, offsets = zip(*lagging, strict=True)
            room = limit - len(taken)
            rows = await db.fetch(_WINDOW, topic, list(numbers), list(offsets), room)
            taken += await self._open(db, lease, subscription, rows)
        return taken

    async def _open(
        self, db: Connection, lease: Lease, subscription: str, rows: Sequence[Row]
    ) -> list[Delivery]:
        keys = {row["key"] for row in rows if row["key"] is not None}
        numbers = {row["partition"] for row in rows}
        held_up = await parked_keys(db, subscription, numbers, keys)
        given: list[Delivery] = []
        behind: list[tuple[int, int, str | None]] = []
        last: dict[int, int] = {}
        for row in rows:
            number, offset, key = row["partition"], row["seq"], row["key"]
            last[number] = offset
            if (number, key) in held_up:
                behind.append((number, offset, key))
            else:
                given.append(_delivery(row, 1, self._pool.now_ms()))
        await park_behind(db, subscription, behind)
        are_given = {one.position.partition for one in given}
        await db.execute(
            _OPEN,
            *(subscription, lease.worker, lease.epoch, list(last), list(last.values())),
            [number in are_given for number in last],
        )
        return given

    async def _settle_in(
        self,
        db: Connection,
        lease: Lease,
        subscription: str,
        number: int,
        outcomes: Sequence[EventOutcome],
    ) -> list[bool]:
        offsets = [one.position.offset for one in outcomes]
        now_ms = self._pool.now_ms()
        partition = await load(db, subscription, number, now_ms, lease=lease, offsets=offsets)
        if partition is None:
            return [False] * len(outcomes)
        results = partition.settle(lease, outcomes)
        await save(db, subscription, partition)
        return results


async def _next_offsets(
    db: Connection, kept: Sequence[tuple[Publication, int]]
) -> dict[tuple[str, int], int]:
    """The offset before the first new one, by topic and partition."""
    counts: dict[tuple[str, int], int] = {}
    for one, number in kept:
        counts[one.topic, number] = counts.get((one.topic, number), 0) + 1
    wanted = sorted(counts)
    rows = await db.fetch(
        _HEADS,
        [topic for topic, _ in wanted],
        [number for _, number in wanted],
        [counts[place] for place in wanted],
    )
    return {(topic, number): last - counts[topic, number] for topic, number, last in rows}


async def _starts(db: Connection, topic: str, start: Start) -> dict[int, int]:
    """The offset before the first event to read, by partition."""
    asked = "SELECT partition, seq FROM outgrow.head WHERE topic = $1 FOR SHARE"
    heads: dict[int, int] = dict(await db.fetch(asked, topic))
    if start == "end":
        return heads
    if isinstance(start, FromOffsets):
        wanted = start.by_partition.items()
        return {n: max(0, min(offset - 1, heads.get(n, 0))) for n, offset in wanted}
    after_ms = start.at_ms if isinstance(start, FromTime) else 0
    asked = (
        "SELECT partition, min(seq) - 1 FROM outgrow.message "
        "WHERE topic = $1 AND appended_ms >= $2 GROUP BY partition"
    )
    return heads | dict(await db.fetch(asked, topic, after_ms))


def _delivery(row: Row, attempt: int, now_ms: int) -> Delivery:
    event = Publication(
        id=UUID(bytes=row["id"].bytes),
        topic=row["topic"],
        body=row["body"],
        key=row["key"],
        schema=row["schema"],
        headers=headers_of(row["headers"]),
    )
    return Delivery(
        position=Position(row["partition"], row["seq"]),
        attempt=attempt,
        appended_ms=row["appended_ms"],
        event=event,
        waited_ms=max(0, now_ms - row["appended_ms"]) if attempt == 1 else 0,
    )


def _no_subscription(name: str) -> SubscriptionMissingError:
    return SubscriptionMissingError(f"there is no subscription `{name}`")
