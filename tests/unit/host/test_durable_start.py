"""A version that cannot read what waits does not start, unless somebody says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from outgrow import Event, enqueue, job, publish, service, subscribe
from outgrow.errors import OutgrowError
from outgrow.host import Durable, DurableSource, Host, app_of
from outgrow.model import QueueBounds, events
from outgrow.store import QueueLimits, Rate, durable_at, wall_clock


def versions() -> tuple[Any, Any, Any]:
    """The same service and event three times: at first, with a field more, and with it required."""

    def first() -> Any:
        class Ring(Event, name="start.Ring"):
            door: str

        @service(name="bell")
        class Bell:
            @job
            async def ring(self, door: str) -> None: ...

            @subscribe(start="beginning")
            async def on_ring(self, event: Ring) -> None: ...

        return Bell, Ring

    def wider() -> Any:
        class Ring(Event, name="start.Ring"):
            door: str
            times: int = 1

        @service(name="bell")
        class Bell:
            @job
            async def ring(self, door: str, times: int = 1) -> None:
                note("job", door, times)

            @subscribe(start="beginning")
            async def on_ring(self, event: Ring) -> None:
                note("event", event.door, event.times)

        return Bell, Ring

    def narrower() -> Any:
        class Ring(Event, name="start.Ring"):
            door: int

        @service(name="bell")
        class Bell:
            @job
            async def ring(self, door: int) -> None: ...

            @subscribe(start="beginning")
            async def on_ring(self, event: Ring) -> None: ...

        return Bell, Ring

    return first, wider, narrower


rung: list[tuple[str, str, int]] = []
rings: asyncio.Queue[None] = asyncio.Queue()


def note(what: str, door: str, times: int) -> None:
    rung.append((what, door, times))
    rings.put_nowait(None)


@pytest.fixture(autouse=True)
def no_events_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_events", [])
    rung.clear()
    monkeypatch.setattr(f"{__name__}.rings", asyncio.Queue())


def source_at(folder: Path, *, leaves_unreadable: bool = False) -> DurableSource:
    url = f"sqlite:///{folder}/durable.db"
    return DurableSource(
        lambda: Durable(
            durable_at(url, is_fast=True),
            "test",
            now_ms=wall_clock,
            leaves_unreadable=leaves_unreadable,
        )
    )


async def leave_waiting(folder: Path, make: Any) -> None:
    """Have a job and an event wait that this version wrote."""
    bell, ring = make()
    source = source_at(folder)
    host = Host(app_of(bell), source=source)
    await host.start()
    durable = await source.get()
    await durable.drain(1)  # from now on nothing is worked off
    await enqueue(host.client(bell).ring, "front")
    await publish(ring(door="front"))
    await host.stop()
    await source.close()


async def start(folder: Path, make: Any, until: int = 0, **options: Any) -> None:
    """Start another version where it waits, until so much was done."""
    events._events.clear()  # pyright: ignore[reportPrivateUsage]
    source = source_at(folder, **options)
    host = Host(app_of(make()[0]), source=source)
    try:
        await host.start()
        async with asyncio.timeout(10):
            while len(rung) < until:
                await rings.get()
    finally:
        await host.stop()
        await source.close()


def test_a_field_with_a_default_is_read_from_what_was_written_without(tmp_path: Path) -> None:
    first, wider, _ = versions()
    asyncio.run(leave_waiting(tmp_path, first))
    asyncio.run(start(tmp_path, wider, until=2))
    assert sorted(rung) == [("event", "front", 1), ("job", "front", 1)]


def test_another_type_is_refused_while_something_waits(tmp_path: Path) -> None:
    first, _, narrower = versions()
    asyncio.run(leave_waiting(tmp_path, first))
    with pytest.raises(OutgrowError, match=r"1 of the .* wait that this version cannot read.*door"):
        asyncio.run(start(tmp_path, narrower))
    asyncio.run(start(tmp_path, narrower, leaves_unreadable=True))


def test_a_version_that_comes_back_is_refused_as_well(tmp_path: Path) -> None:
    first, _, narrower = versions()
    asyncio.run(start(tmp_path, narrower))
    asyncio.run(leave_waiting(tmp_path, first))
    with pytest.raises(OutgrowError, match="wait that this version cannot read"):
        asyncio.run(start(tmp_path, narrower))


def test_another_type_is_fine_where_nothing_waits(tmp_path: Path) -> None:
    first, _, narrower = versions()
    asyncio.run(start(tmp_path, first))
    asyncio.run(start(tmp_path, narrower))


def test_bounds_of_queues_are_what_the_settings_say(tmp_path: Path) -> None:
    first, _, _ = versions()

    async def limits_after(bounds: dict[str, QueueBounds] | None) -> QueueLimits:
        events._events.clear()  # pyright: ignore[reportPrivateUsage]
        store = durable_at(f"sqlite:///{tmp_path}/durable.db", is_fast=True)
        source = DurableSource(lambda: Durable(store, "test", now_ms=wall_clock, bounds=bounds))
        host = Host(app_of(first()[0]), source=source)
        await host.start()
        queues = {one.name: one.limits for one in await store.queue.queues()}
        await host.stop()
        await source.close()
        return queues.get("bell", QueueLimits())

    async def ask() -> None:
        bell = QueueBounds(concurrency=3, rate_count=5, rate_seconds=2.0)
        limited = QueueLimits(slots=3, rate=Rate(count=5, per_ms=2000))
        assert await limits_after({"bell": bell}) == limited
        assert await limits_after(None) == limited
        assert await limits_after({}) == QueueLimits()

    asyncio.run(ask())
