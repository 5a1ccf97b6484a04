"""Placing orders, finding them again, and telling what was sold."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import insert, select

from examples.shop import seed
from examples.shop.catalogue import Catalogue, Product, UnknownProductError
from examples.shop.events import OrderCancelled, OrderPlaced
from examples.shop.mail import Mail
from examples.shop.order import Buyer, Line, Order
from examples.shop.order_tables import LineRow, OrderRow, Table
from examples.shop.payments import BankAwayError, DeclinedError, Payments
from examples.shop.sales import Sales, sales_between
from examples.shop.stock import Pieces, Stock
from outgrow import (
    Backoff,
    Clock,
    Database,
    database,
    enqueue,
    job,
    on_start,
    operation,
    publish,
    see_through,
    service,
)

HISTORY_MAX = 50
# How long the bank is asked again, and how often; the attempts outlast the patience.
PATIENCE = timedelta(hours=12)
PAUSES = Backoff(first_seconds=5, seconds_max=900)
ATTEMPTS_MAX = 200
EMAIL = r"^[^@\s]+@[^@\s]+$"


class EmptyBasketError(ValueError):
    """Nothing was asked for."""


class UnknownOrderError(LookupError):
    """No order has this number."""


@service
class Orders:
    """What was bought."""

    catalogue: Catalogue
    stock: Stock
    payments: Payments
    mail: Mail
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
        """Have the money promised, take the pieces out of stock and store the order.

        Three databases and a bank have a part in it, and no transaction spans them. What counts is
        the one that stores the order: what is left to do is written with it, as an event and a job,
        and is done after the answer, whoever crashes. A bank that cannot say now is asked again by
        `collect`, and the order waits for it.

        When a step fails, `OrderCancelled` has all give back what they hold, which waits for those
        who are away. Who crashes between the first step and the last undoes nothing: a promise at
        the bank, which lapses by itself, and reserved pieces that nobody will fetch.

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
        lines = [_line(products[each.sku], each.quantity) for each in basket]
        order = OrderRow(
            reference=secrets.token_hex(8),
            state="waiting",
            customer=buyer.customer,
            email=buyer.email,
            placed_at=self._now(),
            total_cents=sum(line.quantity * line.unit_price_cents for line in lines),
            lines=lines,
        )
        try:
            is_promised = await self._is_promised(order, buyer.card)
            await self.stock.reserve(order.reference, basket)
            return await self._store(order, buyer.card, is_promised=is_promised)
        except DeclinedError:
            raise  # it was the first step
        except BaseException:
            # A step that failed may have been done all the same, so all are undone.
            await see_through(self._cancel(order.reference))
            raise

    @job(attempts_max=ATTEMPTS_MAX, backoff=PAUSES, timeout=30)
    async def collect(self, order_id: int, card: str) -> None:
        """Ask the bank again for the money of an order that waits for it.

        While the bank cannot say, this fails and is tried again. A yes, a no, or the end of the
        patience decides what comes of the order, in one transaction that also announces it.
        """
        async with self.db.read() as session:
            order = await session.get_one(OrderRow, order_id)
        if order.state != "waiting":
            return
        try:
            await self.payments.authorize(order.reference, card, order.total_cents)
        except BankAwayError:
            if self._now() < order.placed_at + PATIENCE:
                raise
            await self._cancel(order.reference)
        except DeclinedError:
            await self._cancel(order.reference)
        else:
            async with self.db.begin() as session:
                order = await session.get_one(OrderRow, order_id, with_for_update=True)
                if order.state == "waiting":
                    await self._confirm(order, card)

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
        async with self.db.read() as session:
            return await sales_between(session, self._now() - timedelta(days=days_count))

    @operation(idempotent=True)
    async def sales_between(self, since: datetime, until: datetime) -> Sales:
        """What was sold from one moment to another, both UTC without their zone."""
        async with self.db.read() as session:
            return await sales_between(session, since, until)

    def _now(self) -> datetime:
        return self.clock.now().replace(tzinfo=None)

    async def _priced(self, basket: tuple[Pieces, ...]) -> dict[str, Product]:
        found = await self.catalogue.find_all(tuple(each.sku for each in basket))
        products = {product.sku: product for product in found}
        for each in basket:
            if each.sku not in products:
                raise UnknownProductError(each.sku)
        return products

    async def _is_promised(self, order: OrderRow, card: str) -> bool:
        """Whether the bank has promised the money; False if it cannot say now."""
        try:
            await self.payments.authorize(order.reference, card, order.total_cents)
        except BankAwayError:
            return False
        return True

    async def _store(self, order: OrderRow, card: str, *, is_promised: bool) -> Order:
        async with self.db.begin() as session:
            session.add(order)
            await session.flush()
            if is_promised:
                await self._confirm(order, card)
            else:
                later = self.collect.options(delay_seconds=PAUSES.first_seconds)
                await enqueue(later, order.id, card)
        return _order(order)

    async def _confirm(self, order: OrderRow, card: str) -> None:
        """In the transaction in which this is called, the order becomes one that counts."""
        order.state = "paid"
        await publish(
            OrderPlaced(
                reference=order.reference,
                order_id=order.id,
                cents=order.total_cents,
                card_ending=card[-4:],
            )
        )
        await enqueue(self.mail.send_receipt, _order(order))

    async def _cancel(self, reference: str) -> None:
        """Have all give back what they hold for an order, which may not have been stored."""
        async with self.db.begin() as session:
            named = select(OrderRow).where(OrderRow.reference == reference).with_for_update()
            order = await session.scalar(named)
            if order is None:
                session.publish(OrderCancelled(reference=reference, order_id=None))
            elif order.state != "cancelled":
                order.state = "cancelled"
                session.publish(OrderCancelled(reference=reference, order_id=order.id))
                await enqueue(self.mail.send_cancellation, _order(order))


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
        state=row.state,
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
