"""Services that publish, receive and run jobs, and write down what they did in their databases.

`POST /record` places an order in a transaction that publishes it. Books writes each order down in
the one transaction that its subscription may have, and enqueues a job that writes it down again.
Every hundredth order has a job that ends its process, whoever runs it: it is poison.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outgrow import Backoff, Database, Event, client, database, enqueue, job, operation, service
from outgrow import subscribe as subscribed

KEYS_COUNT = 7
POISON = 100

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
        os._exit(1)

    # Whoever runs beside what ends the process spends an attempt with it, and is then run alone.
    @job(attempts_max=8, backoff=Backoff(first_seconds=0.1, seconds_max=0.5))
    async def bill(self, number: int) -> None:
        """Write it down again."""
        await asyncio.sleep(0.005)
        async with self.db.begin() as session:
            session.add(Billed(number=number))


@service
class Orders:
    """Places orders."""

    books: Books
    db: Database = database(tables=Tables.metadata)

    @operation
    async def place(self) -> int:
        """Place one; returns its number."""
        async with self.db.begin() as session:
            placed = Placed()
            session.add(placed)
            await session.flush()
            number = placed.number
            session.publish(OrderPlaced(table=number % KEYS_COUNT, number=number))
        return number


orders = client(Orders)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The edge: any request places an order."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status, body = 200, b""
    try:
        number = await orders.place()
        body = json.dumps({"id": "", "pid": os.getpid(), "number": number}).encode()
    except Exception as problem:
        status, body = 503, repr(problem).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
