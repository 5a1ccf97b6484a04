"""What goes wrong in a job or a subscription harms nobody else, in every placement."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outgrow import (
    Backoff,
    Database,
    EnqueuedJob,
    Event,
    database,
    enqueue,
    job,
    operation,
    publish,
    service,
    subscribe,
)
from outgrow.host.durable.errors import JobEndedError
from outgrow.testing import ManualClock, Placement, running

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.parametrize("placement", ["local", "rpc", "split"]),
]

IN_MEMORY = {"DATABASE_URL": "sqlite://"}
AT_ONCE = Backoff(first_seconds=1, jitter_ratio=0)


class Tables(DeclarativeBase):
    """The tables of this file."""


class Line(Tables):
    """What was written down."""

    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Rang(Event, key="door", name="trouble.Rang"):
    """Somebody rang."""

    door: str
    number: int


class Loud(Event, name="trouble.Loud"):
    """Somebody shouted."""

    noise: str


async def await_what_is_cancelled() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()
    await task


@service
class Porter:
    """Writes down who rang."""

    db: Database = database(tables=Tables.metadata)

    @operation
    async def texts(self) -> list[str]:
        async with self.db.read() as session:
            return list((await session.scalars(select(Line.text).order_by(Line.id))).all())

    @operation
    async def ring(self, door: str) -> None:
        """Publishes as a listener of the session, as models that know their events do."""
        async with self.db.begin() as session:

            def heard(*_: object) -> None:
                session.publish(Rang(door=door, number=7))

            event.listen(session.sync_session, "before_flush", heard, once=True)
            session.add(Line(text="listened"))

    @subscribe(attempts_max=2, backoff=AT_ONCE)
    async def on_rang(self, rang: Rang) -> None:
        if rang.number < 0:
            await await_what_is_cancelled()
        async with self.db.begin() as session:
            session.add(Line(text=f"{rang.door} {rang.number}"))

    @subscribe
    async def on_loud(self, loud: Loud) -> None:
        async with self.db.begin() as session:
            session.add(Line(text=str(len(loud.noise))))

    @job(attempts_max=1)
    async def shout(self, count: int) -> str:
        return "x" * count

    @job(attempts_max=2, backoff=AT_ONCE)
    async def stumble(self) -> None:
        await await_what_is_cancelled()

    @job(attempts_max=3)
    async def both(self, *, swallows: bool) -> None:
        one, two = self.db.begin(), self.db.begin()
        async with one as session:
            session.add(Line(text="one"))
            try:
                async with two as other:
                    other.add(Line(text="two"))
            except Exception:
                if not swallows:
                    raise

    @job
    async def in_two_tasks(self) -> None:
        async def write(text: str) -> None:
            async with self.db.begin() as session:
                session.add(Line(text=text))

        await asyncio.gather(write("one"), write("two"))

    @job(attempts_max=3)
    async def after_a_rollback(self) -> None:
        try:
            async with self.db.begin() as session:
                session.add(Line(text="never"))
                raise ValueError("not so")
        except ValueError:
            async with self.db.begin() as session:
                session.add(Line(text="instead"))


async def failure_of(handle: EnqueuedJob[object]) -> str:
    with pytest.raises(JobEndedError) as ended:
        await handle.result()
    return str(ended.value)


def test_a_subscription_that_awaits_what_is_cancelled_fails_and_holds_up_its_key_alone(
    placement: Placement,
) -> None:
    async def ask() -> None:
        clock = ManualClock()
        async with running([Porter], placement, environment=IN_MEMORY, clock=clock) as app:
            await publish(Rang(door="front", number=-1), Rang(door="front", number=1))
            await publish(Rang(door="back", number=2))
            await app.until_idle()
            assert await app.client(Porter).texts() == ["back 2"]
            clock.advance(2)
            await app.until_idle()
            assert await app.client(Porter).texts() == ["back 2", "front 1"]

    asyncio.run(ask())


def test_a_job_that_awaits_what_is_cancelled_spends_its_attempts(placement: Placement) -> None:
    async def ask() -> None:
        clock = ManualClock()
        async with running([Porter], placement, environment=IN_MEMORY, clock=clock) as app:
            handle = await enqueue(app.client(Porter).stumble)
            await app.until_idle()
            clock.advance(2)
            await app.until_idle()
            assert "StrayCancelError" in await failure_of(handle)

    asyncio.run(ask())


def test_two_transactions_at_once_are_refused_and_never_pass_for_done(placement: Placement) -> None:
    async def ask() -> None:
        async with running([Porter], placement, environment=IN_MEMORY) as app:
            handle = await enqueue(app.client(Porter).in_two_tasks)
            await app.until_idle()
            assert "second transaction" in await failure_of(handle)
            for swallows in (False, True):
                handle = await enqueue(app.client(Porter).both, swallows=swallows)
                await app.until_idle()
                assert "second transaction" in await failure_of(handle)

    asyncio.run(ask())


def test_a_transaction_that_was_rolled_back_may_be_followed_by_another(
    placement: Placement,
) -> None:
    async def ask() -> None:
        async with running([Porter], placement, environment=IN_MEMORY) as app:
            handle = await enqueue(app.client(Porter).after_a_rollback)
            await app.until_idle()
            assert await handle.state() == "done"
            assert await app.client(Porter).texts() == ["instead"]

    asyncio.run(ask())


def test_what_a_listener_of_the_session_publishes_comes_with_the_commit(
    placement: Placement,
) -> None:
    async def ask() -> None:
        async with running([Porter], placement, environment=IN_MEMORY) as app:
            await app.client(Porter).ring("front")
            await app.until_idle()
            assert await app.client(Porter).texts() == ["listened", "front 7"]

    asyncio.run(ask())


def test_a_result_that_is_too_large_is_its_own_jobs_failure(placement: Placement) -> None:
    async def ask() -> None:
        async with running([Porter], placement, environment=IN_MEMORY) as app:
            large = await enqueue(app.client(Porter).shout, 17_000_000)
            small = await enqueue(app.client(Porter).shout, 10)
            await app.until_idle()
            assert "MessageSizeError" in await failure_of(large)
            assert await small.result() == "x" * 10

    asyncio.run(ask())


def test_more_events_than_one_answer_holds_are_all_handled(placement: Placement) -> None:
    async def ask() -> None:
        async with running([Porter], placement, environment=IN_MEMORY) as app:
            log = app._work.store.log
            await log.pause_subscription("porter.on_loud", paused=True)
            for _ in range(8):
                await publish(*(Loud(noise="x" * 250_000) for _ in range(10)))
            await log.pause_subscription("porter.on_loud", paused=False)
            await app.until_idle(seconds=40)
            assert await app.client(Porter).texts() == ["250000"] * 80

    asyncio.run(ask())
