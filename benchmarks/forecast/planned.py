"""Systems whose first limit several patterns may move, to carry each of them out.

What no evidence from low load shows is planted as in `scenarios`: service that gets a little slower
or quicker as a station fills up.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.forecast.carried import CROSSING, Nature
from benchmarks.forecast.scenarios import STRAIN_DEVIATION, place, query, run, task
from outgrow.capacity import Recorded, ReuseDistances, StatementWindow, StationWindow, Window
from outgrow.capacity.attributing import kind_and_name
from outgrow.capacity.patterns.recoding import CACHE_ENTRIES
from outgrow.capacity.simulate import (
    Call,
    Compute,
    Computer,
    Hold,
    Perhaps,
    Place,
    Process,
    Rest,
    Serve,
    System,
    Task,
    Traffic,
)
from outgrow.capacity.simulate.system import Step

KEYS_COUNT = 20_000
KEYS_SEEN = 30_000
TIMES_COUNTED = 5
"""A statement that runs so often in a run of its caller is one that repeats."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A system, and what is known of it beside its windows.

    Attributes:
        writes: Operations whose statements change something.
        keys: Operations whose calls come with keys, and how skewed those are (Zipf).
    """

    name: str
    system: System
    nature: Nature
    writes: frozenset[str] = frozenset()
    keys: dict[str, float] = field(default_factory=dict[str, float])


def made(
    name: str,
    *tasks: Task,
    mix: dict[str, float] | None = None,
    places: tuple[Place, ...] = (),
    processes: tuple[Process, ...] = (),
    workers: int = 1,
    cores: int = 4,
    db_cores: int = 8,
    row_ratio: float = 0.2,
    writes: tuple[str, ...] = (),
    keys: dict[str, float] | None = None,
) -> Case:
    """A case; what is random in it depends on its name alone."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    strain = random.normal(0.0, STRAIN_DEVIATION, 2 + len(places)).tolist()
    system = System(
        tasks=tasks,
        traffic=Traffic(mix=mix or {tasks[0].name: 1.0}),
        processes=(
            Process(name="web", workers=workers, idle_ratio=0.01),
            Process(name="db", machine="rack", is_python=False, idle_ratio=0.02),
            *processes,
        ),
        places=tuple(
            replace(one, strain_ratio=each) for one, each in zip(places, strain[2:], strict=True)
        ),
        computers=(
            Computer(cores=cores, slowdown_ratio=(1.0,) * cores, strain_ratio=strain[0]),
            Computer(
                name="rack",
                cores=db_cores,
                slowdown_ratio=(1.0,) * db_cores,
                strain_ratio=strain[1],
            ),
        ),
    )
    hits = {one: _hits_of(_keys(skew, seed=2)) for one, skew in (keys or {}).items()}
    return Case(
        name=name,
        system=system,
        nature=Nature(row_ratio=row_ratio, hit_ratio=max(hits.values(), default=0.0)),
        writes=frozenset(writes),
        keys=keys or {},
    )


def _keys(skew: float, seed: int) -> list[int]:
    weights = np.arange(1, KEYS_COUNT + 1) ** -skew
    random = np.random.default_rng(seed)
    return random.choice(KEYS_COUNT, KEYS_SEEN, p=weights / weights.sum()).tolist()


def _hits_of(keys: Sequence[int]) -> float:
    """What a cache that forgets the least recently used answers, once it is full."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for number, key in enumerate(keys):
        if key in kept:
            hits += number >= len(keys) // 2
            kept.move_to_end(key)
        kept[key] = None
        if len(kept) > CACHE_ENTRIES:
            kept.popitem(last=False)
    return hits / (len(keys) - len(keys) // 2)


def reuse_of(case: Case) -> dict[str, ReuseDistances]:
    """The distances of the keys of each operation that has some, of another hour."""
    found: dict[str, ReuseDistances] = {}
    for name, skew in case.keys.items():
        found[name] = ReuseDistances()
        found[name].note_all(_keys(skew, seed=1))
    return found


def as_counted(evidence: Recorded) -> Recorded:
    """Without what the simulator knows and no worker counts: who holds pools, locks, bulkheads."""

    def bare(one: StationWindow) -> StationWindow:
        is_told = one.kind in ("loop", "downstream", "queue")
        return one if is_told else replace(one, by_operation={})

    windows = (
        replace(one, stations=tuple(bare(each) for each in one.stations))
        for one in evidence.recorded
    )
    return replace(evidence, recorded=tuple(windows))


def statements_of(case: Case, windows: Sequence[Window]) -> list[StatementWindow]:
    """What would have been counted of statements: one for each operation that uses a database.

    One that takes a pool several times in a run repeats its statement so often. How long each
    takes is told by the operation's time without the loop, as there is nothing else in these.
    """
    runs: dict[str, int] = {}
    off_loop: dict[str, float] = {}
    for one in (one for window in windows for one in window.operations):
        runs[one.name] = runs.get(one.name, 0) + one.calls
        on_loop = one.loop_seconds / one.metered * one.calls if one.metered else 0.0
        off_loop[one.name] = off_loop.get(one.name, 0.0) + one.duration_seconds - on_loop
    calls: dict[tuple[str, str], float] = {}
    for one in (one for window in windows for one in window.stations):
        kind, database = kind_and_name(one.name)
        for caller, uses in one.by_operation.items() if kind in ("pool", "writer") else ():
            calls[database, caller] = calls.get((database, caller), 0.0) + uses
    found = [
        StatementWindow(
            database=database,
            fingerprint=caller,
            text=f"SELECT of {caller}",
            caller=caller,
            writes=("rows",) if caller in case.writes else (),
            calls=round(uses),
            duration_seconds=off_loop[caller],
        )
        for (database, caller), uses in calls.items()
    ]
    return [_repeating(one, runs[one.caller]) for one in found]


def _repeating(one: StatementWindow, runs: int) -> StatementWindow:
    times = one.calls // runs
    if times < TIMES_COUNTED:
        return one
    return replace(one, per_parent={times.bit_length() - 1: runs})


def asks(pool: str, *steps: Step) -> Hold:
    return Hold(pool, steps)


def often(*steps: Step) -> Perhaps:
    """Nearly always: a meter that takes every 16th call would else see one of two alone."""
    return Perhaps(0.95, steps)


def cases() -> list[Case]:
    """All of them."""
    found: list[Case] = []
    for kind in (_loops, _pools, _databases, _others):
        kind(lambda *given, **more: found.append(made(*given, **more)))  # pyright: ignore
    return found


Add = Callable[..., None]


def _loops(add: Add) -> None:
    page = task("GET /", run(1.0), Rest(run(8).span), run(1.5))
    add("loop", page)
    add("loop of three workers", page, workers=3, cores=8)
    mail = task("Mail.send", run(3.0))
    add("loop, half of it mail", task("POST /", run(2.0), often(Call("Mail.send"))), mail)
    add(
        "loop, two services",
        task("GET /a", run(0.5), Call("Search.find")),
        task("GET /b", run(0.5), Call("Prices.quote"), Call("Prices.quote")),
        task("Search.find", run(2.5)),
        task("Prices.quote", run(0.7)),
        mix={"GET /a": 2.0, "GET /b": 1.0},
    )
    add(
        "loop on two cores",
        task("POST /", run(1.0), often(Call("Report.make"))),
        task("Report.make", run(3.0)),
        cores=2,
    )
    add(
        "chatty calls on the loop",
        task("GET /list", run(1.0), Call("Stock.level", 20)),
        task("Stock.level", run(0.25)),
        row_ratio=0.15,
    )
    add(
        "chatty calls, mostly of rows",
        task("GET /list", run(2.0), Call("Stock.level", 12)),
        task("Stock.level", run(0.3)),
        row_ratio=0.45,
    )
    add(
        "loop with keys that come again",
        task("GET /page", run(0.4), often(Call("Pages.render"))),
        task("Pages.render", run(3.5), asks("pool shop", query(1.0))),
        places=(place("pool shop", "pool", 10, "web"),),
        keys={"Pages.render": 1.1},
    )
    add(
        "GIL shared with threads",
        task("GET /", run(1.0), Hold("threads wsgi", (Compute(run(3).span, is_python=True),))),
        places=(place("threads wsgi", "threads", 8, "web"),),
    )


def _pools(add: Add) -> None:
    pool = place("pool shop", "pool", 4, "web")
    add(
        "pool",
        task("GET /", run(0.5), asks("pool shop", query(0.5), Rest(run(20).span))),
        places=(pool,),
    )
    add(
        "pool before the loop",
        task("GET /", run(1.2), asks("pool shop", query(0.5), Rest(run(10).span))),
        places=(pool,),
    )
    add(
        "pool before the database's cores",
        task("GET /", run(0.3), asks("pool shop", query(4.0), Rest(run(4).span))),
        places=(pool,),
        db_cores=2,
    )
    add(
        "repeated statements on a pool",
        task("GET /", run(0.5), *(asks("pool shop", query(0.2), Rest(run(3).span)),) * 8),
        places=(pool,),
        row_ratio=0.15,
    )
    add(
        "repeated statements at full cores",
        task("GET /", run(0.4), *(asks("pool shop", query(1.5)),) * 6),
        places=(place("pool shop", "pool", 20, "web"),),
        db_cores=2,
        row_ratio=0.2,
    )
    add(
        "pool with keys that come again",
        task("GET /item", run(0.5), asks("pool shop", query(2.5), Rest(run(6).span))),
        task("POST /item", run(0.5), asks("pool shop", query(1.0), Rest(run(4).span))),
        places=(pool,),
        mix={"GET /item": 4.0, "POST /item": 1.0},
        writes=("POST /item",),
        keys={"GET /item": 1.2},
    )
    add(
        "pool for all, three services",
        task("GET /a", run(0.3), Call("Orders.list")),
        task("GET /b", run(0.3), Call("Stock.list")),
        task("GET /c", run(0.3), Call("Users.list")),
        task("Orders.list", run(0.2), asks("pool all", query(0.5), Rest(run(15).span))),
        task("Stock.list", run(0.2), asks("pool all", query(0.5), Rest(run(10).span))),
        task("Users.list", run(0.2), asks("pool all", query(0.3), Rest(run(6).span))),
        mix={"GET /a": 1.0, "GET /b": 1.0, "GET /c": 1.0},
        places=(place("pool all", "pool", 6),),
        writes=("Orders.list", "Stock.list", "Users.list"),
    )


def _databases(add: Add) -> None:
    lock = place("writer shop.db", "lock")

    def writes(name: str, hold_ms: float) -> Task:
        return task(name, run(0.3), Hold("writer shop.db", (Rest(run(hold_ms).span),)))

    add(
        "write lock of two services",
        task("POST /a", run(0.3), Call("Orders.place")),
        task("POST /b", run(0.3), Call("Stock.take")),
        writes("Orders.place", 4.0),
        writes("Stock.take", 6.0),
        mix={"POST /a": 1.0, "POST /b": 1.0},
        places=(lock,),
        writes=("Orders.place", "Stock.take"),
    )
    add(
        "write lock of three services",
        task("POST /a", run(0.2), Call("Orders.place"), Call("Audit.note")),
        task("POST /b", run(0.2), Call("Stock.take"), Call("Audit.note")),
        writes("Orders.place", 3.0),
        writes("Stock.take", 4.0),
        writes("Audit.note", 5.0),
        mix={"POST /a": 1.0, "POST /b": 2.0},
        places=(lock,),
        writes=("Orders.place", "Stock.take", "Audit.note"),
    )
    add(
        "write lock before the loop",
        task("POST /a", run(2.0), Call("Orders.place")),
        task("POST /b", run(1.0), Call("Stock.take")),
        writes("Orders.place", 3.0),
        writes("Stock.take", 5.0),
        mix={"POST /a": 1.0, "POST /b": 1.0},
        places=(lock,),
        writes=("Orders.place", "Stock.take"),
    )
    add(
        "database's cores",
        task("GET /", run(0.3), asks("pool shop", query(5.0))),
        places=(place("pool shop", "pool", 20, "web"),),
        db_cores=2,
    )


def _others(add: Add) -> None:
    add(
        "bulkhead",
        task("GET /", run(0.4), Call("Stock.take")),
        task("Stock.take", Hold("bulkhead Stock", (run(0.3), Rest(run(30).span)))),
        places=(place("bulkhead Stock", "bulkhead", 4, "web"),),
    )
    add(
        "threads",
        task("GET /", run(0.4), Hold("threads wsgi", (Rest(run(40).span),))),
        places=(place("threads wsgi", "threads", 6, "web"),),
    )
    add(
        "downstream",
        task("GET /", run(0.4), Serve("downstream prices", run(12).span)),
        places=(place("downstream prices", "downstream", 3),),
    )
    add(
        "downstream within a pool",
        task(
            "GET /",
            run(0.4),
            asks("pool shop", query(0.5), Serve("downstream prices", run(12).span)),
        ),
        places=(
            place("downstream prices", "downstream", 3),
            place("pool shop", "pool", 8, "web"),
        ),
    )
    add(
        "two groups that talk, on one core",
        task("GET /", run(0.5), *(CROSSING, Call("Stock.level")) * 8),
        task("Stock.level", CROSSING, run(0.1), process="stock"),
        processes=(Process(name="stock", idle_ratio=0.01),),
        cores=1,
    )
    add(
        "two groups that seldom talk, on one core",
        task("GET /", run(1.5), CROSSING, Call("Stock.level")),
        task("Stock.level", CROSSING, run(1.0), process="stock"),
        processes=(Process(name="stock", idle_ratio=0.01),),
        cores=1,
    )
