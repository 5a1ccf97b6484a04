"""A worker that is observed tells all that it counted, whatever becomes of the observer."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outgrow.telemetry import ReportServer
from tests.unit.host.observing import Ledger, LiveWorker, until

Test = Callable[[LiveWorker, Ledger, ReportServer], Awaitable[None]]
WORK = "GET /work"


@asynccontextmanager
async def listening(ledger: Ledger, path: Path) -> AsyncIterator[ReportServer]:
    server = ReportServer(ledger)
    await server.listen(path)
    try:
        yield server
    finally:
        await server.close()


def observed(folder: Path, test: Test, **settings: Any) -> Ledger:
    """Run a test with a worker and an observer's ledger."""
    ledger = Ledger()

    async def run() -> None:
        async with listening(ledger, folder / "observer") as server:
            worker = await asyncio.to_thread(LiveWorker, folder, folder / "observer", **settings)
            try:
                await test(worker, ledger, server)
            finally:
                await asyncio.to_thread(worker.end)

    asyncio.run(run())
    return ledger


def test_a_worker_says_who_it_is_and_tells_all_that_it_counted(tmp_path: Path) -> None:
    async def test(worker: LiveWorker, ledger: Ledger, _: ReportServer) -> None:
        await asyncio.to_thread(worker.ask, "/work", 40)
        await asyncio.to_thread(worker.ask, "/fail", 3)
        assert await asyncio.to_thread(worker.drain) == 0
        await until(lambda: ledger.left_epochs, "the end")

    ledger = observed(tmp_path, test)
    (origin,) = ledger.heard
    assert (origin.app, origin.worker, origin.group, origin.version) == ("shop", "web/1", "web", 3)
    assert origin.labels == {"commit": "abc"}
    assert origin.pid > 0
    assert origin.machine
    assert origin.began_at_ns > 0
    assert ledger.calls(WORK) == 40
    assert ledger.calls("GET /fail") == 3
    callers = ledger.callers("Stock.reserve")
    assert callers == {"web": 1, WORK: 39}, "the first request tells that there is such a route"
    assert ledger.all[-1].is_last
    assert [report.number for report in ledger.all] == list(range(1, len(ledger.all) + 1))
    assert sum(each.total for each in ledger.all[-1].arrivals) == 43
    assert any(log.text == "it fails" for report in ledger.all for log in report.logs)
    spans = [span for report in ledger.all for span in report.spans]
    assert {span.status for span in spans if span.name == "GET /fail"} == {2}
    assert "Stock.reserve" in {span.name for span in spans}


def test_the_process_and_its_stations_are_measured(tmp_path: Path) -> None:
    async def test(worker: LiveWorker, ledger: Ledger, _: ReportServer) -> None:
        asked = [asyncio.to_thread(worker.ask, "/wait") for _ in range(4)]
        await asyncio.gather(*asked)
        await asyncio.to_thread(worker.ask, "/threads", 5)
        await asyncio.to_thread(worker.ask, "/block")
        await until(lambda: len(ledger.all) > 2, "a few reports")
        await asyncio.to_thread(worker.drain)
        await until(lambda: ledger.left_epochs, "the end")

    ledger = observed(tmp_path, test)
    process = ledger.all[-1].process
    assert process.user_ns > 0
    assert process.loop_cpu_ns > 0
    assert process.memory_bytes > 1_000_000
    assert process.descriptors > 3
    assert process.threads > 2
    assert sum(process.loop_lags.values()) > 0
    assert max(process.loop_lags) > 190, "the loop was blocked for 300 ms"
    assert sum(process.gil_waits.values()) > 0
    names = {(each.name, each.kind) for each in ledger.all[-1].stations}
    assert {("loop", "loop"), ("cpu", "cpu"), ("gil", "gil")} <= names
    bulkhead = ledger.latest("stations", "bulkhead Stock")
    assert (bulkhead.kind, bulkhead.capacity, bulkhead.served) == ("bulkhead", 2, 9)
    assert bulkhead.hold_ns > 4 * 90_000_000
    assert sum(bulkhead.waits.values()) == 9
    threads = ledger.latest("stations", "threads Stock")
    assert (threads.capacity, threads.served) == (2, 5)
    assert threads.busy_ns == threads.hold_ns >= 5 * 2_000_000


@pytest.mark.slow
def test_counts_are_exact_though_the_observer_comes_and_goes(tmp_path: Path) -> None:
    ledger = Ledger()

    async def run() -> None:
        path = tmp_path / "observer"
        worker = await asyncio.to_thread(LiveWorker, tmp_path, path)
        try:
            for _ in range(3):  # each time with nobody there at first
                await asyncio.to_thread(worker.ask, "/work", 20)
                before = len(ledger.all)
                async with listening(ledger, path):
                    await until(lambda before=before: len(ledger.all) > before, "a report")
                    await asyncio.to_thread(worker.ask, "/work", 7)
            async with listening(ledger, path):
                await until(lambda: len(ledger.heard) == 4, "a greeting")
                await asyncio.to_thread(worker.drain)
                await until(lambda: ledger.all[-1].is_last, "the last report")
        finally:
            await asyncio.to_thread(worker.end)

    asyncio.run(run())
    assert len({origin.epoch for origin in ledger.heard}) == 1
    assert ledger.calls(WORK) == 81
    assert sum(ledger.callers("Stock.reserve").values()) == 81


def test_a_killed_worker_has_told_what_it_counted_but_for_its_last_second(tmp_path: Path) -> None:
    async def test(worker: LiveWorker, ledger: Ledger, _: ReportServer) -> None:
        await asyncio.to_thread(worker.ask, "/work", 30)
        await until(lambda: ledger.calls(WORK) == 30, "all requests")
        await asyncio.to_thread(worker.kill)
        await until(lambda: ledger.left_epochs, "the end")

    ledger = observed(tmp_path, test)
    assert not ledger.all[-1].is_last
    assert ledger.left_epochs == [ledger.heard[0].epoch]


def test_the_end_of_its_supervisor_does_not_keep_a_worker_from_its_last_words(
    tmp_path: Path,
) -> None:
    async def test(worker: LiveWorker, ledger: Ledger, _: ReportServer) -> None:
        await until(lambda: ledger.all, "a report")
        await asyncio.to_thread(worker.ask, "/work", 5)
        worker.channel.close()
        await asyncio.to_thread(worker.process.wait, 10)
        await until(lambda: ledger.left_epochs, "the end")

    ledger = observed(tmp_path, test)
    assert ledger.all[-1].is_last
    assert ledger.calls(WORK) == 5


def test_nothing_stands_still_while_nobody_reads_what_is_reported(tmp_path: Path) -> None:
    """As where the observer is stopped by SIGSTOP: it accepts, and takes nothing."""

    async def run() -> None:
        accepted: list[asyncio.StreamWriter] = []

        async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(writer)
            reader._transport.pause_reading()  # type: ignore[attr-defined]

        path = tmp_path / "observer"
        server = await asyncio.start_unix_server(never_read, path)
        worker = await asyncio.to_thread(LiveWorker, tmp_path, path)
        try:
            await until(lambda: accepted, "a connection")
            found = await asyncio.to_thread(worker.ask, "/work", 200)
            assert found == [200] * 200
            assert await asyncio.to_thread(worker.drain) == 0
        finally:
            await asyncio.to_thread(worker.end)
            for writer in accepted:
                writer.transport.abort()
            server.close()

    asyncio.run(run())


def test_a_worker_that_was_stopped_for_a_while_is_the_same_afterwards(tmp_path: Path) -> None:
    async def test(worker: LiveWorker, ledger: Ledger, _: ReportServer) -> None:
        await until(lambda: ledger.all, "a report")
        worker.process.send_signal(signal.SIGSTOP)
        worker.process.send_signal(signal.SIGCONT)
        await asyncio.to_thread(worker.ask, "/work", 5)
        await asyncio.to_thread(worker.drain)
        await until(lambda: ledger.left_epochs, "the end")

    ledger = observed(tmp_path, test)
    assert len(ledger.heard) == 1
    assert ledger.calls(WORK) == 5


WSGI = """
import time


def app(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("wait_seconds_max", [0.0, 5.0], ids=["as it comes", "in line"])
def test_the_threads_of_a_wsgi_app_are_a_station(tmp_path: Path, wait_seconds_max: float) -> None:
    async def test(worker: LiveWorker, ledger: Ledger, _: ReportServer) -> None:
        await asyncio.gather(*(asyncio.to_thread(worker.ask, "/") for _ in range(6)))
        await asyncio.to_thread(worker.drain)
        await until(lambda: ledger.left_epochs, "the end")

    ledger = observed(tmp_path, test, app=WSGI, threads=2, wait_seconds_max=wait_seconds_max)
    threads = ledger.latest("stations", "threads wsgi")
    assert (threads.kind, threads.capacity, threads.served) == ("threads", 2, 6)
    assert threads.hold_ns >= 6 * 50_000_000
    assert threads.wait_ns > 50_000_000
    assert threads.rejected == 0
    assert ledger.calls("GET /") == 6
