"""Spans, lines, points and marks are found again, page by page, over several days."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import pytest

from outgrow.telemetry import LogSearch, MetricPoint, Page, TraceSearch
from outgrow.telemetry.archive import kept
from tests.unit.telemetry.archive.telling import (
    DAY_NS,
    EVER,
    HOUR_NS,
    MORNING_NS,
    SECOND_NS,
    Clock,
    line,
    opened,
    span,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outgrow.telemetry import Archive

T = TypeVar("T")
TRACE = (77).to_bytes(16, "big")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive with three days of spans and lines, one each two hours."""
    archive = opened(tmp_path, Clock())
    for n in range(24):
        at_ns = MORNING_NS - n * 2 * HOUR_NS
        error = {"status": 2, "message": "ValueError: no tea"} if n % 5 == 0 else {}
        more = {"attributes": {"cup": f"cup-{n}", "http.response.status_code": 200 + n}}
        archive.keep(
            spans=[
                span(n + 1, at_ns, **error, **more),
                span(
                    n + 1000,
                    at_ns + 10,
                    trace_id=(n + 1).to_bytes(16, "big"),
                    parent_id=(n + 1).to_bytes(8, "big"),
                    name="Tea.brew",
                    service="Tea",
                    duration_ns=10**6 * n,
                ),
            ],
            logs=[
                line(
                    f"line {n} is 100% tea_",
                    at_ns,
                    severity=17 if n % 3 == 0 else 9,
                    trace_id=(n + 1).to_bytes(16, "big") if n % 2 == 0 else b"",
                    worker=f"front/{n % 2}",
                    exception="builtins.ValueError" if n % 3 == 0 else "",
                    fingerprint=f"f{n % 2}" if n % 3 == 0 else "",
                    traceback="Traceback",
                    service="Tea",
                )
            ],
        )
    archive.write()
    yield archive
    archive.close()


def pages(ask: Callable[[int], Page[T]], before_ns: int = EVER[1]) -> list[T]:
    """All pages together."""
    found: list[T] = []
    for _ in range(100):
        page = ask(before_ns)
        found += page
        if page.before_ns is None:
            return found
        assert page.before_ns < before_ns
        before_ns = page.before_ns
    raise AssertionError(found)


def test_pages_of_traces_bring_each_once_newest_first(archive: Archive) -> None:
    found = pages(lambda to_ns: archive.traces(TraceSearch(limit=5), 0, to_ns))
    assert [int.from_bytes(one.trace_id, "big") for one in found] == list(range(1, 25))
    first = found[0]
    assert (first.name, first.spans, first.services) == ("GET /tea", 2, ["Tea"])
    assert (first.at_ns, first.errors, first.kept_for) == (MORNING_NS, 1, "sampled")


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        pytest.param({"operation": "Tea.brew", "min_ns": 21_000_000}, [22, 23, 24], id="slow"),
        pytest.param({"only_errors": True}, [1, 6, 11, 16, 21], id="errors"),
        pytest.param({"text": "CUP-7"}, [8], id="an attribute"),
        pytest.param({"text": "no tea", "operation": "GET /tea"}, [1, 6, 11, 16, 21], id="message"),
        pytest.param({"text": "cup%7"}, [], id="no pattern"),
        pytest.param({"operation": "Tea"}, [], id="a part of a name"),
    ],
)
def test_traces_are_found_by(
    archive: Archive, search: dict[str, object], numbers: list[int]
) -> None:
    wanted = TraceSearch(limit=2, **search)  # pyright: ignore[reportArgumentType]
    found = pages(lambda to_ns: archive.traces(wanted, 0, to_ns))
    assert [int.from_bytes(one.trace_id, "big") for one in found] == numbers


def test_a_trace_is_read_whole_with_its_lines(archive: Archive) -> None:
    spans, lines = archive.trace((3).to_bytes(16, "big"))
    assert [one.name for one in spans] == ["GET /tea", "Tea.brew"]
    assert spans[0].attributes == {"cup": "cup-2", "http.response.status_code": 202}
    assert spans[1].parent_id == spans[0].span_id == (3).to_bytes(8, "big")
    assert [one.text for one in lines] == ["line 2 is 100% tea_"]
    assert archive.trace(b"\xff" * 16) == ([], [])


def test_a_span_is_read_as_it_was_written(archive: Archive) -> None:
    told = span(
        77,
        MORNING_NS,
        status=2,
        message="no",
        worker="w",
        service="s",
        attributes={"a": 1, "b": "c", "d": True, "e": 1.5},
        events=[(5, "looked", {"at": "it"})],
        links=[(b"a" * 16, b"b" * 8)],
    )
    archive.keep(spans=[told])
    archive.write()
    assert archive.trace(TRACE)[0] == [told]


def test_of_the_newest_traces_few_of_each_name_are_read_with_all_their_spans(
    archive: Archive,
) -> None:
    late_ns = MORNING_NS + 5 * HOUR_NS
    usual = [span(n, late_ns + n * 1000) for n in range(1001, 1061)]
    seldom = [span(1090, late_ns, name="POST /tea")]
    parts = [
        span(
            n + 1200, one.at_ns + 10, trace_id=one.trace_id, parent_id=one.span_id, name="Tea.brew"
        )
        for n, one in enumerate(usual)
    ]
    archive.keep(spans=[*usual, *seldom])
    archive.write()
    # Another process told of its part later.
    archive.keep(spans=parts)
    archive.write()
    found = archive.newest_spans(late_ns, EVER[1], 200)
    names = Counter(one.name for one in found)
    assert names == {"GET /tea": 20, "Tea.brew": 20, "POST /tea": 1}
    newest = {one.trace_id for one in usual[-20:]}
    assert {one.trace_id for one in found if one.name != "POST /tea"} == newest
    assert archive.newest_spans(0, 1, 200) == []
    assert len({one.trace_id for one in archive.newest_spans(*EVER, 3)}) == 3


def test_a_trace_over_midnight_is_one(archive: Archive) -> None:
    midnight_ns = MORNING_NS // DAY_NS * DAY_NS
    archive.keep(spans=[span(77, midnight_ns - SECOND_NS, duration_ns=2 * SECOND_NS)])
    archive.write()
    late = span(78, midnight_ns + 5, trace_id=TRACE, parent_id=b"\0" * 7 + b"M")
    archive.keep(spans=[late])
    archive.write()
    assert len(archive.trace(TRACE)[0]) == 2
    around = (midnight_ns - 10 * SECOND_NS, midnight_ns + 10 * SECOND_NS)
    found = pages(lambda to_ns: archive.traces(TraceSearch(limit=1), around[0], to_ns), around[1])
    mine = [one for one in found if one.trace_id == TRACE]
    assert [(one.spans, one.at_ns) for one in mine] == [(2, midnight_ns - SECOND_NS)]


def test_pages_of_lines_bring_each_once_newest_first(archive: Archive) -> None:
    found = pages(lambda to_ns: archive.logs(LogSearch(limit=7), 0, to_ns))
    assert [one.text.split()[1] for one in found] == [str(n) for n in range(24)]


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        pytest.param({"severity_min": 17}, range(0, 24, 3), id="severity"),
        pytest.param({"text": "LINE 7 "}, [7], id="text"),
        pytest.param({"text": "100% tea_"}, range(24), id="text with signs"),
        pytest.param({"text": "100_ tea%"}, [], id="no pattern"),
        pytest.param({"worker": "front/1"}, range(1, 24, 2), id="worker"),
        pytest.param({"trace_id": (5).to_bytes(16, "big")}, [4], id="trace"),
    ],
)
def test_lines_are_found_by(
    archive: Archive, search: dict[str, object], numbers: list[int]
) -> None:
    wanted = LogSearch(limit=3, **search)  # pyright: ignore[reportArgumentType]
    found = pages(lambda to_ns: archive.logs(wanted, 0, to_ns))
    assert [int(one.text.split()[1]) for one in found] == list(numbers)


def test_text_is_looked_for_in_so_many_records_at_a_time(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "RECORDS_MAX", 3)
    page = archive.logs(LogSearch(text="line 20 "), *EVER)
    assert page == []
    assert page.before_ns is not None
    found = pages(lambda to_ns: archive.logs(LogSearch(text="line 20 "), 0, to_ns))
    assert [one.text for one in found] == ["line 20 is 100% tea_"]
    wanted = TraceSearch(text="cup-20")
    assert len(pages(lambda to_ns: archive.traces(wanted, 0, to_ns))) == 1


def test_faults_are_told_by_their_fingerprint(archive: Archive) -> None:
    archive.keep(logs=[line("again", MORNING_NS + 9, fingerprint="f0", service="Cups")])
    archive.write()
    first, second = archive.faults(*EVER, 10)
    assert (first.count, second.count) == (5, 4)
    assert first.last.text == "again"
    assert first.services == ["Cups", "Tea"]
    # The last one has no trace, so that of the newest that has one.
    assert first.last.trace_id == (1).to_bytes(16, "big")
    assert first.first_ns == MORNING_NS - 18 * 2 * HOUR_NS
    assert archive.faults(*EVER, 1) == [first]


def test_exemplars_are_spread_and_hold_the_slowest_and_errors(archive: Archive) -> None:
    at_ns = MORNING_NS + HOUR_NS
    spans = [span(n, at_ns + n * SECOND_NS, name="x", duration_ns=n % 100) for n in range(100, 400)]
    spans.append(span(500, at_ns + 333 * SECOND_NS, name="x", status=2, message="no"))
    archive.keep(spans=spans)
    archive.write()
    found = archive.exemplars("x", at_ns, at_ns + HOUR_NS, 30)
    assert 3 <= len(found) <= 30
    assert sum(one.status == 2 for one in found) == 1
    assert max(one.duration_ns for one in found) == 1500
    assert [one.at_ns for one in found] == sorted(one.at_ns for one in found)


def test_points_are_listed_and_read_back(archive: Archive) -> None:
    points = [
        MetricPoint("depth", "gauge", MORNING_NS + n, float(n), service="q", attributes={"n": n})
        for n in range(5)
    ]
    other = MetricPoint(
        "took", "histogram", MORNING_NS, 3.5, unit="ms", count=2, bounds=[1.0], buckets=[1, 1]
    )
    archive.keep(points=[*points, other])
    archive.write()
    assert [(one.name, one.service, one.points) for one in archive.metrics(*EVER)] == [
        ("depth", "q", 5),
        ("took", "", 1),
    ]
    assert archive.metric("depth", *EVER, 3) == points[2:]
    assert archive.metric("took", *EVER, 3) == [other]
    assert archive.metric("none", *EVER, 3) == []


def test_marks_are_told_oldest_first(archive: Archive) -> None:
    for n in (3, 1, 2):
        archive.mark(MORNING_NS - n * DAY_NS, "deploy", f"version {n}")
    archive.write()
    assert [one.text for one in archive.marks(*EVER)] == ["version 3", "version 2", "version 1"]
    assert len(archive.marks(MORNING_NS - 2 * DAY_NS, MORNING_NS)) == 2


def test_what_is_too_long_is_cut(archive: Archive) -> None:
    long = "x" * 100_000
    attributes: dict[str, object] = {f"{long[:300]}{n}": long for n in range(40)}
    archive.keep(
        spans=[span(77, MORNING_NS, name=long, service=long, message=long, attributes=attributes)],
        logs=[line(long, MORNING_NS, trace_id=TRACE, logger=long, traceback=long)],
    )
    archive.write()
    (one,), (said,) = archive.trace(TRACE)
    assert one.attributes["outgrow.cut"] is True
    assert max(len(one.name), len(one.service)) <= 512
    assert max(len(one.message), len(said.text), len(said.traceback)) <= 16_384
