"""Waterfalls and critical paths."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from outgrow.dashboard.shapes import Trace
from outgrow.dashboard.waterfall import trace_of
from outgrow.telemetry.records import LogRecord, SpanRecord

MS_NS = 1_000_000
START_NS = 1_795_513_290_000_000_000


def span(number: int, parent: int, begin_ms: float, end_ms: float, name: str = "") -> SpanRecord:
    return SpanRecord(
        trace_id=bytes(16),
        span_id=number.to_bytes(8, "big"),
        parent_id=parent.to_bytes(8, "big") if parent else b"",
        name=name or f"span {number}",
        kind=1,
        at_ns=START_NS + int(begin_ms * MS_NS),
        duration_ns=int((end_ms - begin_ms) * MS_NS),
    )


def traced(*records: SpanRecord) -> Trace:
    found = trace_of("00", records, [])
    assert found
    return found


def critical_of(trace: Trace) -> dict[str, list[tuple[float, float]]]:
    return {each.name: each.critical for each in trace.spans if each.critical}


def test_spans_stand_after_the_one_they_lie_within_by_time() -> None:
    trace = traced(span(3, 1, 5, 9), span(2, 1, 1, 4), span(4, 2, 2, 3), span(1, 0, 0, 10))
    assert [(each.name, each.depth) for each in trace.spans] == [
        ("span 1", 0),
        ("span 2", 1),
        ("span 4", 2),
        ("span 3", 1),
    ]
    assert trace.duration_ms == 10


def test_the_path_goes_through_the_child_that_ended_last() -> None:
    trace = traced(
        span(1, 0, 0, 10, "root"),
        span(2, 1, 1, 4, "quick"),
        span(3, 1, 1, 8, "slow"),
        span(4, 3, 2, 7, "inner"),
    )
    assert critical_of(trace) == {
        "root": [(0, 1), (8, 10)],
        "slow": [(1, 2), (7, 8)],
        "inner": [(2, 7)],
    }


def test_nobody_waited_for_a_child_that_outlived_its_parent() -> None:
    trace = traced(span(1, 0, 0, 10, "root"), span(2, 1, 4, 30, "left behind"))
    assert critical_of(trace) == {"root": [(0, 10)]}
    assert trace.duration_ms == 30


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_of_the_path_are_together_as_long_as_the_root(seed: int) -> None:
    pick = random.Random(seed)
    records = [span(1, 0, 0, 1000)]
    for number in range(2, 60):
        parent = pick.choice(records)
        begin, end = sorted(pick.sample(range(parent.duration_ns // MS_NS + 1), 2) or (0, 0))
        offset = (parent.at_ns - START_NS) / MS_NS
        inner = span(number, int.from_bytes(parent.span_id), offset + begin, offset + end)
        if inner.duration_ns > 2 * MS_NS:
            records.append(inner)
    trace = traced(*records)
    parts = sorted(part for parts in critical_of(trace).values() for part in parts)
    assert sum(end - begin for begin, end in parts) == pytest.approx(1000)
    assert all(one[1] <= other[0] for one, other in pairwise(parts))


def test_spans_of_strangers_that_lie_within_one_another_are_shown_side_by_side() -> None:
    trace = traced(span(1, 2, 0, 5), span(2, 1, 1, 4))
    assert [each.depth for each in trace.spans] == [0, 0]


def test_a_part_of_a_trace_whose_beginning_is_not_kept_is_shown() -> None:
    trace = traced(span(7, 6, 3, 5), span(8, 7, 4, 5))
    assert [(each.name, each.offset_ms) for each in trace.spans] == [("span 7", 0), ("span 8", 1)]


def test_logs_stand_by_their_time_and_a_trace_without_spans_is_none() -> None:
    logs = [LogRecord(START_NS + 9, 9, "later"), LogRecord(START_NS, 17, "first")]
    found = trace_of("00", [span(1, 0, 0, 1)], logs)
    assert found
    assert [line.text for line in found.logs] == ["first", "later"]
    assert trace_of("00", [], logs) is None
