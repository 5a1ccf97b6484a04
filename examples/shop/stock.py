"""How many pieces of each product there are, taking some of them, and taking more in."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop import seed
from examples.shop.events import OrderCancelled, StockLow
from outgrow import Database, database, on_start, operation, service, subscribe

LOW_PIECES = 80


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

    A product with a standing order is delivered again when it runs low; `is_awaited` from the
    moment in which that was announced until more have come.
    """

    __tablename__ = "stock_levels"

    sku: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]
    standing_order: Mapped[bool]
    is_awaited: Mapped[bool] = mapped_column(default=False)


class ReservationRow(Table):
    """Pieces that were taken out; none where they were given back."""

    __tablename__ = "reservations"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(index=True)
    sku: Mapped[str]
    pieces: Mapped[int]


class DeliveryRow(Table):
    """Pieces that a supplier has brought."""

    __tablename__ = "deliveries"

    reference: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str]
    pieces: Mapped[int]


@service
class Stock:
    """The store room.

    Its callers name what they reserve and deliver by references of their own: who has heard no
    answer can do it again, and only the first time counts.
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
        """Take all of these pieces out, or none and raise `SoldOutError` with the SKU.

        What runs low is announced, if and only if the pieces are taken.
        """
        async with self.db.begin() as session:
            if await _reserved(session, reference):
                return
            for each in wanted:
                level = await _take(session, each)
                session.add(ReservationRow(reference=reference, sku=each.sku, pieces=each.quantity))
                if level.standing_order and level.pieces < LOW_PIECES and not level.is_awaited:
                    level.is_awaited = True
                    session.publish(StockLow(sku=each.sku, pieces=level.pieces))

    @operation(idempotent=True)
    async def deliver(self, reference: str, brought: Pieces) -> None:
        """Take a supplier's pieces in."""
        async with self.db.begin() as session:
            if await session.get(DeliveryRow, reference) is not None:
                return
            session.add(DeliveryRow(reference=reference, sku=brought.sku, pieces=brought.quantity))
            level = await session.get_one(LevelRow, brought.sku, with_for_update=True)
            level.pieces += brought.quantity
            level.is_awaited = False

    @subscribe
    async def on_order_cancelled(self, event: OrderCancelled) -> None:
        """Put back what was reserved for it, if anything was."""
        async with self.db.begin() as session:
            for reserved in await _reserved(session, event.reference):
                level = await session.get_one(LevelRow, reserved.sku, with_for_update=True)
                level.pieces += reserved.pieces
                # The row stays: a late repeat of `reserve` finds it, and takes nothing.
                reserved.pieces = 0


async def _reserved(session: AsyncSession, reference: str) -> Sequence[ReservationRow]:
    rows = await session.scalars(
        select(ReservationRow).where(ReservationRow.reference == reference).with_for_update()
    )
    return rows.all()


async def _take(session: AsyncSession, wanted: Pieces) -> LevelRow:
    level = await session.get(LevelRow, wanted.sku, with_for_update=True)
    if level is None or level.pieces < wanted.quantity:
        raise SoldOutError(wanted.sku)
    level.pieces -= wanted.quantity
    return level
