"""Systems written after the model was frozen; none was run before the reported run."""

from __future__ import annotations

from benchmarks.forecast.scenarios import Kit, ms, place, query, run, task
from outgrow.capacity.simulate import Call, Compute, Hold, Later, Rest, Serve

POOL = place("pool", "pool", 8, "web")
WRITER = place("writer", "lock")


def add_third(kit: Kit) -> None:
    _loops(kit)
    _threads(kit)
    _shared(kit)
    _in_bursts(kit)


def _loops(kit: Kit) -> None:
    light, heavy = task("GET /", run(1)), task("GET /export", run(20, 0.3))
    kit.add(
        *("third, light and heavy on one loop", ("loop web",), (light, heavy)),
        mix={"GET /": 0.95, "GET /export": 0.05},
    )
    page = task("GET /", run(2.2, 0.7), Hold("pool", (query(2), run(0.3))), run(0.8))
    kit.add(
        *("third, loops of four workers", ("loop web",), (page,)),
        places=(POOL,),
        workers=4,
        cores=8,
    )
    top = task("GET /", run(0.6), Call("A.look", 2), run(0.2))
    look = task("A.look", run(0.4), Call("B.find", 2))
    find = task("B.find", run(0.3), Hold("pool", (query(0.8), run(0.05))))
    kit.add("third, calls of calls", ("loop web",), (top, look, find), places=(POOL,))
    near = task("POST /", run(3.5), Hold("writer", (Rest(ms(3.9)), run(0.2))), run(0.6))
    kit.add("third, loop and lock near", ("loop web", "writer"), (near,), places=(WRITER,))


def _threads(kit: Kit) -> None:
    crew = place("threads web", "threads", 12, "web")
    some = (Compute(ms(2), is_python=True), Compute(ms(6)), Rest(ms(5)))
    kit.add(
        *("third, threads a quarter python", ("gil web",)),
        *((task("GET /", run(0.4), Hold("threads web", some), run(0.3)),),),
        places=(crew,),
        cores=8,
    )
    little = (Compute(ms(0.5), is_python=True), Compute(ms(9)))
    kit.add(
        *("third, threads nearly all native", ("cpu host",)),
        *((task("GET /", run(0.4), Hold("threads web", little), run(0.3)),),),
        places=(crew,),
        cores=2,
    )
    gate = place("bulkhead", "bulkhead", 8, "web")
    outer = Hold("bulkhead", (run(0.4), Hold("threads web", (Rest(ms(30, 0.6)),)), run(0.2)))
    kit.add(
        *("third, a bulkhead before threads", ("bulkhead",), (task("GET /", outer),)),
        places=(gate, crew),
    )


def _shared(kit: Kit) -> None:
    page = task("GET /", run(1.6), Hold("pool", (query(5), run(0.2))), run(0.4))
    kit.add(
        *("third, four cores shared with the database", ("cpu host",), (page,)),
        places=(POOL,),
        workers=3,
        cores=4,
        slowdown=(1.0, 1.05, 1.15, 1.3),
        shares_host=True,
    )
    ask = task("GET /", run(0.9), Hold("pool", (query(3, 0.6), run(0.1), query(1), run(0.1))))
    kit.add("third, a database of one core", ("cpu rack",), (ask,), places=(POOL,), db_cores=1)
    six = place("pool", "pool", 6, "web")
    quick = task("GET /", run(0.5), Hold("pool", (Rest(ms(6)), run(0.1))))
    slow = task("POST /", run(0.5), Hold("pool", (Rest(ms(60, 0.5)), run(0.2))))
    kit.add(
        *("third, a pool that two classes share", ("pool",), (quick, slow)),
        mix={"GET /": 0.7, "POST /": 0.3},
        places=(six,),
    )
    bank = place("http bank", "downstream", 3)
    far = Hold("pool", (query(1), Serve("http bank", ms(30, 0.7)), run(0.2)))
    kit.add(
        *("third, three at once behind a pool", ("http bank",)),
        *((task("POST /pay", run(0.5), far, run(0.2)),),),
        places=(POOL, bank),
    )


def _in_bursts(kit: Kit) -> None:
    page = task("GET /", run(3), Rest(ms(5)))
    kit.add("third, a loop in long bursts", ("loop web",), (page,), burst=(0.25, 4.0))
    crew = place("threads web", "threads", 6, "web")
    wait = task("GET /", run(0.5), Hold("threads web", (Rest(ms(40, 0.5)),)), run(0.2))
    kit.add(
        *("third, threads in short bursts", ("threads web",), (wait,)),
        places=(crew,),
        burst=(0.7, 0.3),
    )
    locked = (query(1), Hold("writer", (Rest(ms(4)), query(2))), run(0.1))
    kit.add(
        *("third, a lock of two workers in bursts", ("writer",)),
        *((task("POST /", run(0.6), Hold("pool", locked)),),),
        places=(POOL, WRITER),
        workers=2,
        burst=(0.5, 1.5),
    )
    slots = place("queue mail: slots", "queue", 5, "work")
    order = task(
        "POST /orders", run(0.9), Hold("pool", (query(2),)), Later("Mail.send", slots.name)
    )
    mail = task("Mail.send", run(0.5), Rest(ms(28, 0.6)), process="work")
    kit.add(
        *("third, slots of a queue in bursts", (slots.name,), (order, mail)),
        places=(POOL, slots),
        job_workers=1,
        burst=(0.4, 2.0),
    )
