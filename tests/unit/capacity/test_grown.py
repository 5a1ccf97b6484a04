"""Growth that is more than requests: routes that grow faster, and rows that pile up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity import (
    Forecast,
    Growth,
    OperationWindow,
    Recorded,
    StatementWindow,
    StationWindow,
    Window,
    forecast,
)
from outgrow.capacity.rows import row_times
from tests.unit.capacity.made import evidence, link, window

READ_SECONDS, WRITE_SECONDS = 0.001, 0.008


def told_of(given: Recorded, **more: object) -> Forecast:
    told = forecast(given, draws=60, **more)  # pyright: ignore[reportArgumentType]
    assert isinstance(told, Forecast), told
    return told


def two_routes(number: int) -> Window:
    """Of a lock, `POST /checkout` takes 8 ms and `GET /` 1 ms; it calls `Orders.place`."""
    reads, writes = 80 + 10 * (number % 5), 20 + 7 * (number % 3)
    one = window(number, reads, loop_seconds=0.0001)
    post = OperationWindow(
        name="POST /checkout",
        calls=writes,
        duration_seconds=writes * 0.02,
        buckets=one.operations[0].buckets,
    )
    place = OperationWindow(name="Orders.place", is_entry=False, calls=writes)
    lock = StationWindow(
        name="writer",
        kind="lock",
        served=reads + writes,
        hold_seconds=reads * READ_SECONDS + writes * WRITE_SECONDS,
        hold_squared_s2=0.002,
        by_operation={"GET /": reads, "POST /checkout": writes},
    )
    return replace(
        one,
        operations=(*one.operations, post, place),
        links=(link("POST /checkout", "Orders.place", calls=writes),),
        stations=(*one.stations, lock),
    )


MIXED = evidence(*(two_routes(number) for number in range(24)))


def limit(growth: Growth | None) -> float:
    """How many times the traffic of now the lock bears."""
    return told_of(MIXED, growth=growth).headroom.best


@pytest.mark.parametrize("name", ["POST /checkout", "Orders.place"])
def test_a_route_that_grows_faster_brings_the_limit_nearer(name: str) -> None:
    plain, fast = limit(None), limit(Growth(mix={name: 3.0}))
    seconds = {"reads": 100 * READ_SECONDS, "writes": 27 * WRITE_SECONDS}
    now = seconds["reads"] + seconds["writes"]
    assert plain / fast == pytest.approx((now + 2 * seconds["writes"]) / now, rel=0.1)


def test_all_that_grows_alike_is_the_same_forecast() -> None:
    assert limit(Growth(mix={"GET /": 1.0, "POST /checkout": 1.0})) == pytest.approx(limit(None))


def test_an_operation_stands_for_those_calls_that_lead_to_it() -> None:
    def with_few(one: Window) -> Window:
        calls = one.links[0].calls
        return replace(one, links=(replace(one.links[0], calls=calls // 2),))

    half = evidence(*(with_few(one) for one in MIXED.recorded))
    told = told_of(half, growth=Growth(mix={"Orders.place": 3.0}))
    by_name = {one.name: one.calls_per_second for one in told.model.classes}
    plain = {one.name: one.calls_per_second for one in told_of(half).model.classes}
    assert by_name["GET /"] == plain["GET /"]
    assert by_name["POST /checkout"] / plain["POST /checkout"] == pytest.approx(2.0, rel=0.05)


ROW_SECONDS, FIXED_SECONDS, ROWS = 0.0001, 0.002, 40
LOOP_ROW_SECONDS = 0.00002


def with_rows(number: int, **more: object) -> Window:
    """`GET /` runs a statement that brings 40 rows as a rule, of 0.1 ms each."""
    calls = 90 + number % 11
    rows = ROWS + 10 * (number % 5 - 2)
    spent = calls * (FIXED_SECONDS + rows * ROW_SECONDS)
    made: dict[str, object] = {
        "database": "postgresql://db/shop",
        "fingerprint": "f",
        "text": "SELECT name FROM items",
        "caller": "GET /",
        "reads": ("items",),
        "calls": calls,
        "rows": calls * rows,
        "duration_seconds": spent,
        **more,
    }
    pool = StationWindow(
        name="pool postgresql://db/shop",
        kind="pool",
        capacity=2,
        group="web",
        served=calls,
        hold_seconds=spent,
        hold_squared_s2=2 * spent**2 / calls,
        by_operation={"GET /": calls},
    )
    one = window(number, calls, loop_seconds=0.001 + rows * LOOP_ROW_SECONDS)
    return replace(
        one,
        statements=(StatementWindow(**made),),  # pyright: ignore[reportArgumentType]
        stations=(*one.stations, pool),
    )


def test_rows_enter_the_demand_by_what_one_costs() -> None:
    given = evidence(*(with_rows(number) for number in range(25)))
    plain, grown = told_of(given), told_of(given, growth=Growth(data_ratio=5.0))
    now = FIXED_SECONDS + ROWS * ROW_SECONDS
    then = FIXED_SECONDS + 5 * ROWS * ROW_SECONDS
    assert plain.first == grown.first == ("pool postgresql://db/shop",)
    assert plain.saturation_per_second.best / grown.saturation_per_second.best == pytest.approx(
        then / now, rel=0.03
    )
    loops = [one.model.seconds[0, one.model.index("loop web"), 0] for one in (plain, grown)]
    assert loops[1] - loops[0] == pytest.approx(4 * ROWS * LOOP_ROW_SECONDS, rel=0.05)
    assert grown.model.classes[0].mean_seconds > plain.model.classes[0].mean_seconds + then - now
    assert grown.rows.unknown == ()


def test_the_loop_counts_and_not_the_meter_where_they_differ() -> None:
    def metered(one: Window, times: float) -> Window:
        run = one.operations[0]
        return replace(one, operations=(replace(run, loop_seconds=times * run.loop_seconds),))

    windows = [with_rows(number) for number in range(25)]
    plain, late = (
        [one.seconds_per_row.best for one in row_times(several).known]
        for several in (windows, [metered(one, 3.0) for one in windows])
    )
    assert late == pytest.approx(plain)


def test_a_row_costs_no_more_than_a_call_takes() -> None:
    def steeply(one: Window) -> Window:
        (ran,) = one.statements
        return replace(one, statements=(replace(ran, duration_seconds=1e-5 * ran.rows**2),))

    steep = [steeply(with_rows(number)) for number in range(25)]
    (statement, _) = row_times(steep).known
    spent = sum(one.statements[0].duration_seconds / one.statements[0].calls for one in steep)
    brought = sum(one.statements[0].rows / one.statements[0].calls for one in steep)
    assert statement.seconds_per_row.best == pytest.approx(spent / brought)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        pytest.param({"rows": 95}, "its calls bring 1 rows each, which did not vary", id="by key"),
        pytest.param({"rows": 0}, "the driver does not say", id="rows that nobody counts"),
        pytest.param({"text": "SELECT name FROM items LIMIT 20"}, "LIMIT bounds", id="a page"),
        pytest.param({"duration_seconds": 0.3}, "did not surely rise", id="time that stays"),
        pytest.param({"caller": "edge"}, "nobody who is known leads to `edge`", id="no caller"),
        pytest.param({"database": "postgresql://db/log"}, "no pool or lock of", id="no pool"),
    ],
)
def test_where_no_time_per_row_can_be_measured_that_is_said(
    more: dict[str, object], why: str
) -> None:
    windows = [with_rows(number, **more) for number in range(25)]
    if more.get("rows") == 95:
        windows = [with_rows(number, rows=90 + number % 11) for number in range(25)]
    times = row_times(windows)
    (unknown,) = times.unknown
    assert why in unknown.why
    assert [one.subject for one in times.known if one.subject == "SELECT name FROM items"] == []


def test_inserts_do_not_grow_with_the_tables() -> None:
    windows = [with_rows(number, text="INSERT INTO items VALUES (?)") for number in range(25)]
    times = row_times(windows)
    assert (times.known, times.unknown) == ((), ())


def test_without_statements_nothing_is_known_of_rows() -> None:
    (unknown,) = row_times([window(number) for number in range(20)]).unknown
    assert unknown.why == "no statement was seen"
