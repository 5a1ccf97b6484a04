"""Every pattern comes into question where something measured speaks for it, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from outgrow.capacity import (
    AdmissionLimit,
    Batch,
    Cache,
    CallOnce,
    Forecast,
    LinkWindow,
    MakeAsynchronous,
    Merge,
    Objective,
    OperationWindow,
    OwnDatabase,
    Pattern,
    Prices,
    ProcessWindow,
    Proposal,
    Recorded,
    ReuseDistances,
    ShorterHolds,
    StatementWindow,
    StationWindow,
    Traits,
    Window,
    attributed,
    forecast,
    grow,
    traits_of,
    ways,
)
from outgrow.capacity.model import stacked
from outgrow.capacity.patterns import patterns_for, propose
from tests.unit.capacity.made import buckets, evidence, replaced, window

TIMES = 60.0
WINDOWS = 24


def calls_in(number: int) -> int:
    return 90 + (number * 7) % 21


def operation(name: str, calls: int, loop_seconds: float) -> OperationWindow:
    return OperationWindow(
        name=name,
        is_entry=False,
        calls=calls,
        duration_seconds=calls * loop_seconds,
        buckets=buckets(loop_seconds, calls),
        metered=calls,
        loop_seconds=calls * loop_seconds,
    )


def calling(number: int, times: int = 1, callee_ms: float = 4.0, route: str = "GET /") -> Window:
    """A window in which each call of a route calls `Stock.take` so many times."""
    calls = calls_in(number)
    made = window(number, calls)
    inner = operation("Stock.take", calls * times, callee_ms / 1e3)
    busy = calls * (0.004 + times * callee_ms / 1e3)
    loop = replace(
        made.stations[0],
        served=calls * (1 + times),
        busy_seconds=busy,
        hold_seconds=busy,
        by_operation={route: calls, "Stock.take": calls * times},
    )
    (process,) = made.processes
    entry = replace(made.operations[0], name=route, loop_seconds=busy)
    return replace(
        made,
        operations=(entry, inner),
        links=(LinkWindow(caller=route, callee="Stock.take", calls=calls * times),),
        stations=(loop,),
        processes=(replace(process, cpu_seconds=busy, loop_cpu_seconds=busy),),
    )


def held(name: str, kind: str, seconds: float, capacity: int, number: int) -> Window:
    """A window in which each call of two services holds a station of a database."""
    made = calling(number, callee_ms=0.5, route="POST /")
    calls = calls_in(number)
    station = StationWindow(
        name=name,
        kind=kind,  # pyright: ignore[reportArgumentType]
        capacity=capacity,
        served=calls,
        busy_seconds=calls * seconds,
        hold_seconds=calls * seconds,
        hold_squared_s2=2 * calls * seconds**2,
    )
    return replaced(made, {"stations": (*made.stations, station)})


def statement(
    caller: str, seconds: float, *, times: int = 1, writes: bool = True
) -> StatementWindow:
    runs = sum(calls_in(number) for number in range(WINDOWS))
    return StatementWindow(
        database="sqlite:shop.db",
        fingerprint=caller,
        text="SELECT * FROM stock WHERE sku = ?",
        caller=caller,
        writes=("stock",) if writes else (),
        calls=runs * times,
        duration_seconds=seconds,
        per_parent={times.bit_length() - 1: runs},
    )


CALLING = evidence(*(calling(number) for number in range(WINDOWS)))
CHATTY = evidence(*(calling(number, 12, 0.5) for number in range(WINDOWS)))
LOCKED = evidence(*(held("writer shop.db", "lock", 0.02, 1, number) for number in range(WINDOWS)))
POOLED = evidence(*(held("readers shop.db", "pool", 0.05, 4, number) for number in range(WINDOWS)))
OWNERS = (statement("POST /", 40.0), statement("Stock.take", 60.0))


def told_of(given: Recorded, statements: Sequence[StatementWindow] = ()) -> tuple[Forecast, Traits]:
    known = attributed(given, statements)
    told = forecast(known, draws=60)
    assert isinstance(told, Forecast), told
    return told, traits_of(known.windows(), statements)


def offered(
    given: Recorded, statements: Sequence[StatementWindow] = (), times: float = TIMES
) -> dict[type, Pattern]:
    told, traits = told_of(given, statements)
    target = times * told.now_per_second
    found = [one for name in told.first for one in patterns_for(told.draws, name, target, traits)]
    return {type(one): one for one in reversed(found)}


def by_gain(
    given: Recorded, pattern: type, statements: Sequence[StatementWindow] = (), **more: object
) -> Proposal:
    told, _ = told_of(given, statements)
    one = offered(given, statements)[pattern]
    return propose(stacked(told.model, told.draws), [replace(one, **more)])[0]  # pyright: ignore


def test_a_called_operation_may_become_a_job_if_nobody_uses_its_answer() -> None:
    later = offered(CALLING)[MakeAsynchronous]
    assert later.title == "run `Stock.take` as jobs"
    assert "only you know" in later.needs[0]
    assert by_gain(CALLING, MakeAsynchronous).gain_ratio.best == pytest.approx(2.0, rel=0.1)


def test_what_runs_as_a_job_already_is_not_proposed_as_one() -> None:
    made = [
        replace(one, operations=(one.operations[0], replace(one.operations[1], is_background=True)))
        for one in CALLING.windows()
    ]
    assert MakeAsynchronous not in offered(evidence(*made))


def test_an_operation_that_is_called_again_and_again_may_be_called_once() -> None:
    assert CallOnce not in offered(CALLING)
    once = offered(CHATTY)[CallOnce]
    assert once.title == "let `GET /` call `Stock.take` once instead of 12 times"
    proposal = by_gain(CHATTY, CallOnce)
    # 4 ms and 12 times 0.5 ms, of which each row keeps a fifth.
    assert proposal.gain_ratio.best == pytest.approx(10 / (10 - 6 * (11 / 12) * 0.8), rel=0.05)
    assert proposal.gain_ratio.width_ratio > 1.1  # what a row takes was not measured


def test_a_statement_that_repeats_may_be_asked_once_and_others_may_not() -> None:
    rare = (statement("Stock.take", 60.0, times=2, writes=False),)
    often = (statement("Stock.take", 60.0, times=16, writes=False),)
    assert Batch not in offered(POOLED, rare)
    batch = offered(POOLED, often)[Batch]
    assert "once instead of 16 times" in batch.title
    assert "SELECT * FROM stock" in batch.title
    assert by_gain(POOLED, Batch, often).gain_ratio.best > 2


def test_a_database_of_several_services_may_be_parted_and_that_of_one_may_not() -> None:
    assert OwnDatabase not in offered(LOCKED, OWNERS[:1])
    own = offered(LOCKED, OWNERS)[OwnDatabase]
    assert own.title in (
        "give `Stock` a database of its own",
        "give `POST /` a database of its own",
    )
    assert by_gain(LOCKED, OwnDatabase, OWNERS).gain_ratio.best == pytest.approx(1 / 0.6, rel=0.05)


def test_a_lock_says_how_short_its_holds_would_have_to_be() -> None:
    told, _ = told_of(LOCKED)
    shorter = offered(LOCKED, times=2 * told.headroom.best)[ShorterHolds]
    assert "instead of 20" in shorter.title
    assert shorter.assumes.startswith("each hold takes ")
    assert ShorterHolds not in offered(LOCKED, times=20 * told.headroom.best)
    plan = grow(told, 2 * told.headroom.best)
    assert plan.stuck == "writer shop.db"  # no plan counts on what nobody measured


def test_a_cache_says_what_hit_rate_it_takes_where_none_was_measured() -> None:
    cache = offered(CALLING)[Cache]
    assert cache.title == "keep answers of `GET /`"
    assert cache.assumes.endswith("(hit rate not measured)")
    assert Cache not in offered(LOCKED, OWNERS)


def test_a_cache_answers_as_many_calls_as_keys_came_again() -> None:
    told, traits = told_of(CALLING)
    distances = ReuseDistances()
    distances.note_all(number % 10 for number in range(100))
    known = replace(traits, reuse={"GET /": distances})
    found = patterns_for(told.draws, told.first[0], 1e3, known)
    cache = next(one for one in found if isinstance(one, Cache) and one.operation == "GET /")
    assert (cache.hit_ratio, cache.assumes) == (0.9, "")
    assert cache.title == "keep the last 1,000 answers of `GET /`"


def test_an_operation_whose_statements_write_is_never_kept() -> None:
    traits = traits_of(CALLING.windows(), [statement("Stock.take", 1.0)])
    assert not traits.only_reads("GET /")  # it calls what writes
    reading = traits_of(CALLING.windows(), [statement("Stock.take", 1.0, writes=False)])
    assert reading.only_reads("GET /")
    assert reading.only_reads("Stock.take")
    assert not traits_of(CALLING.windows()).only_reads("Stock.take")  # nothing is known of it


def apart(number: int) -> Window:
    """`Stock` in a group of its own, on the one core of both; each call crosses ten times."""
    calls = calls_in(number)
    made = calling(number, 10, 0.2)
    web, stock = calls * 0.004, calls * 0.002
    loop = replace(
        made.stations[0], served=calls, busy_seconds=web, hold_seconds=web,
        by_operation={"GET /": calls},
    )  # fmt: skip
    other = replace(
        loop, name="loop stock", group="stock", served=calls * 10, busy_seconds=stock,
        hold_seconds=stock, by_operation={"Stock.take": calls * 10},
    )  # fmt: skip
    process = ProcessWindow(group="web", machine="host", cpu_seconds=web, loop_cpu_seconds=web)
    theirs = replace(process, group="stock", cpu_seconds=stock, loop_cpu_seconds=stock)
    entry = replace(made.operations[0], loop_seconds=web)
    return replace(
        made,
        operations=(entry, made.operations[1]),
        stations=(loop, other),
        processes=(process, theirs),
    )


def test_groups_that_talk_on_full_cores_may_be_merged_and_that_saves_a_worker() -> None:
    given = evidence(*(apart(number) for number in range(WINDOWS)), cores=1)
    merge = offered(given)[Merge]
    assert isinstance(merge, Merge)
    assert (merge.process, merge.into, merge.workers) == ("stock", "web", -1)
    proposal = by_gain(given, Merge)
    # Of 6 ms, ten crossings of twice 60 us go.
    assert proposal.gain_ratio.best == pytest.approx(6 / (6 - 1.2), rel=0.05)
    assert proposal.first_after in ("loop web", "cpu host")
    assert proposal.cost.cores < 0


def test_an_admission_limit_moves_nothing_and_is_offered_where_an_objective_breaks_first() -> None:
    objective = Objective(operation="GET /", seconds=0.05)
    told = forecast(CALLING, draws=60, objectives=[objective])
    assert isinstance(told, Forecast)
    knee = told.knee_by_objective_per_second
    assert knee is not None
    found = ways(told, grow(told, TIMES))
    (admission,) = [one for one in found if isinstance(one.pattern, AdmissionLimit)]
    assert admission.pattern.title.startswith(f"let in {knee.best:,.0f} calls a second")
    assert admission.gain_ratio.best == pytest.approx(1.0)
    plain, _ = told_of(CALLING)
    assert not any(
        isinstance(one.pattern, AdmissionLimit) for one in ways(plain, grow(plain, TIMES))
    )


def test_ways_are_ranked_and_those_that_assume_something_come_last() -> None:
    told, traits = told_of(CALLING)
    found = ways(told, grow(told, TIMES, traits=traits), traits=traits, prices=Prices(cpu_hour=1.0))
    known = [one for one in found if not one.pattern.assumes]
    assert [one.score for one in known] == sorted((one.score for one in known), reverse=True)
    assert [bool(one.pattern.assumes) for one in found] == sorted(
        bool(one.pattern.assumes) for one in found
    )
    assert len({one.pattern.title for one in found}) == len(found)
    assert all(one.cost.money_per_month is not None for one in found)


def test_where_nothing_binds_there_are_no_ways() -> None:
    told, traits = told_of(CALLING)
    assert ways(told, grow(told, 2.0, traits=traits), traits=traits) == ()


def test_the_ways_past_what_is_in_the_way_follow_those_past_the_first_limit() -> None:
    told, traits = told_of(LOCKED, OWNERS)
    limits = {one.first_before for one in ways(told, grow(told, 1e3, traits=traits), traits=traits)}
    assert "writer shop.db" in limits
