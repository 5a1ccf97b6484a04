"""Systems that were kept apart in the second reported run; the model was mended by them since."""

from __future__ import annotations

from benchmarks.forecast.scenarios import Kit, ms, place, query, run, task
from outgrow.capacity.simulate import Call, Compute, Hold, Rest, Serve

POOL = place("pool", "pool", 12, "web")
WRITER = place("writer", "lock")


def add_second(kit: Kit) -> None:
    _one_station(kit)
    _several_stations(kit)


def _one_station(kit: Kit) -> None:
    pages = (
        task("GET /feed", run(5, 0.4), Hold("pool", (query(3), run(0.3))), run(1)),
        task("POST /like", run(0.8), Hold("pool", (query(1.5), run(0.2)))),
    )
    weights = {"GET /feed": 0.6, "POST /like": 0.4}
    kit.add(
        *("fresh, loops of three workers", ("loop web",), pages),
        mix=weights,
        places=(POOL,),
        workers=3,
        cores=8,
    )
    crew = place("threads web", "threads", 12, "web")
    both = (Compute(ms(3), is_python=True), Compute(ms(3)), Rest(ms(8)))
    kit.add(
        *("fresh, threads half native", ("gil web",)),
        *((task("GET /", run(0.4), Hold("threads web", both), run(0.3)),),),
        places=(crew,),
    )
    few = place("threads web", "threads", 6, "web")
    report = task("GET /report", run(0.5), Hold("threads web", (Rest(ms(120, 0.5)),)), run(0.5))
    quick = task("GET /", run(1.2))
    kit.add(
        *("fresh, threads for one class", ("threads web",), (report, quick)),
        mix={"GET /report": 0.3, "GET /": 0.7},
        places=(few,),
    )
    three = place("pool", "pool", 3, "web")
    twice = task("GET /", run(1), Hold("pool", (query(6), run(0.5), query(6), run(0.2))), run(1))
    kit.add("fresh, a pool of three", ("pool",), (twice,), places=(three,))
    slow = task("GET /", run(0.6), Hold("pool", (Rest(ms(35, 0.8)), run(0.2))))
    kit.add(
        *("fresh, a pool in long bursts", ("pool",), (slow,)),
        places=(place("pool", "pool", 6, "web"),),
        burst=(0.3, 3.0),
    )
    work = task("GET /", run(0.6), Call("Stock.look", 5))
    look = task("Stock.look", run(0.1), Hold("pool", (query(3),)))
    kit.add(
        *("fresh, the database under a service", ("cpu rack",), (work, look)),
        places=(POOL,),
        db_cores=2,
    )


def _several_stations(kit: Kit) -> None:
    page = task("GET /", run(2.5), Hold("pool", (query(4), run(0.2))), run(0.5))
    kit.add(
        *("fresh, a host shared with its database", ("cpu host",), (page,)),
        places=(POOL,),
        workers=2,
        cores=2,
        slowdown=(1.0, 1.2),
        shares_host=True,
    )
    read = task("GET /", run(0.8), Hold("pool", (query(1.5), run(0.2))))
    write = task("POST /", run(0.8), Hold("writer", (Rest(ms(5)), run(0.4), Rest(ms(2)))))
    kit.add(
        *("fresh, a writer that waits for the loop", ("writer",), (read, write)),
        mix={"GET /": 0.5, "POST /": 0.5},
        places=(POOL, WRITER),
    )
    crew = place("threads web", "threads", 16, "web")
    bank = place("http bank", "downstream", 4)
    far = (Compute(ms(1), is_python=True), Serve("http bank", ms(40, 0.6)))
    kit.add(
        *("fresh, threads before a limit of others", ("http bank",)),
        *((task("POST /pay", run(0.4), Hold("threads web", far), run(0.2)),),),
        places=(crew, bank),
    )
    gate = place("bulkhead", "bulkhead", 20, "web")
    inmost = Hold("pool", (query(2), Hold("writer", (Rest(ms(4, 0.5)), query(2)))))
    kit.add(
        *("fresh, bulkhead, pool and lock", ("writer",)),
        *((task("POST /", Hold("bulkhead", (run(0.6), inmost, run(0.2)))),),),
        places=(gate, POOL, WRITER),
    )
    hot = (query(1), Hold("writer", (query(3), Rest(ms(3)))), run(0.1))
    kit.add(
        *("fresh, a hot row in bursts", ("writer",)),
        *((task("POST /", run(0.6), Hold("pool", hot)),),),
        places=(POOL, WRITER),
        workers=2,
        burst=(0.4, 1.0),
    )
    eight = place("threads web", "threads", 8, "web")
    small = place("pool", "pool", 3, "web")
    near = (Compute(ms(5), is_python=True), Hold("pool", (Rest(ms(17)),)))
    kit.add(
        *("fresh, GIL and pool close", ("gil web", "pool")),
        *((task("GET /", run(0.4), Hold("threads web", near), run(0.3)),),),
        places=(eight, small),
    )
