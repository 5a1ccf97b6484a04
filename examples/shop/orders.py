"""Placing orders, finding them again, and telling what was sold."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select

from examples.shop import seed
from examples.shop.catalogue import Catalogue, Product, UnknownProductError
from examples.shop.order_tables import LineRow, OrderRow, Table
from examples.shop.payments import Payments
from examples.shop.reports import Sales, sales_since
from examples.shop.stock import Pieces, Stock
from outgrow import Clock, Database, database, on_start, operation, see_through, service

HISTORY_MAX = 50
EMAIL = r"^[^@\s]+@[^@\s]+$"


class EmptyBasketError(ValueError):
    """Nothing was asked for."""


class UnknownOrderError(LookupError):
    """No order has this number."""


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who orders: the browser's token, where the receipt goes, and the card that pays."""

    customer: str
    email: str
    card: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A product of an order, as it was called and what it cost on that day."""

    sku: str
    name: str
    quantity: int
    unit_price_cents: int


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one customer bought at once; `placed_at` is UTC, without its zone."""

    id: int
    customer: str
    email: str
    placed_at: datetime
    total_cents: int
    lines: tuple[Line, ...]


@service
class Orders:
    """What was bought."""

    catalogue: Catalogue
    stock: Stock
    payments: Payments
    clock: Clock
    db: Database = database(tables=Table.metadata)

    @on_start
    async def fill(self) -> None:
        """Put two months of orders into a new database."""
        async with self.db.begin() as session:
            if await session.scalar(select(OrderRow.id).limit(1)) is None:
                orders, lines = seed.orders(self._now())
                await session.execute(insert(OrderRow), orders)
                await session.execute(insert(LineRow), lines)

    @operation
    async def place(self, basket: tuple[Pieces, ...], buyer: Buyer) -> Order:
        """Pay, take the pieces out of stock and store the order.

        Three databases and a bank have a part in it, and no transaction spans them. So each step
        can be undone by the order's reference, and is when a later one fails. Who crashes between
        two steps undoes nothing: a promise at the bank, which lapses by itself; reserved pieces
        that nobody will fetch; or a stored order whose payment was not kept.

        Args:
            basket: Pieces wanted; at least one product.
            buyer: Who pays, and where the receipt goes.

        Raises:
            EmptyBasketError: `basket` is empty.
            UnknownProductError: A SKU is not sold here.
            DeclinedError: The bank refused.
            SoldOutError: A product has too few pieces.
        """
        if not basket:
            raise EmptyBasketError
        products = await self._priced(basket)
        cents = sum(products[each.sku].price_cents * each.quantity for each in basket)
        reference = secrets.token_hex(8)
        try:
            await self.payments.authorize(reference, buyer.card, cents)
            await self.stock.reserve(reference, basket)
            order = await self._store(reference, basket, buyer, products)
            await self.payments.capture(
                reference, order_id=order.id, cents=cents, card_ending=buyer.card[-4:]
            )
        except BaseException:
            # A step that failed may have been done all the same, so all are undone.
            await see_through(self._undo(reference))
            raise
        return order

    @operation(idempotent=True)
    async def find(self, order_id: int) -> Order:
        """The order with its lines; `UnknownOrderError` if there is none."""
        async with self.db.read() as session:
            row = await session.get(OrderRow, order_id)
        if row is None:
            raise UnknownOrderError(order_id)
        return _order(row)

    @operation(idempotent=True)
    async def history(self, customer: str) -> tuple[Order, ...]:
        """The customer's last orders, newest first."""
        of_customer = select(OrderRow).where(OrderRow.customer == customer)
        async with self.db.read() as session:
            rows = await session.scalars(
                of_customer.order_by(OrderRow.id.desc()).limit(HISTORY_MAX)
            )
            return tuple(_order(row) for row in rows)

    @operation(idempotent=True)
    async def recent_baskets(self, count: int) -> tuple[tuple[int, str], ...]:
        """Order number and SKU of each line of the last `count` orders."""
        newest = select(OrderRow.id).order_by(OrderRow.id.desc()).limit(count)
        lines = select(LineRow.order_id, LineRow.sku).where(LineRow.order_id.in_(newest))
        async with self.db.read() as session:
            rows = await session.execute(lines)
            return tuple((order_id, sku) for order_id, sku in rows)

    @operation(idempotent=True)
    async def sales(self, days_count: int) -> Sales:
        """What was sold in the last `days_count` days."""
        since = self._now() - timedelta(days=days_count)
        async with self.db.read() as session:
            return await sales_since(session, since)

    def _now(self) -> datetime:
        return self.clock.now().replace(tzinfo=None)

    async def _priced(self, basket: tuple[Pieces, ...]) -> dict[str, Product]:
        found = await self.catalogue.find_all(tuple(each.sku for each in basket))
        products = {product.sku: product for product in found}
        for each in basket:
            if each.sku not in products:
                raise UnknownProductError(each.sku)
        return products

    async def _store(
        self,
        reference: str,
        basket: tuple[Pieces, ...],
        buyer: Buyer,
        products: dict[str, Product],
    ) -> Order:
        lines = [_line(products[each.sku], each.quantity) for each in basket]
        row = OrderRow(
            reference=reference,
            customer=buyer.customer,
            email=buyer.email,
            placed_at=self._now(),
            total_cents=sum(line.quantity * line.unit_price_cents for line in lines),
            lines=lines,
        )
        async with self.db.begin() as session:
            session.add(row)
        return _order(row)

    async def _undo(self, reference: str) -> None:
        """Take back what was done for an order; nothing where nothing was."""
        await asyncio.gather(
            self._forget(reference), self.stock.release(reference), self.payments.void(reference)
        )

    async def _forget(self, reference: str) -> None:
        async with self.db.begin() as session:
            row = await session.scalar(select(OrderRow).where(OrderRow.reference == reference))
            if row is not None:
                await session.delete(row)


def _line(product: Product, quantity: int) -> LineRow:
    return LineRow(
        sku=product.sku,
        name=product.name,
        category=product.category,
        quantity=quantity,
        unit_price_cents=product.price_cents,
    )


def _order(row: OrderRow) -> Order:
    return Order(
        id=row.id,
        customer=row.customer,
        email=row.email,
        placed_at=row.placed_at,
        total_cents=row.total_cents,
        lines=tuple(
            Line(
                sku=line.sku,
                name=line.name,
                quantity=line.quantity,
                unit_price_cents=line.unit_price_cents,
            )
            for line in row.lines
        ),
    )
