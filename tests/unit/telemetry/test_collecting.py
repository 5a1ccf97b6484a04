"""What a worker's report gathers: databases are links, as services are."""

from __future__ import annotations

import pytest

from outgrow.telemetry import collecting
from outgrow.telemetry.calls import CallCounter
from outgrow.telemetry.collecting import Collector
from outgrow.telemetry.outside import noting
from outgrow.telemetry.records import ProcessTotals, StationTotals
from outgrow.telemetry.sql.book import StatementBook


class StillProbe:
    """A process that uses nothing."""

    def totals(self) -> ProcessTotals:
        return ProcessTotals()

    def stations(self, totals: ProcessTotals) -> list[StationTotals]:
        return []


def test_a_database_is_a_link_of_whoever_runs_statements_and_is_told_when_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book = StatementBook()
    monkeypatch.setattr(collecting, "statements", book)
    monkeypatch.setattr(noting, "_name_caller", [lambda: "Orders.place"])
    monkeypatch.setattr(collecting, "outside_links", list)  # those of other tests
    collect = Collector(CallCounter(), list, StillProbe())
    database = book.database("sqlite:orders.db", "sqlite")
    for text in ("SELECT a FROM t", "DELETE FROM t"):
        book.ran(database, text, 1000, 5000, 1)
    (link,) = collect(is_whole=False, is_last=False).links
    assert (link.caller, link.callee, link.calls) == ("Orders.place", "sql sqlite:orders.db", 2)
    assert collect(is_whole=False, is_last=False).links == []
    book.ran(database, "DELETE FROM t", 6000, 9000, error="OperationalError")
    (link,) = collect(is_whole=False, is_last=False).links
    assert (link.calls, link.errors) == (3, 1)
