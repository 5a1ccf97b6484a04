"""Events, jobs and schedules mean the same in every placement."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outgrow import (
    Backoff,
    Baggage,
    Clock,
    Database,
    EnqueuedJob,
    Event,
    database,
    enqueue,
    job,
    operation,
    progress,
    publish,
    schedule,
    service,
    step,
    subscribe,
)
from outgrow.host.durable.errors import JobEndedError
from outgrow.store import SecondBlockError
from outgrow.testing import ManualClock, Placement, RunningApp, running
from tests.recorded import named, path_to, recorded, spans

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.parametrize("placement", ["local", "rpc", "split"]),
]

IN_MEMORY = {"DATABASE_URL": "sqlite://"}
tenant = Baggage("tenant", str)


class Tables(DeclarativeBase):
    """The tables of this file."""


class Note(Tables):
    """What a service wrote down."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class PlateServed(Event, key="table", name="test.PlateServed"):
    """A plate was put on a table."""

    table: str
    number: int


class TableLeft(Event, name="test.TableLeft"):
    """Guests left."""

    table: str


@service
class Diary:
    """Writes down what it hears."""

    db: Database = database(tables=Tables.metadata)

    @operation
    async def texts(self) -> list[str]:
        async with self.db.read() as session:
            return list((await session.scalars(select(Note.text).order_by(Note.id))).all())

    @subscribe(attempts_max=3, backoff=Backoff(first_seconds=1, jitter_ratio=0))
    async def on_plate(self, event: PlateServed) -> None:
        async with self.db.begin() as session:
            before = await session.scalar(select(func.count()).select_from(Note))
            if event.number < 0 and not before:
                raise ValueError("nothing to take back")
            session.add(Note(text=f"{event.table} {event.number}"))

    @subscribe
    def on_left(self, event: TableLeft) -> None:
        """A `def`, which runs in a thread."""
        _left.append(event.table)

    @job(queue="pages")
    async def note(self, text: str, times: int = 1) -> int:
        async with self.db.begin() as session:
            session.add_all(Note(text=text) for _ in range(times))
        return times

    @job
    async def note_twice(self, text: str) -> None:
        for _ in range(2):
            async with self.db.begin() as session:
                session.add(Note(text=text))

    @job
    async def name_tenant(self) -> str:
        return tenant.get() or "nobody"

    @job
    def in_thread(self, number: int) -> int:
        return number + 1

    @job(attempts_max=3, backoff=Backoff(first_seconds=1, jitter_ratio=0))
    async def in_steps(self, text: str) -> str:
        first = await step("first", self.one_step, text)
        await progress(0.5)
        second = await step("second", self.one_step, text)
        return f"{first} {second}"

    async def one_step(self, text: str) -> str:
        """Fails at its second call, and never again."""
        _steps.append(text)
        if len(_steps) == 2:
            raise ValueError("the second call")
        return f"{text}{len(_steps)}"

    @job(attempts_max=2, backoff=Backoff(first_seconds=1, jitter_ratio=0))
    async def fail(self) -> None:
        raise ValueError("always")

    @job(unique=True)
    async def once(self, name: str) -> None: ...

    @schedule("0 3 * * *", zone="Europe/Berlin")
    @job
    async def nightly(self) -> None:
        async with self.db.begin() as session:
            session.add(Note(text="nightly"))


_left: list[str] = []
_steps: list[str] = []


@service
class Waiter:
    """Tells what it does."""

    diary: Diary
    clock: Clock
    db: Database = database(tables=Tables.metadata)

    @operation
    async def serve(self, table: str, number: int, *, drops: bool = False) -> None:
        async with self.db.begin() as session:
            session.add(Note(text=table))
            session.publish(PlateServed(table=table, number=number))
            await enqueue(self.diary.note, f"bill of {table}")
            if drops:
                raise ValueError("it fell")

    @operation
    async def clear(self, table: str) -> None:
        await publish(TableLeft(table=table))


def with_app(
    placement: Placement, clock: ManualClock | None = None
) -> AbstractAsyncContextManager[RunningApp]:
    return running([Waiter], placement, environment=IN_MEMORY, clock=clock)


async def wait_for(app: RunningApp, handle: EnqueuedJob[object]) -> object:
    await app.until_idle()
    return await handle.result()


def test_what_a_transaction_publishes_and_enqueues_comes_with_its_commit(
    placement: Placement,
) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            await app.client(Waiter).serve("oak", 1)
            assert app.published == [PlateServed(table="oak", number=1)]
            with pytest.raises(ValueError, match="fell"):
                await app.client(Waiter).serve("elm", 1, drops=True)
            await app.until_idle()
            assert len(app.published) == 1
            assert sorted(await app.client(Diary).texts()) == ["bill of oak", "oak 1"]

    asyncio.run(ask())


def test_events_of_a_key_keep_their_order_also_after_a_failure(placement: Placement) -> None:
    async def ask() -> None:
        clock = ManualClock()
        async with with_app(placement, clock) as app:
            await publish(PlateServed(table="oak", number=-1))
            await publish(*(PlateServed(table="oak", number=each) for each in range(3)))
            await app.until_idle()
            assert await app.client(Diary).texts() == []
            await publish(PlateServed(table="elm", number=9))
            await app.until_idle()
            clock.advance(2)
            await app.until_idle()
            texts = await app.client(Diary).texts()
            assert texts == ["elm 9", "oak -1", "oak 0", "oak 1", "oak 2"]

    asyncio.run(ask())


def test_a_plain_method_receives_and_runs_in_a_thread(placement: Placement) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            await app.client(Waiter).clear("oak")
            assert await wait_for(app, await enqueue(app.client(Diary).in_thread, 1)) == 2
            assert app.published == [TableLeft(table="oak")]

    asyncio.run(ask())


def test_a_job_returns_to_whoever_enqueued_it(placement: Placement) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            handle = await enqueue(app.client(Diary).note, "soup", times=3)
            assert handle.is_new
            assert await handle.result() == 3
            assert await handle.state() == "done"
            assert await app.client(Diary).texts() == ["soup"] * 3

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["Diary.note", "Diary.on_plate"], ids=["job", "subscription"])
def test_what_is_handed_on_continues_the_trace_of_who_did(placement: Placement, name: str) -> None:
    if placement == "split":
        pytest.skip("the processes of `split` record for an observer, which a test has not")

    async def ask() -> None:
        async with with_app(placement) as app:
            with recorded():
                await app.client(Waiter).serve("oak", 1)
                await app.until_idle()
                found = spans()
        served, handled = named(found, "Waiter.serve"), named(found, name)
        assert handled.trace_id == served.trace_id
        assert path_to(found, name) == ["Waiter.serve", name]

    asyncio.run(ask())


def test_baggage_travels_with_a_job(placement: Placement) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            with tenant.set("ann"):
                handle = await enqueue(app.client(Diary).name_tenant)
            assert await handle.result() == "ann"

    asyncio.run(ask())


def test_a_delayed_job_waits_for_its_time(placement: Placement) -> None:
    async def ask() -> None:
        clock = ManualClock()
        async with with_app(placement, clock) as app:
            handle = await enqueue(app.client(Diary).note.options(delay_seconds=60), "late")
            await app.until_idle()
            assert await handle.state() == "later"
            clock.advance(61)
            assert await wait_for(app, handle) == 1

    asyncio.run(ask())


def test_a_job_goes_on_after_the_steps_that_it_has_behind_it(placement: Placement) -> None:
    async def ask() -> None:
        _steps.clear()
        clock = ManualClock()
        async with with_app(placement, clock) as app:
            handle = await enqueue(app.client(Diary).in_steps, "a")
            await app.until_idle()
            assert await handle.progress() == 0.5
            clock.advance(2)
            assert await wait_for(app, handle) == "a1 a3"

    asyncio.run(ask())


def test_a_job_that_fails_too_often_says_why(placement: Placement) -> None:
    async def ask() -> None:
        clock = ManualClock()
        async with with_app(placement, clock) as app:
            handle = await enqueue(app.client(Diary).fail)
            await app.until_idle()
            assert await handle.state() == "later"
            clock.advance(2)
            with pytest.raises(JobEndedError, match=r"dead.*ValueError: always") as ended:
                await wait_for(app, handle)
            assert ended.value.state == "dead"

    asyncio.run(ask())


def test_a_second_transaction_of_one_attempt_is_refused(placement: Placement) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            handle = await enqueue(app.client(Diary).note_twice, "x")
            await app.until_idle()
            assert SecondBlockError.code == "OG708"
            # Its first transaction stands, so that a repeat would pass for all of it.
            assert await handle.state() == "dead"
            assert await app.client(Diary).texts() == ["x"]

    asyncio.run(ask())


def test_a_unique_job_is_there_once(placement: Placement) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            later = app.client(Diary).once.options(delay_seconds=60)
            first, second = await enqueue(later, "a"), await enqueue(later, "a")
            other = await enqueue(later, "b")
            assert (first.is_new, second.is_new, other.is_new) == (True, False, True)
            assert second.id == first.id

    asyncio.run(ask())


def test_a_cancelled_job_never_starts(placement: Placement) -> None:
    async def ask() -> None:
        clock = ManualClock()
        async with with_app(placement, clock) as app:
            handle = await enqueue(app.client(Diary).note.options(delay_seconds=60), "never")
            assert await handle.cancel()
            clock.advance(61)
            with pytest.raises(JobEndedError, match="cancelled"):
                await wait_for(app, handle)
            assert await app.client(Diary).texts() == []

    asyncio.run(ask())


def test_a_schedule_ticks_in_its_zone(placement: Placement) -> None:
    if placement == "split":
        pytest.skip("the services of `split` look at their schedules by themselves")

    async def ask() -> None:
        clock = ManualClock(datetime(2026, 7, 1, 0, 59, tzinfo=UTC))
        async with with_app(placement, clock) as app:
            await app.until_idle()
            assert await app.client(Diary).texts() == []
            clock.advance(61)  # 3 o'clock in Berlin
            await app.until_idle()
            assert await app.client(Diary).texts() == ["nightly"]

    asyncio.run(ask())


def test_a_wrong_argument_is_refused_where_it_is_enqueued(placement: Placement) -> None:
    async def ask() -> None:
        async with with_app(placement) as app:
            with pytest.raises(TypeError, match="text"):
                await enqueue(app.client(Diary).note, 7)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="missing"):
                await enqueue(app.client(Diary).note)  # type: ignore[call-arg]

    asyncio.run(ask())
