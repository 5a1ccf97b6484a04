"""Requests for a WSGI app stand in line for a thread, for no longer than they may."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter_ns
from typing import Any

import pytest

from outgrow.host.arrival import Arrival
from outgrow.host.line import LateError, Line
from tests.unit.host.clock import SECOND_NS, Stopwatch, stopped
from tests.unit.host.serving import WAIT_SECONDS, Client, Served, serve

LONG_SECONDS = 3600.0
LARGE_BYTES = 64 * 1024 * 1024


class Threads:
    """A WSGI app whose threads hang until they may end.

    Attributes:
        begun: Paths of the requests that came to a thread.
        ended: How many of them the thread is done with.
        gate: All of them go on once it is open.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended = 0
        self.gate = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Response:
        self.begun.append(environ["PATH_INFO"])
        return Response(self, environ["PATH_INFO"], start_response)


class Response:
    """What a thread of theirs makes; closed when the thread is done with it."""

    def __init__(self, threads: Threads, path: str, start: Any) -> None:
        self.threads = threads
        self.path = path
        self.start = start

    def __iter__(self) -> Iterator[bytes]:
        assert self.threads.gate.wait(WAIT_SECONDS)
        if self.path == "/broken":
            raise ValueError(self.path)
        size = LARGE_BYTES if self.path == "/large" else 2
        self.start("200 OK", [("Content-Length", str(size))])
        yield b"x" * size

    def close(self) -> None:
        self.threads.ended += 1


def serve_threads(
    test: Callable[[Served, Threads], Awaitable[None]],
    *,
    limit_seconds: float = LONG_SECONDS,
    **settings: Any,
) -> Served:
    """Run a test against one thread; it may end when the test has."""
    app = Threads()

    async def run(served: Served) -> None:
        try:
            await test(served, app)
        finally:
            app.gate.set()
            await served.until(lambda: app.ended == len(app.begun))
            await served.until(lambda: served.edge.in_flight == 0)

    chosen = {"threads": 1, "wait_seconds_max": limit_seconds} | settings
    return serve(run, app, "wsgi", **chosen)


async def ask_in_turn(served: Served, *paths: str) -> list[Client]:
    """Clients whose requests come one after the other."""
    clients: list[Client] = []
    for path in paths:
        client, before = await served.client(), served.edge.in_flight
        await client.ask(path)
        await served.until(lambda before=before: served.edge.in_flight > before)
        clients.append(client)
    return clients


async def statuses(clients: list[Client]) -> list[int]:
    return [(await client.response())[0] for client in clients]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """The clock by which requests wait."""
    return stopped(monkeypatch)


def test_while_every_thread_hangs_those_in_line_are_refused_at_the_limit(
    watch: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(served: Served, app: Threads) -> None:
        _, *waiting = await ask_in_turn(served, "/1", "/2", "/3")
        watch.pass_seconds(0.4)
        await served.pass_time(1)
        assert served.edge.in_flight == 3
        watch.pass_seconds(0.2)
        await served.pass_time(1)
        for client in waiting:
            status, headers, body = await client.response()
            assert (status, headers["retry-after"], body) == (503, "1", b"Service Unavailable")
            assert "connection" not in headers
        assert app.begun == ["/1"]

    served = serve_threads(test, limit_seconds=0.5, log_level="warning")
    assert served.calls() == {"GET (refused)": (2, 2, 0), "GET /{}": (1, 0, 0)}
    assert [message.rpartition("; ")[2] for message in caplog.messages] == [
        "`wait_seconds_max` is 0.5"
    ]


def test_one_that_is_late_when_its_turn_comes_is_refused(watch: Stopwatch) -> None:
    async def test(served: Served, app: Threads) -> None:
        clients = await ask_in_turn(served, "/1", "/2", "/3")
        watch.pass_seconds(1)  # and the loop had no time yet to look
        app.gate.set()
        assert await statuses(clients) == [200, 503, 503]
        assert await statuses(await ask_in_turn(served, "/4")) == [200]

    serve_threads(test, limit_seconds=0.5)


def test_those_in_line_are_served_in_the_order_in_which_they_came() -> None:
    async def test(served: Served, app: Threads) -> None:
        clients = await ask_in_turn(served, "/1", "/2", "/3", "/4", "/5")
        assert app.begun == ["/1"]
        app.gate.set()
        assert await statuses(clients) == [200] * 5
        assert app.begun == ["/1", "/2", "/3", "/4", "/5"]

    serve_threads(test)


def test_so_many_begin_at_once_as_there_are_threads() -> None:
    async def test(served: Served, app: Threads) -> None:
        clients = await ask_in_turn(served, "/1", "/2", "/3")
        assert sorted(app.begun) == ["/1", "/2"]
        app.gate.set()
        assert await statuses(clients) == [200] * 3

    serve_threads(test, threads=2)


def test_a_client_that_leaves_the_line_frees_its_place(caplog: pytest.LogCaptureFixture) -> None:
    async def test(served: Served, app: Threads) -> None:
        first, second, third = await ask_in_turn(served, "/1", "/2", "/3")
        second.reset()
        await served.until(lambda: served.edge.in_flight == 2)
        app.gate.set()
        assert await statuses([first, third]) == [200, 200]
        assert app.begun == ["/1", "/3"]

    served = serve_threads(test, log_level="warning")
    assert served.calls() == {"GET /{}": (3, 0, 1)}
    assert not caplog.messages


def test_a_client_that_is_too_slow_with_its_body_leaves_the_line() -> None:
    async def test(served: Served, app: Threads) -> None:
        await ask_in_turn(served, "/1")
        client = await served.client()
        await client.ask("/2", "Content-Length: 9", method="POST")
        await served.until(lambda: served.edge.in_flight == 2)
        await served.pass_time(served.edge.state.settings.body_idle_seconds + 2)
        assert (await client.response())[0] == 408
        await served.until(lambda: served.edge.in_flight == 1)
        assert app.begun == ["/1"]

    serve_threads(test)


def test_a_worker_that_drains_answers_those_in_line() -> None:
    async def test(served: Served, app: Threads) -> None:
        clients = await ask_in_turn(served, "/1", "/2", "/3")
        draining = asyncio.ensure_future(served.edge.drain(closes_idle=False, seconds=LONG_SECONDS))
        await served.until(lambda: served.edge.state.is_draining)
        app.gate.set()
        for client in clients:
            status, headers, _ = await client.response()
            assert (status, headers["connection"]) == (200, "close")
        await draining

    serve_threads(test)


def test_those_in_line_get_an_answer_when_the_time_to_drain_is_over() -> None:
    async def test(served: Served, app: Threads) -> None:
        clients = await ask_in_turn(served, "/1", "/2", "/3")
        await served.edge.drain(closes_idle=False, seconds=0)
        assert await statuses(clients[1:]) == [500, 500]
        assert app.begun == ["/1"]

    serve_threads(test)


def test_pipelined_requests_stand_in_line_one_after_the_other() -> None:
    async def test(served: Served, app: Threads) -> None:
        first, other = [await served.client() for _ in range(2)]
        await first.ask("/1")
        await first.ask("/2")
        await served.until(lambda: app.begun == ["/1"])
        await other.ask("/3")
        await served.until(lambda: served.edge.in_flight == 2)
        app.gate.set()
        assert await statuses([first, first, other]) == [200] * 3
        assert app.begun == ["/1", "/3", "/2"]

    serve_threads(test)


def test_an_app_that_raises_leaves_its_place_to_others() -> None:
    async def test(served: Served, app: Threads) -> None:
        broken, second = await ask_in_turn(served, "/broken", "/2")
        app.gate.set()
        assert (await broken.head())[0] == 500
        assert await statuses([second]) == [200]

    serve_threads(test)


def test_a_client_that_reads_nothing_holds_no_thread() -> None:
    async def test(served: Served, app: Threads) -> None:
        app.gate.set()
        idle, *_ = await ask_in_turn(served, "/large")
        assert await statuses(await ask_in_turn(served, "/2")) == [200]
        await served.until(lambda: served.edge.in_flight == 1)  # the large one is still being sent
        idle.reset()

    serve_threads(test)


def test_one_that_is_refused_for_another_reason_does_not_stand_in_line() -> None:
    async def test(served: Served, app: Threads) -> None:
        await ask_in_turn(served, "/1", "/2")
        client = await served.client()
        await client.ask("/3")
        assert (await client.response())[0] == 503
        assert app.begun == ["/1"]

    serve_threads(test, concurrency_max=2)


def noted(seconds: float = LONG_SECONDS) -> Arrival:
    """A request that may wait for so long."""
    now_ns = perf_counter_ns()
    return Arrival(now_ns, now_ns + round(seconds * SECOND_NS))


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_one_that_is_cancelled_when_its_turn_has_come_passes_it_on() -> None:
    async def test(line: Line) -> None:
        first = await line.place(noted())
        second, third = [asyncio.ensure_future(line.place(noted())) for _ in range(2)]
        await turns()
        first.give_back()
        second.cancel()
        await asyncio.wait({second, third}, timeout=WAIT_SECONDS)
        assert (second.cancelled(), third.done()) == (True, True)
        third.result().give_back()

    in_line(test)


def test_one_that_came_meanwhile_does_not_push_in() -> None:
    async def test(line: Line) -> None:
        first = await line.place(noted())
        second = asyncio.ensure_future(line.place(noted()))
        await turns()
        first.give_back()
        third = asyncio.ensure_future(line.place(noted()))
        (await asyncio.wait_for(second, WAIT_SECONDS)).give_back()
        (await asyncio.wait_for(third, WAIT_SECONDS)).give_back()

    in_line(test)


@pytest.mark.parametrize("seed", range(5))
def test_no_place_is_lost_whatever_happens_to_those_in_line(seed: int) -> None:
    async def test(line: Line) -> None:
        chance = random.Random(seed)

        async def one(arrival: Arrival) -> None:
            place = await line.place(arrival)
            try:
                if chance.random() < 0.7:
                    await asyncio.wrap_future(place.submit(time.sleep, 0))
            finally:
                place.give_back()

        tasks: list[asyncio.Task[None]] = []
        for _ in range(300):
            arrival = noted(chance.choice([LONG_SECONDS, 0.001, 1e-9]))
            tasks.append(asyncio.ensure_future(one(arrival)))
            if chance.random() < 0.5:
                await turns(chance.randrange(4))
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
            if chance.random() < 0.2:
                arrival.leave_line()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert ended is None or isinstance(ended, LateError | asyncio.CancelledError)

    in_line(test, threads=3)


def in_line(test: Callable[[Line], Awaitable[None]], *, threads: int = 1) -> None:
    """Run a test against a line; all its places must be free afterwards, and no more."""

    async def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            line = Line(pool, threads)
            await test(line)
            everyone = [asyncio.ensure_future(line.place(noted())) for _ in range(threads + 1)]
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await asyncio.gather(*everyone[:-1])
                assert not everyone[-1].done()
            finally:
                everyone[-1].cancel()

    asyncio.run(run())
