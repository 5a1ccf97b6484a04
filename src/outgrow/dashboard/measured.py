"""The families that are exposed, made from sums: their names are what dashboards and alerts use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.dashboard.atlas import is_route
from outgrow.dashboard.families import Family, Spread, spread_of
from outgrow.dashboard.summing import OTHER
from outgrow.telemetry import lower_edge_ns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.dashboard.families import Example
    from outgrow.dashboard.source import WorkerSum
    from outgrow.dashboard.summing import Sums
    from outgrow.telemetry import ForwardCounts, Health, ReceivedCounts

TEXT_CHARACTERS_MAX = 200

_ROUTE = ("method", "route")
_LINK = ("caller", "callee")
_STATEMENT = ("database", "fingerprint", "caller")
_STATION = ("worker", "station", "kind")
_WORKER = ("worker",)
_SIGNAL = ("signal",)


def route_of(callee: str) -> tuple[str, str]:
    """Method and template of a route's name."""
    method, _, template = callee.partition(" ")
    return (method, template) if is_route(callee) else ("*", OTHER)


def route_families(sums: Sums, examples: Mapping[str, Mapping[int, Example]]) -> list[Family]:
    """Requests by route; the traces of some by bucket of their duration."""
    requests = Family("outgrow_http_requests", "counter", "Requests that ended.", _ROUTE)
    errors = Family(
        "outgrow_http_request_errors", "counter", "Requests with a status of 500 or more.", _ROUTE
    )
    cut_off = Family(
        "outgrow_http_requests_cut_off", "counter", "Requests without a whole response.", _ROUTE
    )
    durations = Family(
        "outgrow_http_request_duration_seconds",
        "histogram",
        "From complete headers to the last byte of the response.",
        _ROUTE,
    )
    metered = Family(
        "outgrow_http_requests_metered", "counter", "Requests whose loop time is known.", _ROUTE
    )
    loop = Family(
        "outgrow_http_request_loop_seconds",
        "counter",
        "Time on the event loop of requests for which it is known.",
        _ROUTE,
    )
    timeouts = Family(
        "outgrow_http_request_timeouts", "counter", "Requests answered with 504.", _ROUTE
    )
    client_errors = Family(
        "outgrow_http_request_client_errors", "counter", "Requests answered with 4xx.", _ROUTE
    )
    waited = Family(
        "outgrow_http_request_wait_seconds",
        "counter",
        "Time of requests before the app began with them.",
        _ROUTE,
    )
    received = Family("outgrow_http_request_body_bytes", "counter", "Bodies of requests.", _ROUTE)
    sent = Family("outgrow_http_response_body_bytes", "counter", "Bodies of responses.", _ROUTE)
    for (caller, callee), one in sums.calls.items():
        if caller:
            continue
        key = route_of(callee)
        requests.put(key, one.calls)
        errors.put(key, one.errors)
        cut_off.put(key, one.cut_off)
        timeouts.put(key, one.timeouts)
        client_errors.put(key, one.client_errors)
        waited.put(key, one.wait_ns / 1e9)
        received.put(key, one.received_bytes)
        sent.put(key, one.sent_bytes)
        metered.put(key, one.metered)
        loop.put(key, one.loop_ns / 1e9)
        durations.spreads[key] = spread_of(
            one.calls, one.duration_ns, one.buckets, examples.get(callee, {})
        )
    causes = [timeouts, client_errors, cut_off]
    return [requests, errors, *causes, durations, waited, metered, loop, received, sent]


def link_families(sums: Sums) -> list[Family]:
    """Calls between operations, and to what lies outside."""
    calls = Family("outgrow_calls", "counter", "Calls that ended.", _LINK)
    errors = Family("outgrow_call_errors", "counter", "Calls that failed.", _LINK)
    refused = Family("outgrow_calls_refused", "counter", "Calls that never began.", _LINK)
    hedges = Family("outgrow_call_hedges", "counter", "Calls made in a second place.", _LINK)
    won = Family(
        "outgrow_call_hedges_won", "counter", "Calls that the second place answered first.", _LINK
    )
    timeouts = Family("outgrow_call_timeouts", "counter", "Calls whose time was up.", _LINK)
    crossed = Family("outgrow_calls_crossed", "counter", "Calls to another process.", _LINK)
    retries = Family("outgrow_call_retries", "counter", "Calls that were made again.", _LINK)
    sent = Family("outgrow_call_sent_bytes", "counter", "Arguments that left the process.", _LINK)
    received = Family(
        "outgrow_call_received_bytes", "counter", "Results that came from another process.", _LINK
    )
    durations = Family(
        "outgrow_call_duration_seconds", "histogram", "From the call to its result.", _LINK
    )
    for key, one in sums.calls.items():
        if not key[0]:
            continue
        calls.put(key, one.calls)
        errors.put(key, one.errors)
        refused.put(key, one.refused)
        hedges.put(key, one.hedges)
        won.put(key, one.hedges_won)
        timeouts.put(key, one.timeouts)
        crossed.put(key, one.crossed)
        retries.put(key, one.retries)
        sent.put(key, one.sent_bytes)
        received.put(key, one.received_bytes)
        durations.spreads[key] = spread_of(one.calls, one.duration_ns, one.buckets, {})
    again = [hedges, won, retries]
    return [calls, errors, timeouts, refused, *again, durations, crossed, sent, received]


def statement_families(sums: Sums) -> list[Family]:
    """SQL statements by who ran them; their texts have no values in them."""
    durations = Family(
        "outgrow_statement_duration_seconds",
        "summary",
        "Time that a statement took.",
        _STATEMENT,
    )
    errors = Family("outgrow_statement_errors", "counter", "Runs that failed.", _STATEMENT)
    rows = Family(
        "outgrow_statement_rows", "counter", "Rows that came back or were changed.", _STATEMENT
    )
    texts = Family(
        "outgrow_statement", "info", "What a statement says.", ("database", "fingerprint", "text")
    )
    for key, one in sums.statements.items():
        durations.spreads[key] = Spread(one.calls, one.duration_ns / 1e9)
        errors.put(key, one.errors)
        rows.put(key, one.rows)
        texts.put((key[0], key[1], one.text[:TEXT_CHARACTERS_MAX]), 1)
    return [durations, errors, rows, texts]


def station_families(sums: Sums) -> list[Family]:
    """What has a limit: loops, pools, locks, bulkheads, queues."""
    capacity = Family("outgrow_station_capacity", "gauge", "How many it serves at once.", _STATION)
    queue = Family("outgrow_station_queue_max", "gauge", "The most that ever waited.", _STATION)
    served = Family("outgrow_station_served", "counter", "Uses that ended.", _STATION)
    rejected = Family("outgrow_station_rejected", "counter", "Turned away.", _STATION)
    busy = Family(
        "outgrow_station_busy_seconds",
        "counter",
        "Integral of the number in use; over capacity and time it is the share that is busy.",
        _STATION,
    )
    hold = Family("outgrow_station_hold_seconds", "counter", "How long uses held it.", _STATION)
    nested = Family(
        "outgrow_station_nested_wait_seconds",
        "counter",
        "Of that, time spent waiting for other stations.",
        _STATION,
    )
    waits = Family("outgrow_station_wait_seconds", "histogram", "Wait before a use.", _STATION)
    for key, one in sums.stations.items():
        capacity.put(key, one.capacity)
        queue.put(key, one.queue_max)
        served.put(key, one.served)
        rejected.put(key, one.rejected)
        busy.put(key, one.busy_ns / 1e9)
        hold.put(key, one.hold_ns / 1e9)
        nested.put(key, one.nested_wait_ns / 1e9)
        waits.spreads[key] = spread_of(0, one.wait_ns, one.waits, {})
    return [capacity, queue, served, rejected, busy, hold, nested, waits]


def deployed_families(sums: Sums, workers: Sequence[WorkerSum]) -> list[Family]:
    """Processes: what they used, and how those that report fare now.

    Args:
        sums: Their totals.
        workers: Those that were there lately.
    """
    return [*_used(sums), *_now(workers), _lost(sums)]


def _used(sums: Sums) -> list[Family]:
    cpu = Family("outgrow_worker_cpu_seconds", "counter", "CPU time.", ("worker", "mode"))
    times = [
        Family(f"outgrow_worker_{name}_seconds", "counter", text, _WORKER)
        for name, text in (
            ("loop_cpu", "CPU time of the event loop's thread."),
            ("run_queue", "Time in which threads were ready, and no core was free."),
            ("throttled", "Time in which a quota kept it from running."),
            ("gc_pause", "Pauses of the garbage collector."),
            ("machine_steal", "Time in which its machine's mean core was taken by others."),
            ("machine_cpu_stall", "Time in which something on its machine waited for a core."),
            ("machine_io_stall", "Likewise for a disk."),
            ("machine_memory_stall", "Likewise for memory."),
        )
    ]
    runs = Family("outgrow_worker_gc_runs", "counter", "Runs of the garbage collector.", _WORKER)
    lags = Family(
        "outgrow_worker_loop_lag_seconds",
        "histogram",
        "How late the event loop turned; the sum is made from the buckets.",
        _WORKER,
    )
    gil = Family(
        "outgrow_worker_gil_wait_seconds",
        "histogram",
        "Wait for the GIL, less that for a core; the sum is made from the buckets.",
        _WORKER,
    )
    for key, one in sums.workers.items():
        cpu.put((*key, "user"), one.user_ns / 1e9)
        cpu.put((*key, "system"), one.system_ns / 1e9)
        spent_ns = (one.loop_cpu_ns, one.run_queue_ns, one.throttled_ns, one.gc_ns)
        stalled_ns = (one.steal_ns, one.cpu_stall_ns, one.io_stall_ns, one.memory_stall_ns)
        for family, number in zip(times, (*spent_ns, *stalled_ns), strict=True):
            family.put(key, number / 1e9)
        runs.put(key, one.gc_runs)
        lags.spreads[key] = _looked_at(one.loop_lags)
        gil.spreads[key] = _looked_at(one.gil_waits)
    return [cpu, *times, runs, lags, gil]


def _looked_at(buckets: Mapping[int, int]) -> Spread:
    """A histogram of which no sum is known: each value counts as the middle of its bucket."""
    sum_ns = sum(
        count * (lower_edge_ns(bucket) + lower_edge_ns(bucket + 1)) // 2
        for bucket, count in buckets.items()
    )
    return spread_of(0, sum_ns, buckets, {})


def _now(workers: Sequence[WorkerSum]) -> list[Family]:
    states = Family("outgrow_workers", "gauge", "Processes by state.", ("state",))
    for state in ("reporting", "gone", "lost"):
        states.put((state,), sum(one.state == state for one in workers))
    about = Family(
        "outgrow_worker",
        "info",
        "Processes that report.",
        ("worker", "group", "version", "machine", "commit"),
    )
    gauges = {
        name: Family(f"outgrow_worker_{name}", "gauge", text, _WORKER)
        for name, text in (
            ("busy_ratio", "Share of time in which the event loop is busy."),
            ("resident_memory_bytes", "Resident memory."),
            ("open_descriptors", "Open files and sockets."),
            ("threads", "Threads."),
            ("requests_in_flight", "Requests and calls under way."),
            ("connections", "Open connections of clients."),
        )
    }
    for one in sorted(workers, key=lambda one: one.began_ns):
        if one.state != "reporting":
            continue
        used = one.used
        about.put((one.name, one.group, str(one.version), one.machine, one.commit), 1)
        numbers = (
            *(used.busy_percent / 100, used.memory_bytes, used.descriptors, used.threads),
            *(used.in_flight, used.connections),
        )
        for family, number in zip(gauges.values(), numbers, strict=True):
            family.put((one.name,), number)
    return [states, about, *gauges.values()]


def _lost(sums: Sums) -> Family:
    lost = Family("outgrow_lost_records", "counter", "What workers could not keep.", ("kind",))
    for key, count in sums.lost.items():
        lost.put(key, count)
    return lost


def observer_families(
    health: Health | None, received: ReceivedCounts | None, forwarded: ForwardCounts | None
) -> list[Family]:
    """How the observer itself fares."""
    return [
        *(_archive(health) if health else ()),
        *(_received(received) if received else ()),
        *(_forwarded(forwarded) if forwarded else ()),
    ]


def _archive(health: Health) -> list[Family]:
    gauges = (
        ("archive_bytes", "Size of the files.", health.kept_bytes),
        ("archive_days", "Files that there are, one a day.", len(health.days)),
        ("waiting_records", "Records that are not written yet.", health.waiting),
        ("files_set_aside", "Files that could not be read.", len(health.set_aside)),
        ("writable", "1 where records can be written.", int(not health.problem)),
    )
    dropped = Family(
        "outgrow_observer_dropped_records", "counter", "What could not be kept.", ("kind",)
    )
    for kind, count in health.dropped.items():
        dropped.put((kind,), count)
    return [
        *(
            Family(f"outgrow_observer_{name}", "gauge", text, (), {(): n})
            for name, text, n in gauges
        ),
        dropped,
    ]


def _received(received: ReceivedCounts) -> list[Family]:
    prefix = "outgrow_observer_otlp"
    requests = Family(
        f"{prefix}_requests", "counter", "Requests that others sent.", ("signal", "status")
    )
    items = Family(f"{prefix}_items", "counter", "Spans, lines and points taken.", _SIGNAL)
    labels = ("signal", "reason")
    refused = Family(f"{prefix}_refused_items", "counter", "Those not taken.", labels)
    whole = Family(f"{prefix}_refused_requests", "counter", "Whole requests not taken.", labels)
    for (signal, status), count in list(received.requests.items()):
        requests.put((signal, str(status)), count)
    for signal, count in list(received.items.items()):
        items.put((signal,), count)
    for (signal, reason), count in list(received.refused_items.items()):
        refused.put((signal, reason), count)
    for (signal, reason), count in list(received.refused_requests.items()):
        whole.put((signal, reason), count)
    return [requests, items, refused, whole]


def _forwarded(forwarded: ForwardCounts) -> list[Family]:
    prefix = "outgrow_observer_forward"
    found: list[Family] = []
    for name, text, counts in (
        ("sent_items", "What was sent on.", forwarded.sent),
        ("dropped_items", "What was not, for lack of room or time.", forwarded.dropped),
        ("refused_items", "What the other side did not want.", forwarded.refused),
    ):
        family = Family(f"{prefix}_{name}", "counter", text, _SIGNAL)
        for signal, count in counts.items():
            family.put((signal,), count)
        found.append(family)
    failed = Family(f"{prefix}_failed_requests", "counter", "Tries that failed.")
    failed.put((), forwarded.failed)
    waiting = Family(f"{prefix}_waiting_items", "gauge", "What waits to be sent on.")
    waiting.put((), forwarded.waiting)
    works = Family(f"{prefix}_works", "gauge", "1 where the last try did not fail.")
    works.put((), int(not forwarded.problem))
    return [*found, failed, waiting, works]
