"""The owner's view: what was sold, asked of the database question by question."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.assortment import CATEGORIES
from examples.shop.order_tables import LineRow, OrderRow

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
    best: tuple[Best, ...]


@dataclass(frozen=True, kw_only=True)
class Sales:
    """The sales of the last days."""

    days: tuple[Day, ...]
    categories: tuple[Category, ...]
    orders_count: int
    cents: int


async def sales_between(
    session: AsyncSession, since: datetime, until: datetime = datetime.max
) -> Sales:
    """What was sold and paid: one query for the days, two for each category."""
    is_meant = and_(
        OrderRow.placed_at >= since, OrderRow.placed_at < until, OrderRow.state == "paid"
    )
    day = func.date(OrderRow.placed_at)
    rows = await session.execute(
        select(day, func.count(), func.sum(OrderRow.total_cents))
        .where(is_meant)
        .group_by(day)
        .order_by(day)
    )
    days = tuple(Day(day=str(name), orders_count=count, cents=cents) for name, count, cents in rows)
    categories = tuple([await _category(session, name, is_meant) for name in CATEGORIES])
    return Sales(
        days=days,
        categories=categories,
        orders_count=sum(day.orders_count for day in days),
        cents=sum(day.cents for day in days),
    )


async def _category(
    session: AsyncSession, category: str, is_meant: ColumnElement[bool]
) -> Category:
    pieces = func.coalesce(func.sum(LineRow.quantity), 0)
    cents = func.coalesce(func.sum(LineRow.quantity * LineRow.unit_price_cents), 0)
    sold = (
        select(pieces, cents)
        .join(OrderRow, OrderRow.id == LineRow.order_id)
        .where(LineRow.category == category, is_meant)
    )
    total_pieces, total_cents = (await session.execute(sold)).one()
    best = await session.execute(
        sold.with_only_columns(LineRow.sku, LineRow.name, pieces)
        .group_by(LineRow.sku, LineRow.name)
        .order_by(pieces.desc(), LineRow.sku)
        .limit(BEST_COUNT)
    )
    return Category(
        category=category,
        pieces=total_pieces,
        cents=total_cents,
        best=tuple(Best(sku=sku, name=name, pieces=count) for sku, name, count in best),
    )
