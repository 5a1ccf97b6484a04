"""Kept traces become what signs look at."""

from __future__ import annotations

from typing import Any

from outgrow.capacity import traces_of
from outgrow.capacity.signs import Seen, Step, Trace
from outgrow.capacity.signs.calls_in_a_row import look as look_for_rows
from outgrow.capacity.signs.retries import look as look_for_retries
from outgrow.telemetry import CLIENT, SpanRecord
from tests.unit.capacity.made import link, window

INTERNAL, SERVER = 1, 2
TRACE_ID = b"\1" * 16
DATABASE = {"db.system.name": "sqlite", "outgrow.fingerprint": "f1"}


def span(number: int, parent: int, name: str, kind: int = INTERNAL, **more: Any) -> SpanRecord:
    return SpanRecord(
        TRACE_ID,
        number.to_bytes(8, "big"),
        parent.to_bytes(8, "big") if parent else b"",
        name,
        kind,
        number * 1_000_000,
        5_000_000,
        service="Orders",
        **more,
    )


def test_a_trace_says_what_is_within_what_what_is_remote_and_what_writes() -> None:
    post = {"http.request.method": "POST"}
    spans = [
        span(5, 4, "INSERT orders", CLIENT, attributes=DATABASE),
        span(1, 0, "POST /orders", SERVER),
        span(2, 1, "Orders.place"),
        span(3, 2, "SELECT stock", CLIENT, attributes=DATABASE, status=2),
        span(4, 2, "Stock.take", SERVER),
        span(6, 1, "POST bank", CLIENT, attributes=post),
        span(7, 6, "POST /pay", SERVER),
    ]
    (trace,) = traces_of(spans)
    assert (trace.operation, trace.trace_id, trace.seconds) == (
        "POST /orders",
        TRACE_ID.hex(),
        0.005,
    )
    told = [(one.name, one.parent, one.kind, one.is_remote, one.writes) for one in trace.steps]
    assert told == [
        ("POST /orders", -1, "other", False, False),
        ("Orders.place", 0, "call", False, False),
        ("SELECT stock", 1, "statement", False, False),
        ("Stock.take", 1, "call", True, False),
        ("INSERT orders", 3, "statement", False, True),
        ("POST bank", 0, "http", True, True),
        ("POST /pay", 5, "other", False, False),
    ]
    assert [one.has_failed for one in trace.steps].index(True) == 2
    assert trace.steps[4].fingerprint == "f1"
    assert trace.steps[2].begins_seconds == 0.002


def test_a_trace_whose_first_span_is_not_kept_or_that_is_a_circle_is_a_trace() -> None:
    (within,) = traces_of([span(2, 9, "Orders.place"), span(3, 2, "Stock.take")])
    assert [one.name for one in within.steps] == ["Orders.place", "Stock.take"]
    (circle,) = traces_of([span(1, 2, "A.a"), span(2, 1, "B.b")])
    assert {one.name for one in circle.steps} == {"A.a", "B.b"}


def in_a_row(*steps: Step) -> list[str]:
    first = Step(
        name="GET /", service="web", parent=-1, begins_seconds=0, seconds=0.2, kind="other"
    )
    trace = Trace(operation="GET /", seconds=0.16, steps=(first, *steps))
    found = look_for_rows(Seen(traces=(trace,) * 5))
    assert isinstance(found, list)
    return [one.text for one in found]


def step(number: int, **more: Any) -> Step:
    given = {"name": f"A.{number}", "service": "a", "parent": 0, "seconds": 0.04, **more}
    return Step(begins_seconds=number * 0.05, **given)


def test_calls_that_write_or_quick_statements_of_one_connection_are_no_row() -> None:
    assert in_a_row(step(0), step(1)) == [
        "`GET /` would take 40 ms less (25%) if its calls were made at once"
    ]
    insert = Step(
        name="INSERT a",
        service="a",
        parent=2,
        begins_seconds=0.06,
        seconds=0.01,
        kind="statement",
        writes=True,
    )
    assert in_a_row(step(0), step(1), insert) == []
    quick = {"kind": "statement", "seconds": 0.01}
    assert in_a_row(*(step(number, **quick) for number in range(12))) == []
    slow = {"kind": "statement", "seconds": 0.045}
    assert len(in_a_row(step(0, **slow), step(1, **slow))) == 1


def failing(*, again: bool) -> Trace:
    first = Step(
        name="GET /", service="web", parent=-1, begins_seconds=0, seconds=0.2, kind="other"
    )
    tries = [step(0, name="GET bank", kind="http", has_failed=True)]
    tries += [step(1, name="GET bank", kind="http")] if again else []
    return Trace(operation="GET /", seconds=0.2, steps=(first, *tries), trace_id="t1")


def test_failures_that_are_followed_by_the_same_call_are_retries() -> None:
    windows = (window(0, links=(link("GET /", "http bank", calls=400, errors=100, attempts=400),)),)
    mixed = (failing(again=True),) * 6 + (failing(again=False),) * 2
    retries = look_for_retries(Seen(windows=windows, traces=mixed))
    assert isinstance(retries, list)
    (found,) = retries
    # Three of four failures are tried again: 400 attempts for 325 calls.
    assert found.numbers == {"attempts_count": 400, "calls_count": 325}
    assert found.traces == ("t1",)
    assert look_for_retries(Seen(windows=windows, traces=(failing(again=False),) * 8)) == []
