"""What is published in a plain session of SQLAlchemy exists if and only if that commits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, MetaData, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from outgrow import Event, Outbox, job, service, subscribe
from outgrow.store import MessageSizeError, OutboxError
from outgrow.testing import RunningApp, running
from tests.adopt.serving import ROOT

pytestmark = pytest.mark.timeout(60)

heard: list[str] = []


class Rung(Event, key="door", name="engine_outbox.Rung"):
    """Somebody rang."""

    door: str


@service
class Bell:
    """Says what it heard."""

    @job
    async def ring(self, door: str) -> None:
        heard.append(f"job {door}")

    @subscribe
    async def on_rung(self, event: Rung) -> None:
        heard.append(f"event {event.door}")


def plain(url: str) -> str:
    """The URL for a driver that blocks."""
    if url.startswith("sqlite"):
        return url
    parts = urlsplit(url)
    return f"postgresql+psycopg://{parts.netloc}{parts.path}?{parts.query}"


@asynccontextmanager
async def ringing(url: str) -> AsyncIterator[tuple[RunningApp, Engine, Outbox]]:
    heard.clear()
    engine = create_engine(plain(url))
    try:
        outbox = Outbox(engine)
        async with running([Bell]) as app:
            yield app, engine, outbox
    finally:
        engine.dispose()


def test_what_a_session_publishes_exists_if_and_only_if_it_commits(url: str) -> None:
    async def ask() -> None:
        async with ringing(url) as (app, engine, outbox):
            bell = app.client(Bell)

            def scene() -> None:
                with Session(engine) as session, session.begin():
                    outbox.enqueue(session, bell.ring, "rolled back with the table")
                    session.rollback()
                with Session(engine) as session, session.begin():
                    handle = outbox.enqueue(session, bell.ring, "a")
                    outbox.publish(session, Rung(door="b"), Rung(door="c"))
                    outbox.enqueue_many(session, [bell.ring.given(one) for one in "de"])
                    assert handle.is_new is None
                    assert app.published == []
                    with session.begin_nested() as savepoint:
                        outbox.enqueue(session, bell.ring, "savepoint")
                        savepoint.rollback()
                with Session(engine) as session:
                    outbox.enqueue(session, bell.ring, "never committed")

            await asyncio.to_thread(scene)
            await app.until_idle()
            assert sorted(heard) == ["event b", "event c", "job a", "job d", "job e"]

    asyncio.run(ask())


def by_connection(engine: Engine, write: Callable[..., None]) -> None:
    with engine.begin() as connection:
        write(connection)


def by_scoped_session(engine: Engine, write: Callable[..., None]) -> None:
    session = scoped_session(sessionmaker(engine))
    write(session)
    session.commit()
    session.remove()


def by_session_of_no_engine(engine: Engine, write: Callable[..., None]) -> None:
    with Session() as session, session.begin():
        write(session)


def by_session_of_a_connection(engine: Engine, write: Callable[..., None]) -> None:
    with engine.connect() as connection, Session(connection) as session:
        write(session)
        session.commit()
        connection.commit()


@pytest.mark.parametrize(
    "way", [by_connection, by_scoped_session, by_session_of_no_engine, by_session_of_a_connection]
)
def test_whatever_has_the_transaction_can_publish(way: Callable[..., None], url: str) -> None:
    async def ask() -> None:
        async with ringing(url) as (app, engine, outbox):
            bell = app.client(Bell)
            await asyncio.to_thread(way, engine, lambda one: outbox.enqueue(one, bell.ring, "a"))
            async with asyncio.timeout(20):
                while heard != ["job a"]:
                    await asyncio.sleep(0)

    asyncio.run(ask())


def test_what_cannot_carry_says_so(url: str, tmp_path: Path) -> None:
    engine, other = create_engine(plain(url)), create_engine(f"sqlite:///{tmp_path}/other.db")
    outbox = Outbox(engine, makes_table=False)
    with Session(other) as session, pytest.raises(OutboxError, match="another engine"):
        outbox.publish(session, Rung(door="a"))
    with Session(engine) as session, pytest.raises(OutboxError, match="no table `outgrow_outbox`"):
        outbox.publish(session, Rung(door="a"))
    metadata = MetaData()
    outbox.add_table(metadata)
    metadata.create_all(engine)
    with Session(engine) as session:
        with pytest.raises(MessageSizeError):
            outbox.publish(session, Rung(door="x" * 300_000))
        outbox.publish(session, Rung(door="a"))
        session.commit()
        assert session.scalar(text("SELECT kind FROM outgrow_outbox")) == "event"
    assert [one["name"] for one in inspect(engine).get_columns("outgrow_outbox")] == [
        *("seq", "kind", "body")
    ]
    engine.dispose()
    other.dispose()
    with pytest.raises(OutboxError, match="is async"):
        Outbox(create_async_engine("sqlite+aiosqlite://").sync_engine)


SCENE = """
import asyncio, os, signal
from pathlib import Path
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from outgrow import Outbox, client, job, lifespan, service

LEDGER = Path(os.environ["LEDGER"])
engine = create_engine(os.environ["SHOP_URL"])
outbox = Outbox(engine)


@service
class Bell:
    @job
    async def ring(self, number: int) -> None:
        with LEDGER.open("a") as ledger:
            ledger.write(f"{number}\\n")


bell = client(Bell)


async def until_rung(count):
    async with lifespan():
        async with asyncio.timeout(40):
            while len(LEDGER.read_text().splitlines()) < count:
                await asyncio.sleep(0.01)
"""


def test_what_was_committed_before_a_kill_takes_effect_once(url: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()

    def play(scene: str, code: int = 0) -> None:
        environment = {
            **os.environ,
            "SHOP_URL": plain(url),
            "LEDGER": str(ledger),
            "OUTGROW_DURABLE_URL": f"sqlite:///{tmp_path}/durable.db",
        }
        done = subprocess.run(
            [sys.executable, "-c", SCENE + scene],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.returncode == code, done.stdout + done.stderr

    play(
        """
for number in range(3):
    with Session(engine) as session, session.begin():
        outbox.enqueue(session, bell.ring, number)
os.kill(os.getpid(), signal.SIGKILL)
""",
        -signal.SIGKILL,
    )
    assert ledger.read_text() == ""
    play(
        """
from outgrow.host import house
from outgrow.store import EngineRows

house._wanted.clear()  # it only moves: a job that is killed as well may run twice
EngineRows.remove = lambda rows, numbers: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(until_rung(100))
""",
        -signal.SIGKILL,
    )
    play("asyncio.run(until_rung(3))")
    play("asyncio.run(until_rung(0))")
    assert sorted(ledger.read_text().splitlines()) == ["0", "1", "2"]
