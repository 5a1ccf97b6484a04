"""Each sign is found where it is planted, and is silent where all is well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from outgrow.capacity import (
    Forecast,
    Objective,
    OperationWindow,
    ProcessWindow,
    QueueWindow,
    StatementWindow,
    StationWindow,
    Window,
    forecast,
)
from outgrow.capacity.signs import (
    SIGNS,
    Burn,
    Deploy,
    Missing,
    Release,
    Seen,
    Step,
    Trace,
    look_for_signs,
)
from tests.unit.capacity.made import buckets, evidence, link, steady, window


def told() -> Forecast:
    found = forecast(steady(), draws=40)
    assert isinstance(found, Forecast)
    return found


def each(**more: object) -> tuple[Window, ...]:
    return tuple(window(number, **more) for number in range(40))  # pyright: ignore


def station(**more: object) -> tuple[Window, ...]:
    return each(stations=(StationWindow(**more),))  # pyright: ignore[reportArgumentType]


def statement(**more: object) -> StatementWindow:
    given: dict[str, object] = {
        "database": "shop",
        "fingerprint": "f",
        "text": "SELECT 1",
        "caller": "GET /",
        "calls": 100,
        "duration_seconds": 0.1,
        "buckets": buckets(0.001, 100),
        **more,
    }
    return StatementWindow(**given)  # pyright: ignore[reportArgumentType]


def slower_with_load() -> Seen:
    rising = [window(n, 50 + n * 5, duration_seconds=0.0004 * (50 + n * 5)) for n in range(40)]
    return Seen(windows=tuple(rising))


def near_limit() -> Seen:
    return Seen(windows=each(), told=told(), peak_per_second=200.0)


def growing_days(**more: object) -> tuple[Window, ...]:
    days: list[Window] = []
    for day in range(28):
        made = window(day, 1000 + day * 100)
        rows = (statement(calls=100, duration_seconds=0.1 * 1.03**day),)
        cpu = ProcessWindow(group="web", cpu_seconds=(1000 + day * 100) ** 1.6 / 1e4)
        sent = (link("GET /", "A.a", calls=10, bytes=int(10_000 * 1.03**day)),)
        whole = {"at_seconds": day * 86_400.0, "seconds": 86_400.0}
        days.append(replace(made, **whole, statements=rows, processes=(cpu,), links=sent))
    return tuple(days)


def in_a_row() -> Seen:
    steps = [
        Step(name="GET /", service="web", parent=-1, begins_seconds=0, seconds=0.1, kind="other")
    ]
    steps += [
        Step(name=f"A.{n}", service="a", parent=0, begins_seconds=n * 0.03, seconds=0.03)
        for n in range(3)
    ]
    return Seen(traces=(Trace(operation="GET /", seconds=0.1, steps=tuple(steps)),) * 6)


def chain() -> Seen:
    steps = tuple(
        Step(
            name=f"S{n}.go",
            service=f"s{n}",
            parent=n - 1,
            begins_seconds=0,
            seconds=0.1,
            is_remote=n > 0,
            writes=n in (2, 3),
        )
        for n in range(5)
    )
    return Seen(traces=(Trace(operation="GET /", seconds=0.1, steps=steps),))


def filling() -> Seen:
    queues = [
        QueueWindow(
            name="mail",
            enqueued=30,
            started=20,
            ended=20,
            depth=n * 10,
            service_seconds=20.0,
            servers=2,
        )
        for n in range(40)
    ]
    return Seen(windows=tuple(window(n, queues=(queues[n],)) for n in range(40)))


def dying(each: int) -> Seen:
    """Jobs of which so many die in every window, of twenty that end."""
    queues = [QueueWindow(name="mail", ended=20, dead=n * each) for n in range(40)]
    return Seen(windows=tuple(window(n, queues=(queues[n],)) for n in range(40)))


def failing(before: int, after: int, *, release: str = "version 2") -> Seen:
    """Of a hundred calls in each window so many fail, and so many after a deploy in the middle."""
    windows = [window(n, 100) for n in range(40)]
    failed = [
        replace(one, operations=(replace(one.operations[0], errors=before if n < 20 else after),))
        for n, one in enumerate(windows)
    ]
    releases = (Release(at_seconds=windows[20].at_seconds, text=release),) if release else ()
    return Seen(windows=tuple(failed), releases=releases)


def owners(count: int) -> Seen:
    rows = [
        statement(fingerprint=str(n), service=f"s{n}", writes=("orders",), duration_seconds=1.0)
        for n in range(count)
    ]
    return Seen(windows=each(), statements=tuple(rows))


def coupled() -> Seen:
    return Seen(
        windows=each(links=(link("A.a", "B.b", calls=5),)),
        imports={"a": frozenset({"b"}), "b": frozenset({"a"}), "c": frozenset()},
        commits=(frozenset({"a", "b"}),) * 8 + (frozenset({"c"}),) * 8,
        service_of={"A.a": "a", "B.b": "b"},
    )


def jobs_beside() -> Seen:
    windows: list[Window] = []
    for n in range(16):
        runs = 5 + 60 * (n % 2)
        uses = {"GET /": 50 + runs, "Mail.send": runs}
        pool = StationWindow(name="pool", kind="pool", served=50 + 2 * runs, by_operation=uses)
        job = OperationWindow(name="Mail.send", is_entry=False, is_background=True, calls=runs)
        made = window(n, 50 + runs, duration_seconds=0.02 + runs / 2000)
        windows.append(replace(made, operations=(*made.operations, job), stations=(pool,)))
    return Seen(windows=tuple(windows))


def burning(**more: float) -> Burn:
    given = {"hours": 1.0, "long_rate": 20.0, "short_rate": 15.0, **more}
    return Burn(operation="GET /", promise="99 % within 5 ms", **given)


def hot() -> Seen:
    by_key = {f"k{n}": 10 for n in range(20)} | {"hot": 400}
    return Seen(windows=each(queues=(QueueWindow(name="mail", enqueued=600, by_key=by_key),)))


NEEDLESS = Deploy(changed=frozenset({"a"}), restarted=frozenset({"a", "b"}))
NEEDED = Deploy(changed=frozenset({"a"}), restarted=frozenset({"a"}))
GOOD_POOL = {"name": "pool", "kind": "pool", "capacity": 5, "served": 100, "hold_seconds": 2.0}

PLANTED = [
    ("latency with load", slower_with_load()),
    ("headroom", near_limit()),
    ("full station", Seen(windows=station(name="loop", kind="loop", hold_seconds=8.0, served=9))),
    ("waiting", Seen(windows=station(**GOOD_POOL, wait_seconds=1.0))),
    (
        "blocked loop",
        Seen(windows=each(processes=(ProcessWindow(group="web", loop_lags=buckets(0.3, 50)),))),
    ),
    (
        "contended GIL or cores",
        Seen(windows=each(processes=(ProcessWindow(group="web", gil_wait_p50_seconds=0.02),))),
    ),
    ("repeated statement", Seen(statements=(statement(per_parent={4: 50}),))),
    ("slow statement", Seen(statements=(statement(buckets=buckets(0.7, 100)),))),
    ("slowing statement", Seen(days=growing_days(), statements=(statement(),))),
    ("calls in a row", in_a_row()),
    ("backlog grows", filling()),
    ("exhausted pool", Seen(windows=station(**GOOD_POOL, waits=buckets(0.08, 100)))),
    ("write lock", Seen(windows=station(name="writer", kind="lock", hold_seconds=6.0, served=9))),
    ("many owners", owners(5)),
    ("chatty link", Seen(windows=each(links=(link("GET /", "A.a", calls=2000, bytes=9),)))),
    ("tight coupling", coupled()),
    ("long chain", chain()),
    ("rising cost", Seen(days=growing_days())),
    ("retries", Seen(windows=each(links=(link("GET /", "http bank", calls=50, attempts=70),)))),
    ("background work", jobs_beside()),
    (
        "growing payload",
        Seen(
            windows=each(links=(link("GET /", "A.a", calls=10, bytes=300_000),)),
            days=growing_days(),
        ),
    ),
    ("burning objective", Seen(burns=(burning(),))),
    ("hot key", hot()),
    ("deployed together", Seen(deploys=(NEEDLESS,) * 8 + (NEEDED,) * 4)),
    ("dead letters grow", dying(2)),
    ("rising errors", failing(before=1, after=5)),
]


def test_there_are_twenty_six_signs_and_each_is_planted_here() -> None:
    assert len(SIGNS) == 26
    assert [name for name, _ in PLANTED] == list(SIGNS)


@pytest.mark.parametrize(("name", "seen"), PLANTED, ids=[name for name, _ in PLANTED])
def test_a_planted_sign_is_found_with_its_numbers(name: str, seen: Seen) -> None:
    found = SIGNS[name](seen)
    assert not isinstance(found, Missing)
    assert found, name
    for one in found:
        assert one.sign == name
        assert one.text
        assert one.subject


@pytest.mark.parametrize("name", list(SIGNS))
def test_a_sign_without_evidence_says_what_it_takes(name: str) -> None:
    found = SIGNS[name](Seen())
    assert isinstance(found, Missing)
    assert found.needs


def healthy() -> Seen:
    quiet = evidence(*each())
    calm = tuple(
        Window(
            at_seconds=day * 86_400.0,
            seconds=86_400.0,
            operations=(OperationWindow(name="GET /", calls=10_000 + day % 5 * 500),),
            processes=(ProcessWindow(group="web", cpu_seconds=40 + day % 5 * 2.0),),
            statements=(statement(calls=100, duration_seconds=0.1 + day % 3 * 0.001),),
        )
        for day in range(28)
    )
    pool = StationWindow(
        **GOOD_POOL,
        waits=buckets(0.0001, 100),
        by_operation={"GET /": 100},  # pyright: ignore
    )
    writer = StationWindow(name="writer", kind="lock", served=20, hold_seconds=0.2)
    queue = QueueWindow(
        name="mail",
        enqueued=10,
        ended=10,
        service_seconds=1.0,
        by_key={f"k{n}": 1 for n in range(10)},
    )
    process = ProcessWindow(group="web", loop_lags=buckets(0.001, 90), gil_wait_p50_seconds=0.0002)
    windows = tuple(
        replace(
            one,
            stations=(*one.stations, pool, writer),
            queues=(queue,),
            processes=(process,),
            links=(link("GET /", "A.a", calls=100, attempts=100, bytes=90_00),),
        )
        for one in quiet.recorded
    )
    trace = Trace(operation="GET /", seconds=0.1, steps=chain().traces[0].steps[:2])
    return Seen(
        windows=windows,
        statements=(statement(service="a"),),
        days=calm,
        told=told(),
        traces=(trace,) * 6,
        burns=(burning(short_rate=1.0), burning(hours=72.0, long_rate=0.5)),
        commits=(frozenset({"a"}), frozenset({"b"})) * 10,
        imports={"a": frozenset({"b"}), "b": frozenset()},
        deploys=(NEEDED,) * 12,
    )


def test_a_healthy_system_shows_no_sign() -> None:
    looked = look_for_signs(healthy())
    assert looked.findings == ()
    assert set(looked.missing) <= {"background work"}


def test_what_pays_most_to_remove_comes_first() -> None:
    seen = replace(near_limit(), deploys=(NEEDLESS,) * 12)
    looked = look_for_signs(seen)
    assert looked.findings[0].sign == "headroom"
    assert (looked.findings[0].gain_ratio or 0) > 1.5


@pytest.mark.parametrize("name", ["blocked loop", "contended GIL or cores"])
def test_a_worker_that_starts_is_no_sign(name: str) -> None:
    starting = ProcessWindow(
        group="web", loop_lags=buckets(0.3, 50), gil_wait_p50_seconds=0.02, run_queue_seconds=5.0
    )
    seen = Seen(windows=(replace(window(0, 10), processes=(starting,)),))
    assert isinstance(SIGNS[name](seen), Missing)


def test_an_objective_that_no_traffic_keeps_is_told_as_such() -> None:
    broken = forecast(steady(), objectives=[Objective(operation="GET /", seconds=0.001)], draws=40)
    assert isinstance(broken, Forecast)
    found = SIGNS["headroom"](Seen(windows=(window(0),), told=broken))
    assert not isinstance(found, Missing)
    (one,) = found
    assert (one.subject, one.severity) == ("GET /", "severe")
    assert one.text == "99 % of `GET /` within 1 ms is not kept at any traffic"


def wandering(seed: int, load: float) -> Seen:
    """An hour of a queue at a steady load, as chance has it: four slots, jobs of a second each."""
    random = np.random.default_rng(seed)
    now, ends, starts_at = 0.0, list[float](), [0.0] * 4
    arrivals = np.cumsum(random.exponential(1 / (4 * load), int(3600 * 4 * load)))
    spans = random.exponential(1.0, len(arrivals))
    for came, span in zip(arrivals.tolist(), spans.tolist(), strict=True):
        slot = starts_at.index(min(starts_at))
        now = max(came, starts_at[slot]) + span
        starts_at[slot] = now
        ends.append(now)
    left, took = np.array(ends), spans
    windows: list[Window] = []
    for n in range(360):
        begins, until = n * 10.0, n * 10.0 + 10
        came_in = int(((arrivals >= begins) & (arrivals < until)).sum())
        gone = (left >= begins) & (left < until)
        waits = int((arrivals < until).sum() - (left - took < until).sum())
        queue = QueueWindow(
            name="queue mail",
            enqueued=came_in,
            started=int(gone.sum()),
            ended=int(gone.sum()),
            depth=max(waits, 0),
            servers=4,
            service_seconds=float(took[gone].sum()),
        )
        windows.append(window(n, queues=(queue,)))
    return Seen(windows=tuple(windows))


@pytest.mark.parametrize("load", [0.3, 0.7, 0.85])
def test_a_queue_that_keeps_up_is_no_sign_whatever_chance_does(load: float) -> None:
    for seed in range(8):
        assert SIGNS["backlog grows"](wandering(seed, load)) == []


@pytest.mark.parametrize("load", [1.1, 1.5])
def test_a_queue_that_does_not_keep_up_is_always_a_sign(load: float) -> None:
    for seed in range(4):
        found = SIGNS["backlog grows"](wandering(seed, load))
        assert isinstance(found, list)
        (one,) = found
        assert one.severity == "severe"
        assert one.share_ratio == pytest.approx(1 - 1 / load, abs=0.08)


def test_a_backlog_that_nobody_works_off_never_drains() -> None:
    queue = QueueWindow(name="queue mail", depth=30, oldest_seconds=600, servers=0)
    found = SIGNS["backlog grows"](Seen(windows=each(queues=(queue,))))
    assert isinstance(found, list)
    assert found[0].text == (
        "`queue mail` gets 0.00 a second and nothing of it ends; the 30 that wait are done never"
    )


def test_a_backlog_of_an_outage_that_drains_is_told_with_its_time() -> None:
    queue = QueueWindow(
        name="queue mail", enqueued=10, ended=20, depth=900, servers=2, service_seconds=10.0
    )
    found = SIGNS["backlog grows"](Seen(windows=each(queues=(queue,))))
    assert isinstance(found, list)
    assert found[0].severity == "warn"
    assert found[0].numbers["drain_seconds"] == pytest.approx(900 / (4 - 1))


def test_few_dead_letters_are_no_sign_and_neither_are_old_ones() -> None:
    few = [QueueWindow(name="mail", ended=200, dead=5 + (n > 20) * 4) for n in range(40)]
    seen = Seen(windows=tuple(window(n, queues=(few[n],)) for n in range(40)))
    assert SIGNS["dead letters grow"](seen) == []


def test_dead_letters_that_were_discarded_have_come_all_the_same() -> None:
    counts = [0, 10, 0, 10, 0, 10]
    rows = [QueueWindow(name="mail", ended=20, dead=count) for count in counts]
    seen = Seen(windows=tuple(window(n, queues=(row,)) for n, row in enumerate(rows)))
    found = SIGNS["dead letters grow"](seen)
    assert isinstance(found, list)
    assert found[0].numbers["died_count"] == 30


@pytest.mark.parametrize("name", ["waiting", "background work"])
def test_that_jobs_wait_for_their_own_slots_is_no_sign(name: str) -> None:
    seen = jobs_beside()
    queue = StationWindow(
        name="queue mail: slots",
        kind="queue",
        served=90,
        wait_seconds=1000.0,
        by_operation={"Mail.send": 90},
    )
    only = tuple(replace(one, stations=(queue,)) for one in seen.windows)
    assert SIGNS[name](replace(seen, windows=only)) == []


def errors_found(seen: Seen) -> list[str]:
    found = SIGNS["rising errors"](seen)
    assert not isinstance(found, Missing)
    return [one.text for one in found]


def test_errors_that_rise_with_a_deploy_are_told_by_it() -> None:
    (text,) = errors_found(failing(before=1, after=5))
    assert text.startswith("5.00% of calls fail since version 2, 1.00% before it: ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(5, 5, id="as many as before"),
        pytest.param(5, 1, id="fewer"),
        pytest.param(4, 5, id="more, as chance has it"),
        pytest.param(0, 0, id="none at all"),
    ],
)
def test_errors_that_do_not_surely_rise_are_no_sign(before: int, after: int) -> None:
    assert errors_found(failing(before=before, after=after)) == []


def test_errors_that_only_follow_traffic_are_no_sign_and_those_that_outrun_it_are() -> None:
    def seen(errors: tuple[int, int]) -> Seen:
        made = [window(n, 300 if n % 2 else 100) for n in range(40)]
        return Seen(
            windows=tuple(
                replace(one, operations=(replace(one.operations[0], errors=errors[n % 2]),))
                for n, one in enumerate(made)
            )
        )

    assert errors_found(seen((2, 6))) == []
    (text,) = errors_found(seen((2, 30)))
    assert text.startswith("10.00% of calls fail in windows of 300 calls, 2.00% in those of 100: ")


def test_calls_of_both_versions_count_for_neither() -> None:
    given = failing(before=0, after=0)
    within = given.windows[20].at_seconds + 4.0
    mixed = replace(
        given.windows[20],
        operations=(replace(given.windows[20].operations[0], errors=100),),
    )
    windows = (*given.windows[:20], mixed, *given.windows[21:])
    seen = Seen(windows=windows, releases=(Release(at_seconds=within, text="version 2"),))
    assert errors_found(seen) == []
