"""A trace goes through services to what they ask of others, wherever these run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic_ns
from typing import Any

import pytest

from outgrow import OverloadedError, call, deadline, operation, service
from outgrow.host.tracing import extras_with
from outgrow.telemetry import CLIENT, SpanRecord, note, outgoing, stop_recording
from outgrow.testing import RunningApp
from tests.recorded import named, recorded, spans

from .conftest import Placed, Play

started: dict[str, asyncio.Event] = {}
sent: list[str | None] = []


def query(name: str) -> None:
    now_ns = monotonic_ns()
    note(name, CLIENT, now_ns, now_ns + 1000)


class SoldOutError(Exception):
    """There is none left."""


@service(concurrent_calls_max=2, queue_max=0)
class Shelf:
    @operation
    async def read(self, what: str) -> str:
        await asyncio.sleep(0)
        query(f"SELECT {what}")
        sent.append(outgoing())
        return what

    @operation
    def count(self) -> str:
        query("SELECT count")
        return threading.current_thread().name

    @operation
    async def fail(self) -> None:
        raise SoldOutError("no tea")

    @operation
    async def hang(self) -> None:
        started["hang"].set()
        await asyncio.Event().wait()

    @operation
    async def watch(self) -> AsyncIterator[int]:
        for number in range(2):
            query(f"SELECT change {number}")
            yield number


@service
class Store:
    shelf: Shelf

    @operation
    async def look(self, what: str) -> str:
        return await self.shelf.read(what)

    @operation
    async def watch(self) -> int:
        return sum([number async for number in self.shelf.watch()])

    @operation
    async def try_it(self) -> str:
        with suppress(SoldOutError):
            await self.shelf.fail()
        return "tried"

    @operation
    async def crowd(self) -> int:
        found = await asyncio.gather(
            *(self.shelf.read(f"crowd {number}") for number in range(4)), return_exceptions=True
        )
        return sum(isinstance(one, OverloadedError) for one in found)


@service
class Front:
    store: Store
    shelf: Shelf

    @operation
    async def place(self, what: str) -> str:
        return await self.store.look(what)

    @operation
    async def both(self) -> None:
        await asyncio.gather(self.store.look("left"), self.shelf.read("right"))

    @operation
    async def counted(self) -> str:
        return await call(self.shelf.count)

    @operation
    async def hang(self) -> None:
        await self.shelf.hang()


Played = Callable[[Callable[[RunningApp], Awaitable[Any]]], list[SpanRecord]]


@pytest.fixture
def traced(play: Play) -> Played:
    """Do something with the services; gives the spans that are kept of it."""

    def run(piece: Callable[[RunningApp], Awaitable[Any]]) -> list[SpanRecord]:
        sent.clear()
        with recorded():

            async def whole(app: RunningApp) -> None:
                started["hang"] = asyncio.Event()
                await piece(app)

            play([Front], whole)
            return spans()

    return run


def way_to(found: list[SpanRecord], name: str) -> list[str]:
    """The names from the outermost span to this; a call between processes has two spans."""
    by_id = {span.span_id: span for span in found}
    span = named(found, name)
    names = [span.name]
    while span.parent_id:
        span = by_id[span.parent_id]
        if names[0] != span.name:
            names.insert(0, span.name)
    return names


def test_a_call_of_a_call_is_one_trace(traced: Played) -> None:
    found = traced(lambda app: app.client(Front).place("tea"))
    assert len({span.trace_id for span in found}) == 1
    assert len([span for span in found if not span.parent_id]) == 1
    assert way_to(found, "SELECT tea") == ["Front.place", "Store.look", "Shelf.read", "SELECT tea"]


def test_what_leaves_has_the_trace_and_the_span_of_the_operation(traced: Played) -> None:
    found = traced(lambda app: app.client(Front).place("tea"))
    select = named(found, "SELECT tea")
    assert sent == [f"00-{select.trace_id.hex()}-{select.parent_id.hex()}-00"]


def test_spans_say_which_service_they_are_of_and_lie_within_their_parents(traced: Played) -> None:
    found = traced(lambda app: app.client(Front).place("tea"))
    by_id = {span.span_id: span for span in found}
    for span in found:
        if span.kind == CLIENT and span.name.startswith("SELECT"):
            assert span.service == "Shelf"
        elif span.kind != CLIENT:
            assert span.service == span.name.partition(".")[0]
        if span.parent_id:
            parent = by_id[span.parent_id]
            # Two processes read the wall clock at two moments.
            assert parent.duration_ns >= span.duration_ns
        assert span.worker == "web/1"


def test_between_processes_there_is_a_span_on_either_side(
    traced: Played, placement: Placed
) -> None:
    found = traced(lambda app: app.client(Front).place("tea"))
    kinds = [span.kind for span in found if span.name == "Shelf.read"]
    assert kinds == ([3, 2] if placement == "sockets" else [1])


def test_calls_at_once_have_their_own_parents(traced: Played) -> None:
    found = traced(lambda app: app.client(Front).both())
    assert len({span.trace_id for span in found}) == 1
    assert way_to(found, "SELECT left") == ["Front.both", "Store.look", "Shelf.read", "SELECT left"]
    assert way_to(found, "SELECT right") == ["Front.both", "Shelf.read", "SELECT right"]


def test_a_def_operation_in_its_thread_is_in_the_trace(traced: Played) -> None:
    found = traced(lambda app: app.client(Front).counted())
    assert way_to(found, "SELECT count") == ["Front.counted", "Shelf.count", "SELECT count"]


def test_a_stream_is_a_span_around_what_it_does(traced: Played) -> None:
    found = traced(lambda app: app.client(Store).watch())
    for number in range(2):
        name = f"SELECT change {number}"
        assert way_to(found, name) == ["Store.watch", "Shelf.watch", name]


def test_a_stream_that_is_read_from_outside_is_a_trace(traced: Played) -> None:
    async def piece(app: RunningApp) -> None:
        async for _ in app.client(Shelf).watch():
            pass

    found = traced(piece)
    assert way_to(found, "SELECT change 1") == ["Shelf.watch", "SELECT change 1"]


def test_an_error_is_told_where_it_was_and_keeps_the_trace(traced: Played) -> None:
    async def piece(app: RunningApp) -> None:
        store = app.client(Store)
        await store.try_it()

    found = traced(piece)
    failed = [span for span in found if span.name == "Shelf.fail"]
    assert failed
    for span in failed:
        assert (span.status, span.message) == (2, "SoldOutError: no tea")
        assert span.kept_for == "error"
    assert {span.status for span in found if span.name == "Store.try_it"} == {0}


def test_a_call_that_is_refused_is_a_span_with_an_error(traced: Played) -> None:
    found = traced(lambda app: app.client(Store).crowd())
    refused = [
        span
        for span in found
        if span.name == "Shelf.read" and span.message.startswith("OverloadedError")
    ]
    assert len(refused) >= 2
    assert {span.status for span in refused} == {2}


def test_a_call_that_is_cancelled_ends_its_spans_and_is_no_error(traced: Played) -> None:
    async def piece(app: RunningApp) -> None:
        task = asyncio.ensure_future(app.client(Front).hang())
        await asyncio.wait_for(started["hang"].wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    found = traced(piece)
    assert named([span for span in found if not span.parent_id], "Front.hang").duration_ns > 0
    assert {span.kept_for for span in found} <= {"sampled", "slow"}


def test_calls_within_a_deadline_outside_of_requests_are_traces_of_their_own(
    traced: Played,
) -> None:
    async def piece(app: RunningApp) -> None:
        with deadline(5):
            await app.client(Front).place("tea")
            await app.client(Front).place("milk")

    found = traced(piece)
    assert named(found, "SELECT tea").trace_id != named(found, "SELECT milk").trace_id


def test_nothing_is_recorded_or_sent_where_recording_is_off(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        stop_recording()
        await app.client(Front).place("tea")
        assert dict(extras_with(None, 0)) == {}

    sent.clear()
    with recorded():
        play([Front], piece)
        assert spans() == []
    assert sent == [None]
