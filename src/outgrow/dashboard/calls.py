"""Answers on what was called: now, by operation, over time, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import AskingError
from outgrow.dashboard.atlas import EDGE, Tally, drawn, is_outside, is_route, node_of
from outgrow.telemetry import lower_edge_ns, quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.source import CallSum, Source, StepSum, WorkerSum

NOW_SECONDS = 10
STEPS_WANTED = 180
STEPS_MAX = 2000
EXEMPLARS_MAX = 200
# A row of the heat map is half a power of two: eight of the histogram's sixteen parts.
_ROW_BUCKETS = 8
_MARKS_MAX = 200
# Seconds are told apart in the newest of them only; before, counts are of 10 s.
_LIVE_SECONDS = 20
_NICE_SECONDS = (10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400)
_ERROR = 2


def now(
    source: Source, asked: Asked, app: str, runs: Mapping[str, Sequence[str]], sentence: str | None
) -> shapes.Now:
    """How the app fares now.

    Args:
        source: Where the facts are.
        asked: The moment.
        app: Its name.
        runs: Names of the services that each group runs.
        sentence: On the first limit, if somebody foresees.
    """
    # Whole seconds: the archive widens a period to those, and rates would be too high by the rest.
    to_ns = asked.now_ns // 10**9 * 10**9
    from_ns = to_ns - NOW_SECONDS * 10**9
    sums = source.calls(from_ns, to_ns)
    workers = [one for one in source.workers(from_ns, to_ns) if one.state == "reporting"]
    edge = _together(one for one in sums if is_route(one.callee))
    nodes, links = drawn(sums, NOW_SECONDS, _busy(sums, workers, runs))
    return shapes.Now(
        at_ms=asked.now_ns / 1e6,
        app=app,
        window_seconds=NOW_SECONDS,
        requests_per_second=edge.calls / NOW_SECONDS,
        workers_count=len(workers),
        error_percent=edge.error_percent,
        p50_ms=quantile_ms(edge.buckets, 0.5),
        p95_ms=quantile_ms(edge.buckets, 0.95),
        p99_ms=quantile_ms(edge.buckets, 0.99),
        busy_percent=max((one.used.busy_percent for one in workers), default=None),
        in_flight=sum(one.used.in_flight for one in workers),
        nodes=nodes,
        links=links,
        sentence=sentence,
    )


def _together(sums: Iterable[CallSum]) -> Tally:
    tally = Tally()
    for one in sums:
        tally.add(one)
    return tally


def _busy(
    sums: Sequence[CallSum], workers: Sequence[WorkerSum], runs: Mapping[str, Sequence[str]]
) -> dict[str, tuple[float, list[str]]]:
    """By part of the app: the busiest worker that runs it, and all that do."""
    found: dict[str, tuple[float, list[str]]] = {}
    for node in {node_of(one.callee) for one in sums if not is_outside(one.callee)}:
        groups = [group for group, names in runs.items() if _runs(names, node)]
        those = [one for one in workers if one.group in groups] if runs else []
        if those:
            most = max(one.used.busy_percent for one in those)
            found[node] = (most, sorted(one.name for one in those))
    return found


def _runs(names: Sequence[str], node: str) -> bool:
    # A plan calls it by its name, `order-history`; operations by its class, `OrderHistory`.
    plain = {name.replace("-", "").replace("_", "").lower() for name in names}
    return node.lower() in plain or (node == EDGE and "web" in plain)


def operations(source: Source, asked: Asked) -> shapes.Operations:
    """Routes and operations of services, those that took most time first."""
    tallies: dict[str, Tally] = {}
    metered: dict[str, tuple[int, int]] = {}
    wanted = asked.text("name")
    for one in source.calls(asked.from_ns, asked.to_ns):
        if is_outside(one.callee):
            continue
        tallies.setdefault(one.callee, Tally()).add(one)
        calls, loop_ns = metered.get(one.callee, (0, 0))
        metered[one.callee] = (calls + one.metered, loop_ns + one.loop_ns)
    whole = {
        kind: sum(tally.duration_ns for name, tally in tallies.items() if is_route(name) is kind)
        for kind in (True, False)
    }
    seconds = max(1.0, (asked.to_ns - told_from_ns(source, asked)) / 1e9)
    found = [
        _operation(name, tally, metered[name], seconds, whole[is_route(name)])
        for name, tally in tallies.items()
        if wanted in ("", name)
    ]
    found.sort(key=lambda one: (-one.impact_percent, one.name))
    return shapes.Operations(operations=found, marks=marks_in(source, asked))


def _operation(
    name: str, tally: Tally, metered: tuple[int, int], seconds: float, whole_ns: int
) -> shapes.Operation:
    calls, loop_ns = metered
    has_bytes = tally.calls > 0 and tally.received_bytes + tally.sent_bytes > 0
    return shapes.Operation(
        name=name,
        service=node_of(name),
        kind="route" if is_route(name) else "operation",
        calls=tally.calls,
        errors=tally.errors,
        requests_per_second=tally.calls / seconds,
        error_percent=tally.error_percent,
        p50_ms=quantile_ms(tally.buckets, 0.5),
        p95_ms=quantile_ms(tally.buckets, 0.95),
        p99_ms=quantile_ms(tally.buckets, 0.99),
        impact_percent=100 * tally.duration_ns / whole_ns if whole_ns else 0.0,
        in_flight_mean=tally.duration_ns / 1e9 / seconds,
        cpu_ms_per_call=loop_ns / calls / 1e6 if calls else None,
        timeouts=tally.timeouts,
        client_errors=tally.client_errors,
        wait_ms=tally.wait_ns / tally.calls / 1e6 if tally.calls and is_route(name) else None,
        received_bytes_per_call=tally.received_bytes / tally.calls if has_bytes else None,
        sent_bytes_per_call=tally.sent_bytes / tally.calls if has_bytes else None,
    )


def told_from_ns(source: Source, asked: Asked) -> int:
    """Since when something of the period is known: no rate is over a time without a worker."""
    began = [one.began_ns for one in source.workers(asked.from_ns, asked.to_ns)]
    return min(asked.to_ns, max(asked.from_ns, min(began, default=source.began_ns())))


def marks_in(source: Source, asked: Asked) -> list[shapes.Mark]:
    """What was marked in the period, less what only the audit tells."""
    found = [one for one in source.marks(asked.from_ns, asked.to_ns) if one.kind != "audit"]
    return [
        shapes.Mark(at_ms=one.at_ns / 1e6, kind=one.kind, text=one.text)
        for one in found[-_MARKS_MAX:]
    ]


def step_seconds(asked: Asked, wanted_count: int = STEPS_WANTED) -> float:
    """Length of a step: as asked for, or about so many of them.

    Raises:
        AskingError: That would be too many.
    """
    step = asked.number("step")
    if not step:
        if asked.seconds <= _LIVE_SECONDS:
            return 1
        wanted = asked.seconds / wanted_count
        return next((nice for nice in _NICE_SECONDS if nice >= wanted), 86_400)
    if asked.seconds / step > STEPS_MAX:
        raise AskingError(
            f"`step` of {step:g} s makes more than {STEPS_MAX} steps", "Make it longer"
        )
    return step


def _steps(source: Source, asked: Asked) -> tuple[float, list[StepSum | None], list[int]]:
    """Length of a step, what happened in each, and when each begins."""
    seconds = step_seconds(asked)
    step_ns = int(seconds * 1e9)
    first_ns = asked.from_ns // step_ns * step_ns
    times = list(range(first_ns, asked.to_ns, step_ns))
    found = source.steps(asked.name, first_ns, asked.to_ns, step_ns)
    by_time = {one.at_ns // step_ns * step_ns: one for one in found}
    return seconds, [by_time.get(time) for time in times], times


def series(source: Source, asked: Asked) -> shapes.Series:
    """An operation, or all routes, over time.

    A step without a call has no latency, one before any worker began no rate either.
    """
    seconds, steps, times = _steps(source, asked)
    # The last step is often not over yet.
    lasted = [max(1.0, min(seconds, (asked.to_ns - time) / 1e9)) for time in times]
    told_from = told_from_ns(source, asked)
    known = [time + int(seconds * 1e9) > told_from for time in times]
    rates = [*zip(steps, lasted, known, strict=True)]
    return shapes.Series(
        name=asked.name,
        step_seconds=seconds,
        times_ms=[time / 1e6 for time in times],
        requests_per_second=[
            one.calls / lasts if one else 0.0 if known else None for one, lasts, known in rates
        ],
        errors_per_second=[
            one.errors / lasts if one else 0.0 if known else None for one, lasts, known in rates
        ],
        p50_ms=[quantile_ms(one.buckets, 0.5) if one else None for one in steps],
        p95_ms=[quantile_ms(one.buckets, 0.95) if one else None for one in steps],
        p99_ms=[quantile_ms(one.buckets, 0.99) if one else None for one in steps],
        marks=marks_in(source, asked),
    )


def heatmap(source: Source, asked: Asked) -> shapes.Heatmap:
    """How often an operation took how long, over time; with kept traces beside."""
    seconds, steps, times = _steps(source, asked)
    used = {bucket // _ROW_BUCKETS for one in steps if one for bucket in one.buckets}
    rows = range(max(0, min(used) - 1), max(used) + 2) if used else range(0)
    kept = source.exemplars(asked.name, asked.from_ns, asked.to_ns, EXEMPLARS_MAX)
    return shapes.Heatmap(
        name=asked.name,
        step_seconds=seconds,
        times_ms=[time / 1e6 for time in times],
        edges_ms=[lower_edge_ns(row * _ROW_BUCKETS) / 1e6 for row in rows],
        counts=[_counts(one, rows) for one in steps],
        exemplars=[
            shapes.Exemplar(
                trace_id=span.trace_id.hex(),
                at_ms=span.at_ns / 1e6,
                duration_ms=span.duration_ns / 1e6,
                is_error=span.status == _ERROR,
                kept_for=span.kept_for,
            )
            for span in kept
        ],
        marks=marks_in(source, asked),
    )


def _counts(step: StepSum | None, rows: range) -> list[int]:
    counts = [0] * len(rows)
    for bucket, count in (step.buckets if step else {}).items():
        counts[bucket // _ROW_BUCKETS - rows.start] += count
    return counts
