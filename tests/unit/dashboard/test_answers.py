"""What the API answers from what the telemetry store knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from outgrow.dashboard import source
from outgrow.dashboard.answers import Answers
from outgrow.dashboard.objectives import Promise
from outgrow.dashboard.placing import Supervision
from outgrow.dashboard.shapes import Group, Outcome, Placement
from outgrow.placement import Wish
from outgrow.telemetry.records import (
    LogRecord,
    ProcessTotals,
    SpanRecord,
    StatementTotals,
    StationTotals,
)
from tests.unit.dashboard.asking_api import MOMENT_NS, ask
from tests.unit.dashboard.stored import MS_NS, SECOND_NS, Stored, called, took

TRACE_ID = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")


class Placed(Supervision):
    """A supervisor that runs two groups, and does what it is told."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))

    def placement(self, *, may_change: bool) -> Placement:
        groups = [("front", ["web", "order-history"]), ("desk", ["stock"])]
        return Placement(
            state="running",
            may_change=may_change,
            groups=[
                Group(name=name, runs=runs, replicas_min=1, replicas_max=1, ready=1, busy_percent=0)
                for name, runs in groups
            ],
        )

    def change(self, wish: Wish) -> Outcome:
        return Outcome(is_done=True, steps=["done"])


def answer(target: str, stored: Stored, **options: Any) -> Any:
    known = Answers(stored, app="shop", supervision=Placed())
    found = ask(f"/api/{target}", answers=known, **options)
    assert found.status_code == 200, found.text
    return found.json()


def worker(name: str, busy_percent: float, **more: Any) -> source.WorkerSum:
    used = ProcessTotals(
        user_ns=3 * SECOND_NS, busy_percent=busy_percent, in_flight=2, loop_lags=took(1, 1, 40)
    )
    known: dict[str, Any] = {
        "group": name.split("/")[0],
        "version": 3,
        "machine": "m",
        "pid": 7,
        "began_ns": 0,
        "seen_ns": MOMENT_NS,
        "seconds": 10.0,
        "state": "reporting",
        "used": used,
    }
    return source.WorkerSum(name=name, **known | more)


def test_the_map_joins_routes_to_one_edge_and_operations_to_their_services() -> None:
    stored = Stored(
        sums=[
            called("", "GET /orders", 10, 20),
            called("", "POST /orders", 30, errors=1),
            called("GET /orders", "OrderHistory.find", 5, 5),
            called("web", "Stock.reserve", 8),
            called("OrderHistory.find", "Stock.left", 1, 1, 1, refused=1),
            called("OrderHistory.find", "OrderHistory.cached", 1),
            called("Stock.left", "sql stock", 1),
            called("Stock.left", "http api.stripe.com", 90),
        ],
        crew=[worker("front/1", 30), worker("front/2", 50), worker("desk/1", 80)],
    )
    now = answer("now", stored)
    nodes = {each["name"]: each for each in now["nodes"]}
    assert list(nodes) == ["edge", "OrderHistory", "Stock", "sql stock", "http api.stripe.com"]
    assert [each["kind"] for each in now["nodes"]] == [
        *("edge", "service", "service", "database", "outside"),
    ]
    assert nodes["edge"]["requests_per_second"] == pytest.approx(0.3)
    assert nodes["edge"]["error_percent"] == pytest.approx(100 / 3)
    assert nodes["OrderHistory"]["busy_percent"] == 50
    assert nodes["OrderHistory"]["workers"] == ["front/1", "front/2"]
    assert nodes["Stock"]["busy_percent"] == 80
    assert nodes["sql stock"]["busy_percent"] is None
    links = {(each["caller"], each["callee"]): each for each in now["links"]}
    assert ("OrderHistory", "OrderHistory") not in links
    assert links["OrderHistory", "Stock"]["error_percent"] == 25
    assert ("edge", "Stock") in links
    assert (now["workers_count"], now["in_flight"], now["busy_percent"]) == (3, 6, 80)
    assert now["sentence"] is None


def test_the_map_goes_through_queues_and_topics() -> None:
    stored = Stored(
        sums=[
            called("", "POST /orders", 30),
            called("POST /orders", "queue mail Mail.send_receipt", 0),
            called("schedule", "queue mail Mail.digest", 0),
            called("POST /orders", "topic shop.OrderPlaced", 0),
            called("queue mail", "Mail.send_receipt", 20),
            called("topic shop.OrderPlaced", "Stock.on_order_placed", 3),
        ]
    )
    now = answer("now", stored)
    assert {(each["caller"], each["callee"]) for each in now["links"]} == {
        ("edge", "queue mail"),
        ("schedule", "queue mail"),
        ("edge", "topic shop.OrderPlaced"),
        ("queue mail", "Mail"),
        ("topic shop.OrderPlaced", "Stock"),
    }
    kinds = {each["name"]: each["kind"] for each in now["nodes"]}
    assert (kinds["schedule"], kinds["queue mail"], kinds["Mail"]) == (
        *("outside", "outside", "service"),
    )
    shown = answer("operations", stored)["operations"]
    assert {each["name"] for each in shown} == {
        *("POST /orders", "Mail.send_receipt", "Stock.on_order_placed"),
    }


def test_before_the_first_call_nothing_is_known_rather_than_zero() -> None:
    now = answer("now", Stored())
    assert now["error_percent"] is now["p95_ms"] is now["busy_percent"] is None
    assert now["nodes"] == now["links"] == []


def test_an_operation_sums_its_callers_and_its_impact_is_among_its_kind() -> None:
    stored = Stored(
        sums=[
            called("", "GET /orders", 10, 10, metered=2, loop_ns=6 * MS_NS),
            called("", "POST /orders", 60),
            called("GET /orders", "Stock.left", 1),
            called("POST /orders", "Stock.left", 3, errors=1),
            called("Stock.left", "sql stock", 1),
        ]
    )
    found = {each["name"]: each for each in answer("operations", stored)["operations"]}
    assert found.keys() == {"GET /orders", "POST /orders", "Stock.left"}
    assert found["Stock.left"]["calls"] == 2
    assert found["Stock.left"]["error_percent"] == 50
    assert found["Stock.left"]["impact_percent"] == 100
    assert found["Stock.left"]["cpu_ms_per_call"] is None
    assert found["GET /orders"]["impact_percent"] == 25
    assert found["GET /orders"]["cpu_ms_per_call"] == 3
    at_once = found["GET /orders"]["requests_per_second"] * 0.010
    assert found["GET /orders"]["in_flight_mean"] == pytest.approx(at_once)
    assert found["POST /orders"]["p50_ms"] == pytest.approx(60, rel=0.07)


def test_a_series_has_a_value_for_every_step_and_no_latency_where_nothing_was_called() -> None:
    at_ns = MOMENT_NS // (10 * SECOND_NS) * 10 * SECOND_NS - 20 * SECOND_NS
    stored = Stored(series=[source.StepSum(at_ns=at_ns, calls=2, errors=1, buckets=took(5, 6))])
    found = answer("series?from=-1m&step=10", stored)
    place = found["times_ms"].index(at_ns / 1e6)
    assert found["requests_per_second"][place] == 0.2
    assert found["errors_per_second"][place] == 0.1
    assert found["p99_ms"][place] == pytest.approx(6, rel=0.07)
    assert sum(found["requests_per_second"]) == pytest.approx(0.2)
    assert found["p50_ms"].count(None) == len(found["times_ms"]) - 1


@pytest.mark.parametrize(
    ("period", "seconds"), [("-15m", 10), ("-1h", 20), ("-6h", 120), ("-24h", 600), ("-7d", 3600)]
)
def test_about_180_steps_of_a_round_length_are_answered(period: str, seconds: float) -> None:
    found = answer(f"series?from={period}", Stored())
    assert found["step_seconds"] == seconds
    assert 80 < len(found["times_ms"]) < 200


def test_a_step_is_no_shorter_than_what_is_counted_but_in_the_newest_seconds() -> None:
    assert answer("series?from=-1m", Stored())["step_seconds"] == 10
    assert answer("series?from=-20s", Stored())["step_seconds"] == 1


def test_a_step_that_is_not_over_has_the_rate_of_its_part() -> None:
    at_ns = MOMENT_NS // (60 * SECOND_NS) * 60 * SECOND_NS
    part = (MOMENT_NS - at_ns) / SECOND_NS
    stored = Stored(series=[source.StepSum(at_ns=at_ns, calls=60)])
    found = answer("series?from=-10m&step=60", stored)
    assert found["requests_per_second"][-1] == pytest.approx(60 / max(1.0, part))


def test_so_many_steps_and_no_more_may_be_asked_for() -> None:
    known = Answers(Stored(), app="shop")
    found = ask("/api/series?from=-7d&step=1", answers=known)
    assert found.json()["text"] == "`step` of 1 s makes more than 2000 steps"


def test_every_call_is_in_one_cell_of_the_heat_map() -> None:
    at_ns = MOMENT_NS // (10 * SECOND_NS) * 10 * SECOND_NS - 20 * SECOND_NS
    durations = (0.0001, 0.3, 5, 6, 80, 12_000)
    stored = Stored(
        series=[source.StepSum(at_ns=at_ns, calls=6, buckets=took(*durations))],
        spans=[span(status=2), span()],
    )
    found = answer("operations/GET%20%2Forders/heatmap?from=-1m&step=10", stored)
    assert sum(sum(column) for column in found["counts"]) == len(durations)
    assert found["edges_ms"] == sorted(found["edges_ms"])
    assert all(len(column) == len(found["edges_ms"]) for column in found["counts"])
    assert [each["is_error"] for each in found["exemplars"]] == [True, False]


def span(status: int = 0) -> SpanRecord:
    return SpanRecord(TRACE_ID, bytes(8), b"", "GET /orders", 2, MOMENT_NS, 5 * MS_NS, status)


def test_a_trace_is_found_by_its_id_or_told_to_be_missing() -> None:
    found = answer(f"traces/{TRACE_ID.hex()}", Stored(spans=[span()]))
    assert found["duration_ms"] == 5
    known = Answers(Stored(), app="shop")
    assert ask(f"/api/traces/{TRACE_ID.hex()}", answers=known).status_code == 404
    assert ask("/api/traces/12", answers=known).status_code == 400


def test_searches_are_passed_on_with_their_limits() -> None:
    stored = Stored(lines=[LogRecord(MOMENT_NS, 9, "hello")])
    answer("traces?operation=GET%20/x&min_ms=1.5&error=1&text=tea&limit=7", stored)
    wanted = source.TraceSearch(
        operation="GET /x", min_ns=1_500_000, only_errors=True, text="tea", limit=7
    )
    assert stored.searches[0][0] == wanted
    found = answer(f"logs?trace_id={TRACE_ID.hex()}&severity_min=13&limit=1", stored)
    assert stored.searches[1][0].trace_id == TRACE_ID
    assert found["before_ms"] == MOMENT_NS / 1e6
    answer(f"logs?before={found['before_ms']}", stored)
    assert stored.searches[2][2] == pytest.approx(MOMENT_NS, abs=1000)


def sql(caller: str, fingerprint: str, calls: int, **more: Any) -> StatementTotals:
    return StatementTotals(
        "sqlite:shop.db",
        fingerprint,
        f"SELECT {fingerprint}",
        caller,
        calls=calls,
        duration_ns=calls * MS_NS,
        buckets=took(*[1.0] * calls),
        **more,
    )


def test_a_statement_sums_its_callers_and_tells_how_often_a_request_runs_it() -> None:
    stored = Stored(
        sql=[
            sql("Orders.place", "a", 60, rows=60, per_parent={0: 1, 3: 19}),
            sql("GET /orders", "a", 20, rows=60, per_parent={0: 20}),
            sql("GET /orders", "b", 20),
        ]
    )
    first, second = answer("statements", stored)["statements"]
    assert (first["calls"], first["rows"], first["share_percent"]) == (80, 120, 80)
    assert first["callers"] == ["Orders.place", "GET /orders"]
    assert first["calls_per_request_p95"] == 8
    assert second["calls_per_request_p95"] is None
    (mine,) = answer("statements?caller=Orders.place", stored)["statements"]
    assert (mine["calls"], mine["share_percent"]) == (60, 100)


def test_a_database_shows_which_services_read_and_write_its_tables() -> None:
    stored = Stored(
        sql=[
            sql("Orders.place", "a", 5, reads=["items"], writes=["orders", "items"]),
            sql("Stock.reserve", "b", 3, writes=["items"]),
            sql("GET /orders", "c", 2, reads=["orders"]),
        ]
    )
    (found,) = answer("databases", stored)["databases"]
    assert (found["calls"], found["services"]) == (10, ["Orders", "Stock", "edge"])
    tables = {each["table"]: each for each in found["tables"]}
    assert tables["items"]["writers"] == ["Orders", "Stock"]
    assert tables["items"]["readers"] == ["Orders"]
    assert tables["orders"]["readers"] == ["edge"]


def test_a_station_is_as_busy_as_the_share_of_its_capacity_in_use() -> None:
    used = StationTotals(
        "pool orders", "pool", 5, served=20, busy_ns=25 * SECOND_NS, hold_ns=20 * 8 * MS_NS
    )
    idle = StationTotals("loop", "loop")
    stored = Stored(
        used=[source.StationSum(worker="w", seconds=10.0, used=each) for each in (idle, used)]
    )
    first, second = answer("stations", stored)["stations"]
    assert (first["name"], first["busy_percent"], first["hold_ms"]) == ("pool orders", 50, 8)
    assert (second["busy_percent"], second["hold_ms"], second["wait_p95_ms"]) == (0, None, None)


def test_workers_that_report_come_first_and_a_lost_one_is_told_with_its_gap() -> None:
    stored = Stored(
        crew=[worker("desk/2", 9, state="lost", seconds=0.0), worker("front/1", 30)],
        holes=[source.GapSum(worker="desk/2", from_ns=1_000_000, to_ns=2_000_000)],
    )
    found = answer("workers", stored)
    first, second = found["workers"]
    assert (first["name"], first["cpu_percent"], first["busy_percent"]) == ("front/1", 30, 30)
    assert first["loop_lag_p99_ms"] == pytest.approx(40, rel=0.07)
    assert (second["state"], second["busy_percent"], second["cpu_percent"]) == ("lost", None, None)
    assert found["gaps"] == [
        {"worker": "desk/2", "from_ms": 1.0, "to_ms": 2.0, "is_counted": False}
    ]
    assert found["lost"] == {"spans": 3}


def stepped(worker: str, epoch: str, at_ns: int, **more: Any) -> source.ProcessStep:
    """A step of 10 s in which a process used 4 s of a core."""
    used = {"user_ns": 4 * SECOND_NS, "loop_lags": took(1, 1, 40), "memory_bytes": 50}
    known = {"worker": worker, "epoch": epoch, "at_ns": at_ns, "seconds": 10.0, "loop_busy_ns": 0}
    process = ProcessTotals(**used | more.pop("used", {}))
    return source.ProcessStep(**known | more, used=process)


def test_workers_over_time_are_a_line_each_whichever_process_it_was() -> None:
    first_ns = MOMENT_NS - 60 * SECOND_NS
    times = [first_ns + number * 10 * SECOND_NS for number in range(6)]
    stored = Stored(
        crew=[
            worker("front/1", 0, epoch="new", began_ns=times[2]),
            worker("front/1", 0, epoch="old"),
            worker("desk/1", 0, epoch="desk", used=ProcessTotals(user_ns=1)),
        ],
        told=[
            stepped("front/1", "new", times[2], used={"memory_bytes": 70}),
            stepped("front/1", "old", times[2]),
            stepped("front/1", "old", times[0], loop_busy_ns=6 * SECOND_NS),
            stepped("front/1", "unknown", times[1]),
            stepped("desk/1", "desk", times[0], seconds=5.0, used={"user_ns": 9 * SECOND_NS}),
        ],
    )
    period = f"from={first_ns / 1e6:.0f}&to={MOMENT_NS / 1e6:.0f}&step=10"
    found = answer(f"workers/series?{period}", stored)
    assert found["times_ms"] == [time / 1e6 for time in times]
    front, desk = found["workers"]
    assert (front["name"], desk["name"], found["workers_count"]) == ("front/1", "desk/1", 2)
    nothing = [None] * 3
    assert front["busy_percent"] == [60, None, 40, *nothing]
    assert front["memory_bytes"] == [50, None, 70, *nothing]
    assert front["loop_lag_p99_ms"][0] == pytest.approx(40, rel=0.07)
    assert front["gil_wait_p99_ms"] == [None] * 6
    assert desk["busy_percent"][:2] == [100, None]
    few = answer(f"workers/series?{period}&limit=1", stored)
    assert [one["name"] for one in few["workers"]] == ["front/1"]
    assert few["workers_count"] == 2


def test_workers_of_the_same_name_on_two_machines_are_two_lines() -> None:
    at_ns = MOMENT_NS - 10 * SECOND_NS
    stored = Stored(
        crew=[worker("front/1", 0, epoch=name, machine=name) for name in ("a", "b")],
        told=[stepped("front/1", "b", at_ns)],
    )
    found = answer(f"workers/series?from={at_ns / 1e6:.0f}&step=10", stored)
    lines = {one["name"]: one["busy_percent"] for one in found["workers"]}
    assert lines == {"front/1 on a": [None], "front/1 on b": [40]}


def test_a_change_is_written_down_for_the_audit_and_is_no_deploy() -> None:
    stored = Stored()
    known = Answers(stored, app="shop", supervision=Placed())
    ask("/api/placement", method="POST", answers=known, json={"moves": ["stock=front"]})
    plan = {"moves": ["stock=front"], "is_only_shown": True}
    ask("/api/placement", method="POST", answers=known, json=plan)
    (entry,) = ask("/api/audit", answers=known).json()["entries"]
    assert (entry["who"], entry["text"]) == ("this machine", "move stock to front: done")
    assert ask("/api/marks", answers=known).json()["marks"] == []


def test_without_a_supervisor_nothing_can_be_changed_and_nothing_is_hidden(tmp_path: Path) -> None:
    for known in (
        Answers(Stored(), app="shop"),
        Answers(Stored(), app="shop", supervision=Supervision(tmp_path)),
    ):
        assert ask("/api/placement", answers=known).json()["state"] == "none"
        wish = {"reload": True}
        found = ask("/api/placement", method="POST", answers=known, json=wish).json()
        assert not found["is_done"]
        assert "supervisor" in found["problem"]["text"]


def test_an_objective_counts_calls_within_its_latency_also_inside_a_bucket() -> None:
    steps = source.StepSum(at_ns=MOMENT_NS - SECOND_NS, calls=100, errors=3)
    steps.buckets = took(*[10.0] * 90, *[900.0] * 10)
    promises = (
        Promise(operation="GET /orders", goal_percent=95, latency_ms=300),
        Promise(operation="GET /orders", goal_percent=99),
    )
    known = Answers(Stored(series=[steps]), app="shop", promises=promises)
    latency, errors = ask("/api/objectives", answers=known).json()["objectives"]
    assert (latency["good_percent"], latency["text"]) == (90, "95 % within 300 ms")
    assert latency["budget_left_percent"] == pytest.approx(-100)
    assert errors["good_percent"] == 97
    assert errors["burns"][0]["long_rate"] == pytest.approx(3)
