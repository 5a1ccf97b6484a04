"""Services that publish, receive and run jobs, and write down what they did.

`POST /record` places some orders in a transaction that publishes them. Books writes each order down
in the one transaction that its subscription may have, and enqueues a job that writes it down again.
One order of `POISON` has a job that ends its process, whoever runs it: it is poison. Beside each
order stand jobs that are bounded, some by their queue and some by their key; these say in a file
when they begin and end.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outgrow import (
    Backoff,
    Database,
    Event,
    client,
    database,
    enqueue,
    enqueue_many,
    job,
    operation,
    service,
)
from outgrow import subscribe as subscribed

KEYS_COUNT = 7
POISON = int(os.environ.get("POISON", "100"))
ORDERS = 2
BESIDE = 8  # of each kind, for each order
QUEUE_SLOTS = 8
QUEUE = f"wide: concurrency={QUEUE_SLOTS}"
KEY_SLOTS = 2
LEDGER = "ledger"
BOUNDED_SECONDS = 0.002

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Tables(DeclarativeBase):
    """The tables of both services."""


class Placed(Tables):
    """An order that was placed."""

    __tablename__ = "placed"
    number: Mapped[int] = mapped_column(primary_key=True)


class Booked(Tables):
    """An order that was received; twice, if it was handled twice."""

    __tablename__ = "booked"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class Billed(Tables):
    """An order whose job ran."""

    __tablename__ = "billed"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class OrderPlaced(Event, key="table"):
    """An order was placed; those of one table stay in order."""

    table: int
    number: int


@service
class Books:
    """Writes down what was ordered."""

    db: Database = database(tables=Tables.metadata)

    @operation
    async def ready(self) -> None:
        """Nothing; the service has started."""

    @subscribed(attempts_max=100, backoff=Backoff(first_seconds=0.1, seconds_max=0.5))
    async def on_order(self, event: OrderPlaced) -> None:
        """Write it down, and have it billed."""
        async with self.db.begin() as session:
            session.add(Booked(number=event.number))
            await enqueue(self.poison if event.number % POISON == 0 else self.bill, event.number)

    @job(attempts_max=2, backoff=Backoff(first_seconds=0.1, seconds_max=0.5))
    async def poison(self, number: int) -> None:
        """End the process that runs it."""
        say("exit", "-", "-", number)
        os._exit(1)

    # Whoever runs beside what ends the process spends an attempt with it, and is then run alone.
    @job(attempts_max=8, backoff=Backoff(first_seconds=0.1, seconds_max=0.5))
    async def bill(self, number: int) -> None:
        """Write it down again."""
        await asyncio.sleep(0.005)
        async with self.db.begin() as session:
            session.add(Billed(number=number))


def say(*words: object) -> None:
    """Write a line into the ledger, with who writes it and when; in one call, so whole."""
    line = " ".join(map(str, (*words, os.getpid(), time.monotonic_ns())))
    os.write(_ledger(), f"{line}\n".encode())


def _ledger() -> int:
    if not _opened:
        path = Path(os.environ["LEDGER_FOLDER"]) / LEDGER
        _opened.append(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    return _opened[0]


_opened: list[int] = []


@contextmanager
def told(queue: str, key: object, number: int) -> Iterator[None]:
    """Say when the block begins and ends."""
    say("begin", queue, key, number)
    try:
        yield
    finally:
        say("end", queue, key, number)


@service
class Bounded:
    """Runs jobs of which only so many may run at once."""

    @operation
    async def ready(self) -> None:
        """Nothing; the service has started."""

    @job(queue="wide", attempts_max=1_000)
    async def wide(self, number: int) -> None:
        """One of those of its queue."""
        with told("wide", "-", number):
            await asyncio.sleep(BOUNDED_SECONDS)

    @job(queue="keyed", key="key", key_concurrency=KEY_SLOTS, attempts_max=1_000)
    async def keyed(self, key: int, number: int) -> None:
        """One of those of its key."""
        with told("keyed", key, number):
            await asyncio.sleep(BOUNDED_SECONDS)


@service
class Orders:
    """Places orders."""

    books: Books
    bounded: Bounded
    db: Database = database(tables=Tables.metadata)

    @operation
    async def place(self) -> list[int]:
        """Place some; returns their numbers."""
        async with self.db.begin() as session:
            placed = [Placed() for _ in range(ORDERS)]
            session.add_all(placed)
            await session.flush()
            numbers = [one.number for one in placed]
            for number in numbers:
                session.publish(OrderPlaced(table=number % KEYS_COUNT, number=number))
            beside = [one for number in numbers for one in numbers_beside(number)]
            await enqueue_many(
                job
                for one in beside
                for job in (
                    self.bounded.wide.given(one),
                    self.bounded.keyed.given(one % KEYS_COUNT, one),
                )
            )
        return numbers


def numbers_beside(order: int) -> range:
    """Of the jobs of each kind that stand beside an order."""
    return range(order * BESIDE, (order + 1) * BESIDE)


orders = client(Orders)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The edge: any request places orders."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status, body = 200, b""
    try:
        body = json.dumps({"numbers": await orders.place()}).encode()
    except Exception as problem:
        status, body = 503, repr(problem).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
