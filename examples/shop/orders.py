"""Placing orders, and finding them again."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop import catalogue, payments, stock
from examples.shop.clock import now
from examples.shop.database import Database
from examples.shop.tables import Order, OrderLine, Product

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


async def place(database: Database, basket: dict[str, int], buyer: Buyer) -> Order:
    """Pay, take the pieces out of stock and store the order.

    Args:
        basket: Pieces wanted, by SKU; at least one product.

    Raises:
        EmptyBasketError: `basket` is empty.
        UnknownProductError: A SKU is not sold here.
        DeclinedError: The bank refused.
        SoldOutError: A product has too few pieces; the payment is given back.
    """
    if not basket:
        raise EmptyBasketError
    products = await _priced(database, basket)
    cents = sum(products[sku].price_cents * quantity for sku, quantity in basket.items())
    authorization = await payments.authorize(buyer.card, cents)
    try:
        async with database.writing() as session:
            for sku, quantity in basket.items():
                await stock.reserve(session, sku, quantity)
            order = Order(
                customer=buyer.customer,
                email=buyer.email,
                placed_at=now(),
                total_cents=cents,
                lines=[_line(products[sku], quantity) for sku, quantity in basket.items()],
            )
            session.add(order)
            await session.flush()
            payments.record(session, authorization, order_id=order.id, cents=cents, card=buyer.card)
    except stock.SoldOutError:
        await payments.void(authorization)
        raise
    return order


async def find(session: AsyncSession, order_id: int) -> Order:
    """The order with its lines; `UnknownOrderError` if there is none."""
    order = await session.get(Order, order_id)
    if order is None:
        raise UnknownOrderError(order_id)
    return order


async def history(session: AsyncSession, customer: str) -> list[Order]:
    """The customer's last orders, newest first."""
    rows = await session.scalars(
        select(Order).where(Order.customer == customer).order_by(Order.id.desc()).limit(HISTORY_MAX)
    )
    return list(rows)


async def recent_baskets(session: AsyncSession, count: int) -> list[tuple[int, str]]:
    """Order number and SKU of each line of the last `count` orders."""
    newest = select(Order.id).order_by(Order.id.desc()).limit(count)
    rows = await session.execute(
        select(OrderLine.order_id, OrderLine.sku).where(OrderLine.order_id.in_(newest))
    )
    return [(order_id, sku) for order_id, sku in rows]


async def _priced(database: Database, basket: dict[str, int]) -> dict[str, Product]:
    async with database.reading() as session:
        products = await catalogue.find_all(session, basket)
    for sku in basket:
        if sku not in products:
            raise catalogue.UnknownProductError(sku)
    return products


def _line(product: Product, quantity: int) -> OrderLine:
    return OrderLine(
        sku=product.sku,
        name=product.name,
        quantity=quantity,
        unit_price_cents=product.price_cents,
    )
