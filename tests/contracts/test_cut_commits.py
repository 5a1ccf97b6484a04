"""The connection to PostgreSQL is cut between a commit and its answer: nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from outgrow.store import DurableStore, Lease, StoreLostError, durable_at
from tests.contracts.durable import done, event, handled, job
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(60)

_SOCKET = ".s.PGSQL.5432"
_COMMIT = b"COMMIT\0"


class Line:
    """Stands between a store and its server, and can be told to cut the next commit.

    Args:
        server: The server's socket.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self._cuts = False
        self.cut_count = 0

    def cut_next(self) -> None:
        """Let the next commit through, and nothing of what the server says to it."""
        self._cuts = True

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        to_server_reader, to_server = await asyncio.open_unix_connection(str(self._server))
        is_cut = asyncio.Event()

        async def there() -> None:
            while sent := await reader.read(65_536):
                if self._cuts and _COMMIT in sent:
                    self._cuts = False
                    is_cut.set()
                to_server.write(sent)
                await to_server.drain()

        async def back() -> None:
            while said := await to_server_reader.read(65_536):
                if is_cut.is_set():
                    self.cut_count += 1
                    return  # it was committed, and nobody is told
                writer.write(said)
                await writer.drain()

        ways = [asyncio.create_task(way()) for way in (there, back)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, to_server):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()


@asynccontextmanager
async def cut_line(url: str, folder: Path) -> AsyncIterator[tuple[DurableStore, Line]]:
    """A store at the end of a line that can be cut."""
    host = parse_qs(urlsplit(url).query)["host"][0]
    line = Line(Path(host) / _SOCKET)
    server = await asyncio.start_unix_server(line.carry, str(folder / _SOCKET))
    store = durable_at(url.replace(host, str(folder)), connections_max=2)
    try:
        await store.start()
        yield store, line
        await store.stop()
    finally:
        server.close()
        await server.wait_closed()


async def with_work(store: DurableStore) -> Lease:
    """Have a job and an event wait; the lease of a worker that may take them."""
    await store.log.subscribe("mail", "OrderPlaced", start="beginning")
    await store.queue.enqueue([job()])
    await store.log.append([event("key")])
    return await store.crew.register("w")


async def cut(line: Line, call: Callable[[], Awaitable[Any]]) -> None:
    """Make a call whose commit is cut."""
    line.cut_next()
    before = line.cut_count
    with pytest.raises(StoreLostError) as lost:
        await call()
    assert lost.value.may_be_kept
    assert line.cut_count == before + 1, "it was committed"


@in_loop
async def test_what_is_sent_again_is_kept_once(postgres_url: str, tmp_path: Path) -> None:
    async with cut_line(postgres_url, tmp_path) as (store, line):
        await store.log.subscribe("mail", "OrderPlaced", start="beginning")
        one, sent = job(), event("key")
        await cut(line, lambda: store.queue.enqueue([one]))
        await cut(line, lambda: store.log.append([sent]))
        (placed,) = await store.queue.enqueue([one])
        assert not placed.is_new
        assert await store.log.append([sent]) == [None]
        lease = await store.crew.register("w")
        assert [each.id for each in await store.queue.claim(lease, "default")] == [one.id]
        assert [each.event.id for each in await store.log.take(lease, "mail")] == [sent.id]


@in_loop
async def test_what_was_given_out_unheard_is_taken_back_unspent(
    postgres_url: str, tmp_path: Path
) -> None:
    async with cut_line(postgres_url, tmp_path) as (store, line):
        lease = await with_work(store)
        await cut(line, lambda: store.queue.claim(lease, "default"))
        await cut(line, lambda: store.log.take(lease, "mail"))
        assert await store.queue.claim(lease, "default") == []
        assert await store.queue.strays(lease, []) == 1
        assert await store.log.strays(lease, "mail", []) == 1
        (again,) = await store.queue.claim(lease, "default")
        (given,) = await store.log.take(lease, "mail")
        assert (again.attempt, given.attempt) == (1, 1)


@in_loop
async def test_what_was_finished_unheard_is_not_given_out_again(
    postgres_url: str, tmp_path: Path
) -> None:
    async with cut_line(postgres_url, tmp_path) as (store, line):
        lease = await with_work(store)
        jobs = await store.queue.claim(lease, "default")
        events = await store.log.take(lease, "mail")
        await cut(line, lambda: store.queue.settle(lease, done(*jobs)))
        await cut(line, lambda: store.log.settle(lease, "mail", handled(events)))
        assert await store.queue.settle(lease, done(*jobs)) == [False]
        assert await store.log.settle(lease, "mail", handled(events)) == [False]
        assert await store.queue.claim(lease, "default") == []
        assert await store.log.take(lease, "mail") == []
        view = await store.queue.find(jobs[0].id)
        assert view is not None
        assert view.state == "done"


@in_loop
async def test_a_tick_that_was_enqueued_unheard_is_not_enqueued_again(
    postgres_url: str, tmp_path: Path
) -> None:
    async with cut_line(postgres_url, tmp_path) as (store, line):
        await cut(line, lambda: store.queue.tick("nightly", 1_000, [job()]))
        assert not await store.queue.tick("nightly", 1_000, [job()])
        assert len(await store.queue.jobs("ready")) == 1
