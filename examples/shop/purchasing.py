"""Buying again what runs low. The supplier is a stand-in: what was ordered comes after a while."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop.events import StockLow
from examples.shop.stock import Pieces, Stock
from outgrow import Clock, Database, database, enqueue, job, operation, service, subscribe

DELIVERY_PIECES = 240
DELIVERY_SECONDS = 2.0
SHOWN_MAX = 50


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """What was ordered from the supplier, and when it came; both are UTC, without their zone."""

    id: int
    sku: str
    pieces: int
    ordered_at: datetime
    delivered_at: datetime | None


class Table(DeclarativeBase):
    """Parent of the purchases' tables."""


class PurchaseRow(Table):
    """See `Purchase`."""

    __tablename__ = "purchases"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    pieces: Mapped[int]
    ordered_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


@service
class Purchasing:
    """Whoever orders from suppliers."""

    stock: Stock
    clock: Clock
    db: Database = database(tables=Table.metadata)

    @subscribe
    async def on_stock_low(self, event: StockLow) -> None:
        """Order more of it.

        The event comes once for each time that a product runs low, and is handled once in this
        transaction, in which the delivery stands as well: nothing is bought twice, and nothing that
        was bought is forgotten.
        """
        async with self.db.begin() as session:
            purchase = PurchaseRow(
                sku=event.sku, pieces=DELIVERY_PIECES, ordered_at=self._now(), delivered_at=None
            )
            session.add(purchase)
            await session.flush()
            await enqueue(self.deliver.options(delay_seconds=DELIVERY_SECONDS), purchase.id)

    @job(timeout=30)
    async def deliver(self, purchase_id: int) -> None:
        """Bring what was ordered to the store room."""
        async with self.db.read() as session:
            purchase = await session.get_one(PurchaseRow, purchase_id)
        # It may happen twice, so it stands before the block: the stock counts a reference once.
        brought = Pieces(purchase.sku, purchase.pieces)
        await self.stock.deliver(f"purchase-{purchase_id}", brought)
        async with self.db.begin() as session:
            delivered = await session.get_one(PurchaseRow, purchase_id)
            delivered.delivered_at = self._now()

    @operation(idempotent=True)
    async def purchases(self) -> tuple[Purchase, ...]:
        """What was ordered last, the newest first."""
        newest = select(PurchaseRow).order_by(PurchaseRow.id.desc()).limit(SHOWN_MAX)
        async with self.db.read() as session:
            rows = await session.scalars(newest)
            return tuple(
                Purchase(
                    id=row.id,
                    sku=row.sku,
                    pieces=row.pieces,
                    ordered_at=row.ordered_at,
                    delivered_at=row.delivered_at,
                )
                for row in rows
            )

    def _now(self) -> datetime:
        return self.clock.now().replace(tzinfo=None)
