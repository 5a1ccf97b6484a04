"""Systems with a planted limit each: the forecaster is asked about them without knowing it.

They are simulated. What no evidence from low load can show is planted as well: service that gets
slower or quicker as a station fills up (`strain`), by 5 % as a rule, drawn once for each scenario.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from outgrow.capacity.evidence import Kind
from outgrow.capacity.simulate import (
    Block,
    Call,
    Compute,
    Computer,
    Hold,
    Later,
    Perhaps,
    Place,
    Process,
    Rest,
    Run,
    Serve,
    Span,
    System,
    Task,
    Tick,
    Traffic,
)
from outgrow.capacity.simulate.system import Step

STRAIN_DEVIATION = 0.05
Part = Literal["tuned", "apart"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A system, and what was planted in it.

    Attributes:
        planted: Stations that may rightly be called the first limit.
        part: `tuned`: looked at while the model was made. `apart`: never run before the model was
            frozen. Those of the first two reported runs are `tuned` now, for their misses led to
            changes.
    """

    name: str
    system: System
    planted: tuple[str, ...]
    part: Part = "tuned"


def ms(mean_ms: float, cv: float = 1.0) -> Span:
    return Span(mean_seconds=mean_ms / 1e3, cv=cv)


def run(mean_ms: float, cv: float = 1.0) -> Run:
    return Run(ms(mean_ms, cv))


def query(mean_ms: float, cv: float = 1.0) -> Compute:
    return Compute(ms(mean_ms, cv), process="db")


def task(name: str, *steps: Step, process: str = "web") -> Task:
    return Task(name=name, process=process, steps=steps)


def place(name: str, kind: Kind, capacity: int = 1, process: str = "") -> Place:
    return Place(name=name, kind=kind, capacity=capacity, process=process)


class Kit:
    """Makes the systems; what is random in them depends on their names alone."""

    def __init__(self) -> None:
        self.made: list[Scenario] = []
        self.part: Part = "tuned"

    def add(
        self,
        name: str,
        planted: tuple[str, ...],
        tasks: tuple[Task, ...],
        *,
        mix: dict[str, float] | None = None,
        places: tuple[Place, ...] = (),
        workers: int = 1,
        cores: int = 4,
        slowdown: tuple[float, ...] = (),
        db_cores: int = 4,
        db_slowdown: tuple[float, ...] = (),
        shares_host: bool = False,
        burst: tuple[float, float] = (0.0, 1.0),
        job_workers: int = 0,
        schedule: tuple[Tick, ...] = (),
    ) -> None:
        random = np.random.default_rng(zlib.crc32(name.encode()))
        strain = random.normal(0.0, STRAIN_DEVIATION, 3 + len(places)).tolist()
        host = Computer(
            cores=cores, slowdown_ratio=slowdown or (1.0,) * cores, strain_ratio=strain[0]
        )
        rack = Computer(
            name="rack",
            cores=db_cores,
            slowdown_ratio=db_slowdown or (1.0,) * db_cores,
            strain_ratio=strain[1],
        )
        web = Process(name="web", workers=workers, idle_ratio=0.01)
        machine = "host" if shares_host else "rack"
        db = Process(name="db", machine=machine, is_python=False, idle_ratio=0.02)
        work = Process(name="work", workers=job_workers, idle_ratio=0.01)
        system = System(
            tasks=tasks,
            traffic=Traffic(
                mix=mix or {tasks[0].name: 1.0}, burst_ratio=burst[0], burst_seconds=burst[1]
            ),
            processes=(web, db, work) if job_workers else (web, db),
            places=tuple(
                replace(one, strain_ratio=extra)
                for one, extra in zip(places, strain[3:], strict=True)
            ),
            computers=(host,) if shares_host else (host, rack),
            loop_strain_ratio=strain[2],
            schedule=schedule,
        )
        self.made.append(Scenario(name=name, system=system, planted=planted, part=self.part))


POOL = place("pool", "pool", 10, "web")
WRITER = place("writer", "lock")


def scenarios() -> list[Scenario]:
    from benchmarks.forecast.second import add_second
    from benchmarks.forecast.third import add_third

    kit = Kit()
    _loops(kit)
    _cores(kit)
    _threads(kit)
    _pools(kit)
    _locks(kit)
    _far(kit)
    _nested(kit)
    _close(kit)
    _queues(kit)
    add_second(kit)
    kit.part = "apart"
    add_third(kit)
    return kit.made


def _loops(kit: Kit) -> None:
    page = task("GET /", run(2), Rest(ms(15)), run(1))
    kit.add("loop, one page", ("loop web",), (page,))
    mixed = (
        task("GET /items", run(1), Hold("pool", (query(2), run(0.2))), run(0.5)),
        task("GET /report", run(12, 0.5), Hold("pool", (query(8), run(1)))),
        task("POST /orders", run(2), Hold("pool", (query(3), run(0.3), query(2), run(0.3)))),
    )
    weights = {"GET /items": 0.7, "GET /report": 0.1, "POST /orders": 0.2}
    kit.add("loop, three classes", ("loop web",), mixed, mix=weights, places=(POOL,))
    kit.add(
        *("loop, two workers", ("loop web",), mixed),
        mix=weights,
        places=(POOL,),
        workers=2,
    )
    blocking = task("GET /", run(1), Block(ms(4, 0.6)), run(0.5))
    kit.add("loop, blocking calls", ("loop web",), (blocking,))
    kit.add("loop, bursts of a second", ("loop web",), (page,), burst=(0.5, 1.0))
    steps = (
        task("GET /", run(0.5), Call("Stock.look", 3), run(0.5)),
        task("Stock.look", run(0.8), Hold("pool", (query(1), run(0.1)))),
    )
    kit.add("loop, calls of a service", ("loop web",), steps, places=(POOL,))


def _cores(kit: Kit) -> None:
    page = task("GET /", run(3), Hold("pool", (query(2), run(0.2))), run(1))
    shared = {"shares_host": True, "places": (POOL,)}
    kit.add("cpu, four workers on two cores", ("cpu host",), (page,), workers=4, cores=2, **shared)
    kit.add(
        *("cpu, slower cores when busy", ("cpu host",), (page,)),
        **{"workers": 4, "cores": 2, "slowdown": (1.0, 1.25), **shared},
    )
    heavy = task("GET /", run(1), Hold("pool", (query(9), run(0.2))), run(0.5))
    kit.add("cpu, the database's", ("cpu rack",), (heavy,), places=(POOL,), db_cores=2)
    kit.add(
        *("cpu, the database's, slower when busy", ("cpu rack",), (heavy,)),
        places=(POOL,),
        db_cores=2,
        db_slowdown=(1.0, 1.3),
    )
    both = (task("GET /", run(1), query(2)), task("GET /search", run(1), query(30, 0.7)))
    kit.add(
        *("cpu, a rare heavy query", ("cpu rack",), both),
        mix={"GET /": 0.9, "GET /search": 0.1},
        db_cores=2,
    )
    native = task("GET /", run(1), Hold("threads web", (Compute(ms(12)),)), run(0.5))
    crew = (place("threads web", "threads", 16, "web"),)
    kit.add("cpu, native code in threads", ("cpu host",), (native,), cores=2, places=crew)


def _threads(kit: Kit) -> None:
    crew = place("threads web", "threads", 8, "web")

    def threaded(*steps: Step) -> Task:
        return task("GET /", run(0.5), Hold("threads web", steps), run(0.3))

    python = threaded(Compute(ms(5), is_python=True), Rest(ms(10)))
    kit.add("gil, python in threads", ("gil web",), (python,), places=(crew,))
    two = (python, task("GET /quick", run(1.5)))
    weights = {"GET /": 0.5, "GET /quick": 0.5}
    kit.add("gil, threads and loop", ("gil web",), two, mix=weights, places=(crew,))
    kit.add("gil, bursts", ("gil web",), (python,), places=(crew,), burst=(0.4, 2.0))
    waiting = threaded(Compute(ms(1), is_python=True), Rest(ms(60)))
    kit.add("threads, waiting for others", ("threads web",), (waiting,), places=(crew,))
    steady = threaded(Compute(ms(0.5), is_python=True), Rest(ms(100, 0.3)))
    kit.add("threads, steady work", ("threads web",), (steady,), places=(crew,))
    few = place("threads web", "threads", 4, "web")
    between = threaded(Compute(ms(4), is_python=True), Rest(ms(10)))
    kit.add("threads, few beside a GIL", ("threads web", "gil web"), (between,), places=(few,))


def _pools(kit: Kit) -> None:
    small = place("pool", "pool", 5, "web")
    slow = task("GET /", run(0.5), Hold("pool", (Rest(ms(30)), run(0.2))), run(0.3))
    kit.add("pool, slow queries", ("pool",), (slow,), places=(small,))
    two = (
        task("GET /", run(0.5), Hold("pool", (query(3), run(0.2), query(3), run(0.2)))),
        task("POST /pay", run(0.5), Hold("pool", (query(2), Rest(ms(120, 0.4)), query(1)))),
    )
    weights = {"GET /": 0.8, "POST /pay": 0.2}
    kit.add("pool, held over a remote call", ("pool",), two, mix=weights, places=(small,))
    kit.add("pool, two workers", ("pool",), (slow,), places=(small,), workers=2)
    kit.add("pool, bursts", ("pool",), (slow,), places=(small,), burst=(0.6, 0.5))
    rare = (
        task("GET /", run(0.8)),
        task("GET /old", run(0.5), Hold("pool", (Rest(ms(200)), run(0.2)))),
    )
    weights = {"GET /": 0.85, "GET /old": 0.15}
    kit.add("pool, one class in seven", ("pool",), rare, mix=weights, places=(small,))
    one = place("pool", "pool", 2, "web")
    kit.add("pool, of two", ("pool",), (slow,), places=(one,))


def _locks(kit: Kit) -> None:
    read = task("GET /", run(0.7), Hold("pool", (query(1),)), run(0.2))
    write = task("POST /", run(0.7), Hold("writer", (Rest(ms(8, 0.5)), run(0.1))), run(0.2))
    weights = {"GET /": 0.6, "POST /": 0.4}
    kit.add("writer, SQLite", ("writer",), (read, write), mix=weights, places=(POOL, WRITER))
    kit.add(
        *("writer, SQLite in bursts", ("writer",), (read, write)),
        mix=weights,
        places=(POOL, WRITER),
        burst=(0.5, 0.5),
    )
    work = (query(2), run(0.1), Hold("writer", (query(2), Rest(ms(5)))))
    locked = task("POST /", run(0.7), Hold("pool", work), run(0.2))
    kit.add("lock, a hot row within a pool", ("writer",), (locked,), places=(POOL, WRITER))
    sometimes = task("POST /", run(0.7), Hold("pool", (query(2), Perhaps(0.3, work[2:]))))
    kit.add("lock, now and then", ("writer",), (sometimes,), places=(POOL, WRITER))
    heavy = task("POST /", run(0.3), Hold("pool", (Hold("writer", (query(6),)), run(0.1))))
    kit.add("lock, held while it computes", ("writer",), (heavy,), places=(POOL, WRITER))
    kit.add(
        *("lock, four workers", ("writer",), (locked,)),
        places=(POOL, WRITER),
        workers=4,
    )


def _far(kit: Kit) -> None:
    bank = place("http bank", "downstream", 10)
    pay = task("POST /pay", run(1), Serve("http bank", ms(80, 0.5)), run(0.5))
    look = task("GET /", run(0.8))
    kit.add("downstream, ten at once", ("http bank",), (pay,), places=(bank,))
    weights = {"POST /pay": 0.2, "GET /": 0.8}
    kit.add("downstream, one class", ("http bank",), (pay, look), mix=weights, places=(bank,))
    gate = place("bulkhead", "bulkhead", 6, "web")
    held = task("GET /", Hold("bulkhead", (run(1), Rest(ms(40)), run(0.5))))
    kit.add("bulkhead, of six", ("bulkhead",), (held,), places=(gate,))


def _nested(kit: Kit) -> None:
    crew = place("threads web", "threads", 20, "web")
    small = place("pool", "pool", 4, "web")
    inner = Hold("pool", (Rest(ms(25)), Compute(ms(0.3), is_python=True)))
    deep = task("GET /", Hold("threads web", (Compute(ms(1), is_python=True), inner)))
    kit.add("nested, threads hold a pool", ("pool",), (deep,), places=(crew, small))
    inmost = Hold("pool", (query(1), Hold("writer", (Rest(ms(6)), query(1)))))
    deeper = task("GET /", Hold("threads web", (Compute(ms(1), is_python=True), inmost)))
    kit.add(
        *("nested, threads, pool and lock", ("writer",), (deeper,)),
        places=(crew, POOL, WRITER),
    )
    remote = (Hold("pool", (query(2), Serve("http bank", ms(50, 0.5)), run(0.2))),)
    held = task("GET /", run(0.5), *remote)
    bank = place("http bank", "downstream", 6)
    kit.add("nested, a pool held over a limit", ("http bank",), (held,), places=(POOL, bank))


def _close(kit: Kit) -> None:
    small = place("pool", "pool", 5, "web")
    near = task("GET /", run(4), Hold("pool", (Rest(ms(21)), run(0.2))), run(0.6))
    kit.add("close, loop and pool", ("loop web", "pool"), (near,), places=(small,))
    steps = (query(1), Hold("writer", (Rest(ms(4)), query(1))))
    both = task("POST /", run(3.2), Hold("pool", steps), run(1))
    kit.add("close, loop and lock", ("loop web", "writer"), (both,), places=(POOL, WRITER))
    tight = place("pool", "pool", 2, "web")
    apart = task("POST /", run(0.5), Hold("pool", (Rest(ms(9)), Hold("writer", (Rest(ms(8)),)))))
    kit.add("close, pool and lock", ("pool", "writer"), (apart,), places=(tight, WRITER))
    page = task("GET /", run(3), Hold("pool", (query(4), run(0.2))), run(1))
    kit.add(
        *("close, loop and cpu", ("loop web", "cpu host"), (page,)),
        places=(POOL,),
        cores=2,
        shares_host=True,
    )


def _queues(kit: Kit) -> None:
    slots = place("queue mail: slots", "queue", 4, "work")
    send = Later("Mail.send", slots.name)
    order = task("POST /orders", run(1), Hold("pool", (query(2), run(0.2))), send, run(0.3))
    mail = task("Mail.send", run(0.6), Rest(ms(25, 0.4)), run(0.2), process="work")
    jobs = {"places": (POOL, slots), "job_workers": 1}
    kit.add("queue, a mail for each order", (slots.name,), (order, mail), **jobs)
    look = task("GET /", run(0.8), Hold("pool", (query(1), run(0.1))))
    weights = {"GET /": 0.8, "POST /orders": 0.2}
    kit.add("queue, one class in five", (slots.name,), (look, order, mail), mix=weights, **jobs)
    kit.add(
        *("queue, two workers in bursts", (slots.name,), (order, mail)),
        **{**jobs, "job_workers": 2, "burst": (0.5, 1.0)},
    )
    small, eight = place("pool work", "pool", 2, "work"), place(slots.name, "queue", 8, "work")
    held = task(
        "Mail.send", run(0.4), Hold("pool work", (Rest(ms(9)),)), Rest(ms(4)), process="work"
    )
    kit.add(
        *("queue, jobs that hold a pool", ("pool work",), (order, held)),
        **{**jobs, "places": (POOL, eight, small)},
    )
    nightly = task("Mail.digest", run(2), Rest(ms(700, 0.5)), process="work")
    ticks = (Tick(job=Later("Mail.digest", slots.name), every_seconds=0.5),)
    kit.add(
        *("queue, beside a schedule", (slots.name,), (order, mail, nightly)),
        schedule=ticks,
        **jobs,
    )
    many = place("queue mail: slots", "queue", 10, "work")
    heavy = task("Mail.send", run(7, 0.6), Rest(ms(3)), process="work")
    kit.add(
        *("queue, jobs that compute", ("loop work",), (order, heavy)),
        **{**jobs, "places": (POOL, many)},
    )
