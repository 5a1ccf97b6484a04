"""How many pieces of each product there are, and taking some of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop import seed
from outgrow import Database, database, on_start, operation, service

LOW_PIECES = 40
DELIVERY_PIECES = 240


class SoldOutError(Exception):
    """Fewer pieces are left than were asked for."""


@dataclass(frozen=True)
class Pieces:
    """So many pieces of one product."""

    sku: str
    quantity: int


class Table(DeclarativeBase):
    """Parent of the stock's tables."""


class LevelRow(Table):
    """How many pieces of a product lie in the store room.

    A product with a standing order is delivered again when it runs low.
    """

    __tablename__ = "stock_levels"

    sku: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]
    standing_order: Mapped[bool]


class ReservationRow(Table):
    """Pieces that were taken out; none where they were given back."""

    __tablename__ = "reservations"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(index=True)
    sku: Mapped[str]
    pieces: Mapped[int]


@service
class Stock:
    """The store room.

    Its callers name each reservation by a reference of their own: who has heard no answer can
    reserve or release again, and only the first time counts.
    """

    db: Database = database(tables=Table.metadata)

    @on_start
    async def fill(self) -> None:
        """Put the first pieces into a new database."""
        async with self.db.begin() as session:
            if await session.scalar(select(LevelRow.sku).limit(1)) is None:
                await session.execute(insert(LevelRow), seed.levels())

    @operation(idempotent=True)
    async def pieces_left(self, sku: str) -> int:
        """Pieces in the store room; 0 for a product it never held."""
        async with self.db.read() as session:
            level = await session.get(LevelRow, sku)
        return level.pieces if level else 0

    @operation(idempotent=True)
    async def reserve(self, reference: str, wanted: tuple[Pieces, ...]) -> None:
        """Take all of these pieces out, or none and raise `SoldOutError` with the SKU."""
        async with self.db.begin() as session:
            if await _reserved(session, reference):
                return
            for each in wanted:
                await _take(session, each)
                session.add(ReservationRow(reference=reference, sku=each.sku, pieces=each.quantity))

    @operation(idempotent=True)
    async def release(self, reference: str) -> None:
        """Put back what was reserved under this reference, if anything was."""
        async with self.db.begin() as session:
            for reserved in await _reserved(session, reference):
                level = await session.get_one(LevelRow, reserved.sku, with_for_update=True)
                level.pieces += reserved.pieces
                # The row stays: a late repeat of `reserve` finds it, and takes nothing.
                reserved.pieces = 0


async def _reserved(session: AsyncSession, reference: str) -> Sequence[ReservationRow]:
    rows = await session.scalars(
        select(ReservationRow).where(ReservationRow.reference == reference).with_for_update()
    )
    return rows.all()


async def _take(session: AsyncSession, wanted: Pieces) -> None:
    level = await session.get(LevelRow, wanted.sku, with_for_update=True)
    if level is None or level.pieces < wanted.quantity:
        raise SoldOutError(wanted.sku)
    level.pieces -= wanted.quantity
    if level.standing_order and level.pieces < LOW_PIECES:
        level.pieces += DELIVERY_PIECES
