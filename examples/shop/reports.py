"""The owner's view: what was sold, asked of the database question by question."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.assortment import CATEGORIES
from examples.shop.clock import now
from examples.shop.tables import Order, OrderLine, Product

BEST_COUNT = 3


@dataclass(frozen=True, kw_only=True)
class Day:
    """What one day brought."""

    day: str
    orders_count: int
    cents: int


@dataclass(frozen=True, kw_only=True)
class Best:
    """A product that sold well, and how many pieces."""

    sku: str
    name: str
    pieces: int


@dataclass(frozen=True, kw_only=True)
class Category:
    """One category's sales and its best products."""

    category: str
    pieces: int
    cents: int
    best: list[Best]


@dataclass(frozen=True, kw_only=True)
class Sales:
    """The sales of the last days."""

    days: list[Day]
    categories: list[Category]
    orders_count: int
    cents: int


async def sales(session: AsyncSession, days_count: int) -> Sales:
    """Sales of the last `days_count` days: one query for the days, two for each category."""
    since = now() - timedelta(days=days_count)
    day = func.date(Order.placed_at)
    rows = await session.execute(
        select(day, func.count(), func.sum(Order.total_cents))
        .where(Order.placed_at >= since)
        .group_by(day)
        .order_by(day)
    )
    days = [Day(day=name, orders_count=count, cents=cents) for name, count, cents in rows]
    categories = [await _category(session, name, since) for name in CATEGORIES]
    return Sales(
        days=days,
        categories=categories,
        orders_count=sum(day.orders_count for day in days),
        cents=sum(day.cents for day in days),
    )


async def _category(session: AsyncSession, category: str, since: object) -> Category:
    pieces = func.coalesce(func.sum(OrderLine.quantity), 0)
    cents = func.coalesce(func.sum(OrderLine.quantity * OrderLine.unit_price_cents), 0)
    sold = (
        select(pieces, cents)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Product, Product.sku == OrderLine.sku)
        .where(Product.category == category, Order.placed_at >= since)
    )
    total_pieces, total_cents = (await session.execute(sold)).one()
    best = await session.execute(
        sold.with_only_columns(OrderLine.sku, OrderLine.name, pieces)
        .group_by(OrderLine.sku)
        .order_by(pieces.desc(), OrderLine.sku)
        .limit(BEST_COUNT)
    )
    return Category(
        category=category,
        pieces=total_pieces,
        cents=total_cents,
        best=[Best(sku=sku, name=name, pieces=count) for sku, name, count in best],
    )
