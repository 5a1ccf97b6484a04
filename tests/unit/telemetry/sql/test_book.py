"""What is counted of statements: exactly, by caller and by run of it, and not without end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic_ns

import pytest

from outgrow.telemetry.outside import noting
from outgrow.telemetry.records import StatementTotals
from outgrow.telemetry.sql.book import (
    DATABASES_MAX,
    RUNS_MAX,
    STATEMENTS_MAX,
    TEXTS_MAX,
    StatementBook,
    links_of,
)
from outgrow.telemetry.traces import Segment, begin, here

READ = "SELECT a FROM t WHERE id = 1"


@pytest.fixture
def book() -> StatementBook:
    return StatementBook()


@pytest.fixture(autouse=True)
def route(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The name of who calls, which a test may change."""
    names = ["GET /orders"]
    monkeypatch.setattr(noting, "_name_caller", [lambda: names[0]])
    yield names
    here.set(None)


def run(
    book: StatementBook, text: str = READ, count: int = 1, *, rows: int = 0, error: str = ""
) -> None:
    database = book.database("sqlite:shop.db", "sqlite")
    for _ in range(count):
        book.ran(database, text, 1000, 5000, rows, error)


def within() -> Segment:
    """Begin a request."""
    segment = begin(monotonic_ns())
    here.set(segment)
    return segment


def one(book: StatementBook) -> StatementTotals:
    (found,) = book.all()
    return found


def test_runs_of_a_statement_are_added_up(book: StatementBook) -> None:
    run(book, rows=3)
    run(book, "select a from t where id=2", rows=4)
    run(book, rows=-1, error="OperationalError")
    found = one(book)
    assert (found.database, found.caller) == ("sqlite:shop.db", "GET /orders")
    assert (found.calls, found.errors, found.rows) == (3, 1, 7)
    assert found.duration_ns == 12_000
    assert found.buckets == {3: 3}
    assert (found.text, found.reads) == ("SELECT a FROM t WHERE id = ?", ["t"])


def test_each_caller_has_totals_of_its_own(book: StatementBook, route: list[str]) -> None:
    run(book)
    route[0] = "Orders.place"
    run(book)
    assert [(each.caller, each.calls) for each in book.all()] == [
        ("GET /orders", 1),
        ("Orders.place", 1),
    ]


def test_runs_of_the_caller_are_counted_by_how_often_they_ran_a_statement(
    book: StatementBook,
) -> None:
    for count in (1, 5, 7):
        segment = within()
        run(book, count=count)
        segment.is_open = False
    here.set(None)
    run(book)
    found = one(book)
    assert found.calls == 14
    assert found.per_parent == {0: 1, 2: 2}


def test_a_request_under_way_is_counted_once_it_has_ended(book: StatementBook) -> None:
    segment = within()
    run(book, count=3)
    assert one(book).per_parent == {}
    run(book)
    segment.is_open = False
    assert one(book).per_parent == {2: 1}


def test_requests_that_ended_are_folded_while_others_begin(book: StatementBook) -> None:
    for _ in range(100):
        segment = within()
        run(book)
        segment.is_open = False
    assert len(book._runs) < 5


def test_requests_that_never_end_take_no_more_room_than_there_is(book: StatementBook) -> None:
    for _ in range(RUNS_MAX + 100):
        within()
        run(book)
    assert len(book._runs) <= RUNS_MAX + 1
    assert one(book).per_parent[0] >= 99


def test_a_statement_is_a_span_of_its_request(book: StatementBook) -> None:
    segment = within()
    run(book, error="IntegrityError")
    (span,) = segment.spans
    assert isinstance(span, tuple)
    number, parent, name, kind, begun_ns, ended_ns, error, attributes = span
    assert (number, parent, name, kind) == (2, 1, "SELECT t", 3)
    assert (begun_ns, ended_ns, error) == (1000, 5000, "IntegrityError")
    assert attributes is not None
    assert attributes["db.query.text"] == "SELECT a FROM t WHERE id = ?"
    assert segment.flaw


def test_what_changed_is_told_once(book: StatementBook) -> None:
    segment = within()
    run(book)
    assert [each.calls for each in book.changed()] == [1]
    assert book.changed() == []
    segment.is_open = False
    assert [each.per_parent for each in book.changed()] == [{0: 1}]
    assert book.changed() == []


def test_more_statements_than_there_is_room_for_are_counted_together(book: StatementBook) -> None:
    for number in range(STATEMENTS_MAX + 500):
        run(book, f"SELECT a{number} FROM t")
    run(book, "SELECT a2500 FROM t")
    found = book.all()
    assert len(found) <= STATEMENTS_MAX
    assert found[-1].text == found[-1].caller == "(other)"
    assert sum(each.calls for each in found) == STATEMENTS_MAX + 501


def test_more_databases_than_there_is_room_for_are_one(book: StatementBook) -> None:
    for number in range(DATABASES_MAX + 10):
        database = book.database(f"sqlite:{number}.db", "sqlite")
        book.ran(database, READ, 0, 1)
    assert len({each.database for each in book.all()}) == DATABASES_MAX + 1


def test_texts_that_are_never_the_same_take_no_more_room_than_there_is(
    book: StatementBook,
) -> None:
    for number in range(5 * TEXTS_MAX):
        run(book, f"SELECT a FROM t WHERE id = {number}")
    assert one(book).calls == 5 * TEXTS_MAX
    assert len(book._young) + len(book._old) <= 2 * TEXTS_MAX


def test_threads_lose_no_count(book: StatementBook) -> None:
    threads = [threading.Thread(target=run, args=(book, READ, 5000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = one(book)
    assert found.calls == sum(found.buckets.values()) == 20_000


def test_statements_are_links_to_their_database(book: StatementBook) -> None:
    run(book, READ, 2)
    run(book, "DELETE FROM t", error="X")
    (link,) = links_of(book.all())
    assert (link.caller, link.callee) == ("GET /orders", "sql sqlite:shop.db")
    assert (link.calls, link.errors, link.duration_ns) == (3, 1, 12_000)
    assert link.buckets[3] == 3
