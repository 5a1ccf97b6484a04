"""What the model is given: windows of sums, and how far they can be trusted.

The room knows no transport. Whoever has measurements, the observer's archive, a foreign metrics
store or the simulator, hands them over as `Evidence`. Times are seconds. A station that exists once
in each of several workers is one entry with `replicas`, its sums taken over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Grade = Literal["exact", "metrics", "verified"]
Kind = Literal["loop", "gil", "cpu", "threads", "pool", "lock", "bulkhead", "downstream", "queue"]
Buckets = dict[int, int]
"""Calls by bucket of their duration, numbered as `outgrow.telemetry.bucket_of` numbers them."""


@dataclass(frozen=True, kw_only=True)
class OperationWindow:
    """What one operation or route did in a window.

    Attributes:
        name: `POST /orders` or `Orders.place`.
        is_entry: Strangers call it: it is a class of traffic.
        calls: Those that ended.
        errors: Of these, those that failed.
        duration_seconds: Sum of their times.
        metered: Calls whose time on the event loop is in `loop_seconds`.
        loop_seconds: Sum of that, with that of the operations called meanwhile.
        is_background: A job or a subscription: nobody waits for it.
    """

    name: str
    is_entry: bool = True
    calls: int = 0
    errors: int = 0
    refused: int = 0
    duration_seconds: float = 0.0
    buckets: Buckets = field(default_factory=Buckets)
    metered: int = 0
    loop_seconds: float = 0.0
    is_background: bool = False


@dataclass(frozen=True, kw_only=True)
class LinkWindow:
    """Calls from one operation to another, or to what lies outside.

    Attributes:
        attempts: Tries, where calls are retried; 0 where that is not known.
        bytes: Sent and received; 0 where that is not known.
        per_parent: Runs of the caller by the number of calls in them: bucket `b` holds those with
            2**b to 2**(b+1)-1.
        is_remote: The call left the process.
        is_background: No call, but work handed on for later: how often `caller` enqueued the job
            `callee`, or published an event that the subscription `callee` receives. `schedule` is
            the caller of what comes by the clock, and no more often when there is more traffic.
    """

    caller: str
    callee: str
    calls: int = 0
    errors: int = 0
    attempts: int = 0
    duration_seconds: float = 0.0
    buckets: Buckets = field(default_factory=Buckets)
    bytes: int = 0
    per_parent: Buckets = field(default_factory=Buckets)
    is_remote: bool = False
    is_background: bool = False


@dataclass(frozen=True, kw_only=True)
class StationWindow:
    """How a station was used in a window, summed over its replicas.

    Attributes:
        name: Such as `loop front`, `pool orders`, `writer orders`.
        capacity: How many one replica serves at once.
        replicas: Equal ones, such as one in each worker of a group.
        group: Whose workers have one each; empty for one that all share.
        served: Uses that ended.
        rejected: Those that were turned away.
        busy_seconds: Integral of the number in use over time.
        hold_seconds: Sum over uses of how long each held it.
        hold_squared_s2: Sum of the squares of that.
        nested_wait_seconds: Of `hold_seconds`, what was spent waiting for other stations.
        wait_seconds: Sum over uses of the wait before.
        waits: Uses by bucket of their wait.
        by_operation: Uses by the operation that made them, where that is known.
        works_in: The process whose CPU time its holders take, such as a database's; empty where
            that is not known.
    """

    name: str
    kind: Kind
    capacity: int = 1
    replicas: int = 1
    group: str = ""
    served: int = 0
    rejected: int = 0
    busy_seconds: float = 0.0
    hold_seconds: float = 0.0
    hold_squared_s2: float = 0.0
    nested_wait_seconds: float = 0.0
    wait_seconds: float = 0.0
    waits: Buckets = field(default_factory=Buckets)
    queue_max: int = 0
    by_operation: Mapping[str, float] = field(default_factory=dict[str, float])
    works_in: str = ""


@dataclass(frozen=True, kw_only=True)
class NestingWindow:
    """Uses of one station while another was held: what lets blame go to the innermost.

    Attributes:
        outer: Held meanwhile.
        inner: Used within.
        served: Uses of `inner` within holds of `outer`.
        hold_seconds: Sum of their holds, waits left out where those are known.
    """

    outer: str
    inner: str
    served: int = 0
    hold_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ProcessWindow:
    """What the processes of one group used, summed over its workers.

    Attributes:
        group: Of the plan, or the name of a database server.
        machine: Whose cores it used.
        workers: How many there were.
        cpu_seconds: In user space and kernel.
        loop_cpu_seconds: Of the event loops' threads.
        run_queue_seconds: How long threads were ready, and no core was free.
        gil_wait_p50_seconds: Median wait for the GIL, less that for a core; None if not looked at.
        loop_lags: Looks at the loop by bucket of how late it turned.
        is_python: It has a GIL.
    """

    group: str
    machine: str = ""
    workers: int = 1
    cpu_seconds: float = 0.0
    loop_cpu_seconds: float = 0.0
    run_queue_seconds: float = 0.0
    gil_wait_p50_seconds: float | None = None
    gc_seconds: float = 0.0
    memory_bytes: int = 0
    loop_lags: Buckets = field(default_factory=Buckets)
    is_python: bool = True


@dataclass(frozen=True, kw_only=True)
class ArrivalWindow:
    """How evenly the calls of one class came, in parts of 100 ms.

    Attributes:
        parts: How many parts.
        total: Arrivals in them.
        squares: Sum of the squares of their counts.
        neighbours: Sum of the products of each count and the one before.
    """

    operation: str
    parts: int = 0
    total: int = 0
    squares: int = 0
    neighbours: int = 0


@dataclass(frozen=True, kw_only=True)
class StatementWindow:
    """What one SQL statement did.

    Attributes:
        per_parent: Runs of the caller by the number of times that they ran this, as in links.
        rows_examined: That the database looked at; 0 where that is not known.
    """

    database: str
    fingerprint: str
    text: str
    caller: str
    service: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    calls: int = 0
    rows: int = 0
    rows_examined: int = 0
    duration_seconds: float = 0.0
    buckets: Buckets = field(default_factory=Buckets)
    per_parent: Buckets = field(default_factory=Buckets)


@dataclass(frozen=True, kw_only=True)
class QueueWindow:
    """A queue of jobs, or a subscription.

    Attributes:
        enqueued: Came in.
        started: Were begun.
        depth: Waiting at the end of the window.
        oldest_seconds: Age of the oldest that waits.
        servers: How many run at once.
        service_seconds: Sum of the times of those that ended.
        ended: How many those are.
        by_key: Jobs by key or partition, the most frequent ones.
        dead: Dead letters at the end of the window.
        is_sounded: Whether the store was asked in this window: else `depth`, `oldest_seconds` and
            `dead` are not known.
    """

    name: str
    enqueued: int = 0
    started: int = 0
    ended: int = 0
    depth: int = 0
    oldest_seconds: float = 0.0
    servers: int = 1
    service_seconds: float = 0.0
    by_key: Mapping[str, int] = field(default_factory=dict[str, int])
    dead: int = 0
    is_sounded: bool = True


@dataclass(frozen=True, kw_only=True)
class Window:
    """All that was counted in one stretch of time, 10 s as a rule.

    Attributes:
        at_seconds: When it began, since 1970.
        is_whole: False where a worker began, ended or was silent in it: it is left out.
    """

    at_seconds: float
    seconds: float = 10.0
    operations: tuple[OperationWindow, ...] = ()
    links: tuple[LinkWindow, ...] = ()
    stations: tuple[StationWindow, ...] = ()
    nestings: tuple[NestingWindow, ...] = ()
    processes: tuple[ProcessWindow, ...] = ()
    arrivals: tuple[ArrivalWindow, ...] = ()
    statements: tuple[StatementWindow, ...] = ()
    queues: tuple[QueueWindow, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, kw_only=True)
class History:
    """What came before the evidence, day by day.

    Attributes:
        days: One window for each day that is over, oldest first; a day without traffic may miss.
        peaks_per_second: Of each day that was seen from its beginning to its end, in a row, the
            rate of its busiest ten minutes; 0 for a day without traffic.
    """

    days: tuple[Window, ...] = ()
    peaks_per_second: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A computer and how its cores slow one another down.

    Attributes:
        cores: Logical CPUs.
        slowdown_ratio: How much longer a piece of work takes with 1, 2, ... cores busy than with
            one; see `host.slowdown_curve`. Empty where it was never calibrated.
    """

    name: str
    cores: int
    slowdown_ratio: tuple[float, ...] = ()


class Evidence(Protocol):
    """Measurements of a system, however they were come by."""

    @property
    def grade(self) -> Grade:
        """How they were come by."""
        ...

    @property
    def machines(self) -> Sequence[Machine]:
        """The computers that ran it."""
        ...

    def windows(self) -> Sequence[Window]:
        """All of them, oldest first; gaps are simply missing."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Evidence that is at hand as values."""

    recorded: tuple[Window, ...]
    machines: tuple[Machine, ...] = ()
    grade: Grade = "exact"

    def windows(self) -> Sequence[Window]:
        """All of them, oldest first."""
        return self.recorded
