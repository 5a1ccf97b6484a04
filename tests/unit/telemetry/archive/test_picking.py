"""Exemplars of long periods are read from what was picked of each hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from tests.unit.telemetry.archive.telling import (
    HOUR_NS,
    MORNING_NS,
    SECOND_NS,
    Clock,
    Teller,
    opened,
    span,
)

if TYPE_CHECKING:
    from pathlib import Path

    from outgrow.telemetry import Archive, SpanRecord


def of_days(days: int) -> list[SpanRecord]:
    """Spans of one name over some days, one a minute; every hundredth failed."""
    return [
        span(
            *(n, MORNING_NS + n * 60 * SECOND_NS),
            name="x" if n % 3 else "y",
            duration_ns=1000 + n * 7919 % 3600,
            status=2 if n % 100 == 7 else 0,
        )
        for n in range(1, days * 1440)
    ]


def told_of(one: SpanRecord) -> tuple[object, ...]:
    """What an exemplar tells."""
    return one.trace_id, one.at_ns, one.duration_ns, one.status, one.kept_for


def kept_over(archive: Archive, clock: Clock, spans: list[SpanRecord]) -> None:
    """Have an archive keep them as time passes, with a worker that reports."""
    teller = Teller(clock)
    for number in range(0, len(spans), 360):
        clock.now_ns = spans[min(number + 360, len(spans)) - 1].at_ns + SECOND_NS
        archive.keep(spans=spans[number : number + 360])
        teller.work(1)
        archive.take(teller.origin, teller.report())
        archive.write(is_all=True)


def test_exemplars_of_days_are_of_each_hour_and_hold_the_slowest_and_errors(
    archive: Archive, clock: Clock
) -> None:
    spans = of_days(3)
    kept_over(archive, clock, spans)
    period = (MORNING_NS, clock.now_ns)
    found = archive.exemplars("x", *period, 200)
    assert 100 < len(found) <= 200
    assert {one.name for one in found} == {"x"}
    mine = {one.span_id: one for one in spans if one.name == "x"}
    assert [told_of(one) for one in found] == [told_of(mine[one.span_id]) for one in found]
    assert max(one.duration_ns for one in found) == max(one.duration_ns for one in mine.values())
    assert {one.span_id for one in found if one.status == 2}
    assert [one.at_ns for one in found] == sorted({one.at_ns for one in found})
    newest = max(one.at_ns for one in mine.values())
    assert newest - found[-1].at_ns < 2 * HOUR_NS, "hours that are not over are looked through"


def test_exemplars_of_days_are_found_in_files_that_know_no_picks(
    tmp_path: Path, clock: Clock
) -> None:
    archive = opened(tmp_path / "older", clock)
    kept_over(archive, clock, of_days(3))
    archive.close()
    for path in (tmp_path / "older").glob("*.duckdb"):
        with duckdb.connect(str(path)) as file:
            file.execute("DROP TABLE picks")
            file.execute("DROP TABLE picked")
    archive = opened(tmp_path / "older", clock)
    assert len(archive.exemplars("x", MORNING_NS, clock.now_ns, 200)) > 100
    assert archive.health().set_aside == []
    archive.close()


def test_what_is_picked_goes_with_the_spans_that_it_is_of(archive: Archive, clock: Clock) -> None:
    spans = of_days(1)
    kept_over(archive, clock, spans[:600])
    days = archive._days
    with days.use() as cursor:
        database = days.opened(days.there()[0])
        sql = f"SELECT count(*), min(at_ns) FROM {database}."
        before, _ = cursor.execute(f"{sql}picks").fetchone() or (0, 0)
        days.thin(days.there()[0], cursor)
        after, first_ns = cursor.execute(f"{sql}picks").fetchone() or (0, 0)
        _, oldest_ns = cursor.execute(f"{sql}spans").fetchone() or (0, 0)
    assert 0 < after < before
    assert first_ns >= oldest_ns
