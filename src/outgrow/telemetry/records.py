"""What a worker tells the observer: totals that only grow, and the few things kept one by one.

A report may be lost: the next one says how the totals stand, so a loss costs resolution and never a
sum. Spans and logs that are lost are counted. Times are nanoseconds; those called `at_ns` are of
the wall clock, since 1970.
"""

from __future__ import annotations

import msgspec

from outgrow.telemetry.arrivals import Arrivals
from outgrow.telemetry.calls import RouteTotals
from outgrow.telemetry.links import LinkTotals

REPORT_BYTES_MAX = 16 * 1024 * 1024

Attribute = str | int | float | bool


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who reports; the first thing that is sent.

    Attributes:
        app: Name of the app.
        worker: Such as `front/1`; a name that later workers may have again.
        epoch: Told apart from every other process that ever was; its totals began at 0.
        group: Of the plan.
        version: Of the app, as the supervisor counts them.
        machine: Name of the computer.
        pid: Process id.
        began_at_ns: When the process began to count.
        labels: Such as the commit (`commit`) that it runs.
    """

    app: str
    worker: str
    epoch: str
    group: str = ""
    version: int = 0
    machine: str = ""
    pid: int = 0
    began_at_ns: int = 0
    labels: dict[str, str] = {}


class StationTotals(msgspec.Struct):
    """What has a limit, and how it was used: a loop, a pool, a lock, a bulkhead, a queue.

    Attributes:
        name: Such as `loop`, `gil`, `cpu`, `threads Orders`, `pool orders`, `writer orders`, or
            `queue mail: slots` and `subscription mail.on_order_placed: slots`.
        kind: `loop`, `gil`, `cpu`, `threads`, `pool`, `lock`, `bulkhead`, `downstream` or `queue`.
        capacity: How many can be served at once.
        served: Uses that ended.
        rejected: Those that were turned away.
        busy_ns: Integral of the number in use over time.
        hold_ns: Sum over uses of how long each held it.
        hold_squared_s2: Sum of the squares of that, in seconds squared.
        nested_wait_ns: Of `hold_ns`, what was spent waiting for other stations.
        wait_ns: Sum over uses of the wait before.
        waits: Uses by bucket of their wait, see `histogram`.
        queue_max: The most that ever waited at once.
    """

    name: str
    kind: str
    capacity: int = 1
    served: int = 0
    rejected: int = 0
    busy_ns: int = 0
    hold_ns: int = 0
    hold_squared_s2: float = 0.0
    nested_wait_ns: int = 0
    wait_ns: int = 0
    waits: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    queue_max: int = 0


class StatementTotals(msgspec.Struct):
    """What one SQL statement did, by the operation or route that ran it.

    Attributes:
        database: Which one, such as `postgresql://host/shop` or `sqlite:orders.db`; no secrets.
        fingerprint: Hash of its text with literals taken out, as 16 hexadecimal digits.
        text: That text, cut at 2,000 characters.
        caller: The operation or route; `edge` where none is known.
        reads: Tables that it reads.
        writes: Tables that it changes.
        calls: How often it ran.
        errors: Of these, how many failed.
        rows: Rows that came back or were changed, where the driver says.
        duration_ns: Sum of its times.
        buckets: Calls by bucket of their duration.
        per_parent: Runs of the caller by the number of times that they ran this: bucket `b` holds
            those with 2**b to 2**(b+1)-1.
    """

    database: str
    fingerprint: str
    text: str
    caller: str
    reads: list[str] = []
    writes: list[str] = []
    calls: int = 0
    errors: int = 0
    rows: int = 0
    duration_ns: int = 0
    buckets: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    per_parent: dict[int, int] = msgspec.field(default_factory=dict[int, int])


class ProcessTotals(msgspec.Struct):
    """What one process used, and how it waited.

    Attributes:
        user_ns: CPU time in its own code.
        system_ns: CPU time in the kernel for it.
        loop_cpu_ns: CPU time of the event loop's thread.
        run_queue_ns: How long its threads were ready, and no core was free.
        throttled_ns: How long a control group's quota kept it from running.
        gc_ns: Pauses of the garbage collector.
        gc_runs: Their number.
        steal_ns: How long the machine's cores were taken by others of its host: the mean core.
        cpu_stall_ns: How long some process of the machine waited for a core, as the kernel says
            (pressure stall information); likewise the next two.
        io_stall_ns: For a disk.
        memory_stall_ns: For memory.
        loop_lags: Looks at the loop by bucket of how late it turned.
        gil_waits: Looks at the GIL by bucket of the wait for it, less that for a core.
        busy_percent: Now: the share of time in which the loop was busy.
        memory_bytes: Now: resident.
        descriptors: Now: open files and sockets.
        threads: Now.
        in_flight: Now: requests and calls under way.
        connections: Now: open connections of clients.
    """

    user_ns: int = 0
    system_ns: int = 0
    loop_cpu_ns: int = 0
    run_queue_ns: int = 0
    throttled_ns: int = 0
    gc_ns: int = 0
    gc_runs: int = 0
    steal_ns: int = 0
    cpu_stall_ns: int = 0
    io_stall_ns: int = 0
    memory_stall_ns: int = 0
    loop_lags: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    gil_waits: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    busy_percent: float = 0.0
    memory_bytes: int = 0
    descriptors: int = 0
    threads: int = 0
    in_flight: int = 0
    connections: int = 0


class SpanRecord(msgspec.Struct, array_like=True):
    """One piece of work within a trace, as it is kept.

    Attributes:
        trace_id: 16 bytes.
        span_id: 8 bytes.
        parent_id: 8 bytes; empty for the first of a trace.
        name: The operation, such as `POST /orders`, `Orders.place` or `SELECT orders`.
        kind: As OpenTelemetry numbers them: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
        at_ns: When it began.
        duration_ns: How long it took.
        status: 0 unset, 1 ok, 2 error.
        message: What went wrong.
        service: The service, or the app, that it ran in.
        worker: Which ran it.
        kept_for: Why it is kept: `error`, `slow`, `sampled`, `asked`, or `received` from others.
        attributes: By name, as OpenTelemetry's conventions call them.
        events: (at_ns, name, attributes) each.
        links: (trace_id, span_id) of others.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    at_ns: int
    duration_ns: int
    status: int = 0
    message: str = ""
    service: str = ""
    worker: str = ""
    kept_for: str = ""
    attributes: dict[str, Attribute] = {}
    events: list[tuple[int, str, dict[str, Attribute]]] = []
    links: list[tuple[bytes, bytes]] = []


class LogRecord(msgspec.Struct, array_like=True):
    """One line of a log.

    Attributes:
        at_ns: When.
        severity: As OpenTelemetry numbers it: 5 debug, 9 info, 13 warning, 17 error, 21 fatal.
        text: What was said.
        logger: By whom.
        service: Or the app.
        worker: Which said it.
        trace_id: 16 bytes; empty outside of a trace.
        span_id: 8 bytes; empty outside of a span.
        attributes: What was said with it.
        exception: The type of an exception, with its module; empty without one.
        traceback: Its text, the innermost line last.
        fingerprint: Hash of type and lines of code, by which the same fault is told again.
    """

    at_ns: int
    severity: int
    text: str
    logger: str = ""
    service: str = ""
    worker: str = ""
    trace_id: bytes = b""
    span_id: bytes = b""
    attributes: dict[str, Attribute] = {}
    exception: str = ""
    traceback: str = ""
    fingerprint: str = ""


class MetricPoint(msgspec.Struct, array_like=True):
    """One value of a metric that others measured.

    Attributes:
        name: Such as `queue.depth`.
        kind: `sum`, `gauge` or `histogram`.
        at_ns: When it was read.
        value: Of a sum or a gauge; of a histogram the sum of its values.
        unit: As OpenTelemetry writes it, such as `By` or `ms`.
        service: That it was measured in.
        attributes: By which it is told apart from others of its name.
        began_ns: Since when a sum or a histogram counts; 0 where that is not known.
        is_delta: It counts since the point before, and not since `began_ns`.
        count: Values in a histogram.
        bounds: Of a histogram: upper bounds of its buckets but the last, which has none.
        buckets: Values in each.
        least: Of the values of a histogram, where it is told.
        most: Likewise.
    """

    name: str
    kind: str
    at_ns: int
    value: float
    unit: str = ""
    service: str = ""
    attributes: dict[str, Attribute] = {}
    began_ns: int = 0
    is_delta: bool = False
    count: int = 0
    bounds: list[float] = []
    buckets: list[int] = []
    least: float | None = None
    most: float | None = None


class Report(msgspec.Struct, omit_defaults=True, tag="report"):
    """What has changed in a worker since it last reported.

    Attributes:
        number: 1, 2, 3 and so on; a gap says that some were lost.
        at_ns: When the totals were read.
        is_last: The process ends, and all that it counted is told.
        routes: Totals of routes that changed.
        links: Totals of calls between services that changed, and to what lies outside.
        stations: Totals of stations that changed.
        statements: Totals of SQL statements that changed.
        arrivals: Totals of routes that changed.
        process: Of the process.
        spans: Kept since the last report.
        logs: Said since the last report.
        lost: What could not be kept, by `spans`, `logs`, `statements` or `links`: totals.
    """

    number: int
    at_ns: int
    is_last: bool = False
    routes: list[RouteTotals] = []
    links: list[LinkTotals] = []
    stations: list[StationTotals] = []
    statements: list[StatementTotals] = []
    arrivals: list[Arrivals] = []
    process: ProcessTotals = msgspec.field(default_factory=ProcessTotals)
    spans: list[SpanRecord] = []
    logs: list[LogRecord] = []
    lost: dict[str, int] = {}


class Wanted(msgspec.Struct, frozen=True, tag="wanted"):
    """What the observer says to a worker: send what you still have of these traces.

    Attributes:
        trace_ids: 16 bytes each.
    """

    trace_ids: list[bytes] = []
