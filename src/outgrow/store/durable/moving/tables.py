"""What a store keeps, table by table, in the order in which it moves.

The tables have the same columns on both engines, but for some names. Leases are not among them:
nobody holds anything while a store moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

Row: TypeAlias = tuple[Any, ...]
"""Values as SQLite has them, in the order of `Table.columns`."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: Of the table.
        what: What its rows are, for people.
        key: Columns by which it is read, in order.
        others: The other columns.
    """

    name: str
    what: str
    key: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, as SQLite names them."""
        return self.key + self.others

    @property
    def postgres_columns(self) -> tuple[str, ...]:
        """All columns, as PostgreSQL names them."""
        return tuple("seq" if name == "offset" else name for name in self.columns)

    def key_of(self, row: Row) -> Row:
        """What to read on from, after this row."""
        return row[: len(self.key)]

    def for_postgres(self, row: Row) -> Row:
        """A row as PostgreSQL takes it."""
        return tuple(_taken(*one) for one in zip(self.columns, row, strict=True))


def _taken(column: str, value: Any) -> Any:
    if column == "id":
        return UUID(bytes=value)
    return bool(value) if column.startswith(("is_", "has_")) else value


TABLES = (
    Table("shape", "shapes of arguments and events", ("name", "schema"), ("described",)),
    Table(
        "queue",
        "queues",
        ("name",),
        (
            *("is_paused", "slots", "rate_count", "rate_per_ms", "rate_burst"),
            *("tokens", "refilled_ms"),
        ),
    ),
    Table("schedule", "schedules", ("name",), ("last_tick_ms",)),
    Table("received", "ids that come once", ("id",)),
    Table("unique_mark", "marks of unique jobs", ("unique_key",), ("id", "until_ms")),
    Table("step", "results of steps", ("id", "name"), ("result",)),
    Table(
        "job",
        "jobs that wait",
        ("number",),
        (
            *("id", "kind", "queue", "rank", "place", "state", "attempt", "attempts_max"),
            *("enqueued_ms", "run_at_ms", "expires_at_ms", "started_ms", "timeout_ms"),
            *("unique_key", "key", "key_slots", "key_slot", "has_steps"),
            *("schema", "body", "headers", "progress", "failure"),
        ),
    ),
    Table(
        "dead",
        "dead letters",
        ("number",),
        (
            *("kind", "id", "source", "name", "attempts", "died_ms", "fingerprint"),
            *("failure", "copy"),
        ),
    ),
    Table("subscription", "subscriptions", ("name",), ("topic", "attempts_max", "is_paused")),
    Table("cursor", "cursors", ("subscription", "partition"), ("offset", "taken")),
    Table(
        "parked",
        "events that wait for another try",
        ("subscription", "partition", "offset"),
        ("key", "state", "attempt", "due_ms", "failure"),
    ),
    Table("head", "ends of partitions", ("topic", "partition"), ("offset",)),
    Table(
        "message",
        "events",
        ("topic", "partition", "offset"),
        ("id", "key", "schema", "appended_ms", "body", "headers"),
    ),
    Table(
        "job_done",
        "jobs that ended",
        ("id",),
        (
            *("kind", "queue", "state", "attempt", "key", "enqueued_ms", "started_ms"),
            *("finished_ms", "result", "failure"),
        ),
    ),
)
