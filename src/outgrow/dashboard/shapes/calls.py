"""What was called, how often and how well: operations, links, statements, stations."""

from __future__ import annotations

from typing import Literal

import msgspec

from outgrow.dashboard.shapes.shape import Mark

NodeKind = Literal["edge", "service", "database", "outside"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the app on the map.

    Attributes:
        name: The service, `edge` for the HTTP side, or what lies outside, such as `sql orders`.
        requests_per_second: What it was asked for.
        busy_percent: Of the busiest worker that runs it.
        workers: Those that run it, where it is known.
    """

    name: str
    kind: NodeKind
    requests_per_second: float
    error_percent: float | None = None
    p95_ms: float | None = None
    busy_percent: float | None = None
    workers: list[str] = []


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Calls from one part of the app to another; `caller` and `callee` are names of nodes."""

    caller: str
    callee: str
    requests_per_second: float
    error_percent: float | None = None
    p95_ms: float | None = None


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """How the app fares at this moment.

    Attributes:
        window_seconds: What the rates are over.
        sentence: On the first limit; None where nobody foresees.
    """

    at_ms: float
    app: str
    window_seconds: float
    requests_per_second: float
    workers_count: int
    error_percent: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    busy_percent: float | None = None
    in_flight: int = 0
    nodes: list[Node] = []
    links: list[Link] = []
    sentence: str | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A route or an operation over a period.

    Attributes:
        impact_percent: Its share of the time that all operations of its kind took.
        in_flight_mean: How many were under way at once, counted as they end.
        cpu_ms_per_call: Time on the event loop; None where it was not metered.
        timeouts: Of the errors, those whose time was up.
        client_errors: Requests that ended with a status of 400 to 499; no errors of ours.
        wait_ms: What a request waited before the app began with it, on average; None for an
            operation.
        received_bytes_per_call: The body of a request, on average; for an operation the result that
            comes from another process; None where nothing is sent.
        sent_bytes_per_call: The body of a response; for an operation its arguments.
    """

    name: str
    service: str
    kind: Literal["route", "operation"]
    calls: int
    errors: int
    requests_per_second: float
    error_percent: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    impact_percent: float = 0.0
    in_flight_mean: float = 0.0
    cpu_ms_per_call: float | None = None
    timeouts: int = 0
    client_errors: int = 0
    wait_ms: float | None = None
    received_bytes_per_call: float | None = None
    sent_bytes_per_call: float | None = None


class Operations(msgspec.Struct, frozen=True, kw_only=True):
    """All operations over a period, and what was marked in it."""

    operations: list[Operation]
    marks: list[Mark] = []


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """An operation over time; all lists are as long as `times_ms`, which are the steps' beginnings.

    Attributes:
        name: The operation; empty for all routes together.
    """

    name: str
    step_seconds: float
    times_ms: list[float]
    requests_per_second: list[float | None]
    errors_per_second: list[float | None]
    p50_ms: list[float | None]
    p95_ms: list[float | None]
    p99_ms: list[float | None]
    marks: list[Mark] = []


class Exemplar(msgspec.Struct, frozen=True, kw_only=True):
    """One request whose trace is kept.

    Attributes:
        kept_for: `error`, `slow`, `sampled`, `asked` or `received`.
    """

    trace_id: str
    at_ms: float
    duration_ms: float
    is_error: bool
    kept_for: str


class Heatmap(msgspec.Struct, frozen=True, kw_only=True):
    """How often an operation took how long, over time.

    Attributes:
        edges_ms: Lower edges of the rows, lowest first.
        counts: Calls by time, then by row.
    """

    name: str
    step_seconds: float
    times_ms: list[float]
    edges_ms: list[float]
    counts: list[list[int]]
    exemplars: list[Exemplar] = []
    marks: list[Mark] = []


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One SQL statement over a period, by all who ran it.

    Attributes:
        callers: Operations and routes that ran it.
        share_percent: Of the time that all statements took.
        calls_per_request_p95: How often one run of its caller ran it; many is an N+1.
    """

    database: str
    fingerprint: str
    text: str
    callers: list[str]
    reads: list[str]
    writes: list[str]
    calls: int
    errors: int
    rows: int
    total_ms: float
    share_percent: float
    mean_ms: float | None = None
    p95_ms: float | None = None
    calls_per_request_p95: float | None = None


class Statements(msgspec.Struct, frozen=True, kw_only=True):
    """The SQL statements of a period, those that took most time first."""

    statements: list[Statement]


class TableUse(msgspec.Struct, frozen=True, kw_only=True):
    """A table, and the services that use it; `edge` stands for routes outside of services."""

    table: str
    readers: list[str]
    writers: list[str]
    calls: int
    total_ms: float


class DatabaseUse(msgspec.Struct, frozen=True, kw_only=True):
    """A database, and what is in it, as far as statements named it."""

    name: str
    services: list[str]
    calls: int
    total_ms: float
    tables: list[TableUse]


class Databases(msgspec.Struct, frozen=True, kw_only=True):
    """The databases that were used in a period."""

    databases: list[DatabaseUse]


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """What has a limit, and how near it is.

    Attributes:
        kind: `loop`, `gil`, `cpu`, `threads`, `pool`, `lock`, `bulkhead`, `downstream` or `queue`.
        capacity: How many can be served at once.
        busy_percent: Of that, how much was in use on average.
    """

    worker: str
    name: str
    kind: str
    capacity: int
    busy_percent: float
    served_per_second: float
    rejected: int
    hold_ms: float | None = None
    wait_p95_ms: float | None = None
    queue_max: int = 0


class Stations(msgspec.Struct, frozen=True, kw_only=True):
    """All stations, the busiest first."""

    stations: list[Station]
