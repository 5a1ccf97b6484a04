"""What the suite keeps: shelves, and the items that stand on them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy import ForeignKey, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outgrow.store import Database

PATIENCE_SECONDS = 10.0


class Tables(DeclarativeBase):
    pass


class Shelf(Tables):
    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Item(Tables):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id", ondelete="CASCADE"))


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def shelves_at(url: str, **options: Any) -> Database:
    """The database with the tables above, not yet started."""
    return Database(url, tables=Tables.metadata, **options)


async def ids_in(db: Database, table: type[Tables] = Shelf) -> list[int]:
    """The ids of all rows."""
    async with db.read() as session:
        rows = await session.execute(text(f"SELECT id FROM {table.__tablename__} ORDER BY id"))
        return [row.id for row in rows]


async def count_one(db: Database) -> None:
    """Read the count of shelf 1, let others run, and write one more."""
    async with db.begin() as session:
        # On PostgreSQL others write meanwhile, unless one asks for the row; SQLite ignores it.
        shelf = await session.scalar(select(Shelf).where(Shelf.id == 1).with_for_update())
        assert shelf is not None
        before = shelf.count
        await asyncio.sleep(0)
        shelf.count = before + 1


async def counted(db: Database) -> int:
    """The count of shelf 1."""
    async with db.read() as session:
        return (await session.execute(text("SELECT count FROM shelf WHERE id = 1"))).scalar_one()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, within reason."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


async def hold(db: Database, held: asyncio.Event, free: asyncio.Event) -> None:
    """Be in a `begin()` block from setting the one event until the other is set."""
    async with db.begin() as session:
        await session.execute(text("SELECT 1"))
        held.set()
        await free.wait()


Write = Callable[[AsyncSession], Coroutine[Any, Any, object]]
