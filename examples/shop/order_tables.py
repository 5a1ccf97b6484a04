"""The tables of the orders."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from examples.shop.order import State


class Table(DeclarativeBase):
    """Parent of the orders' tables."""


class OrderRow(Table):
    """What one customer bought at once.

    `customer` is the random token of the browser's cookie: it stands for the order history.
    `reference` is the name that stock and payments know the order by. `placed_at` is UTC, without
    its zone, as SQLite has none. `state`: see `Order`.
    """

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    state: Mapped[State] = mapped_column(String, default="paid")
    customer: Mapped[str] = mapped_column(index=True)
    email: Mapped[str]
    placed_at: Mapped[datetime] = mapped_column(index=True)
    total_cents: Mapped[int]
    lines: Mapped[list["LineRow"]] = relationship(
        lazy="selectin", order_by="LineRow.id", cascade="all, delete-orphan"
    )


class LineRow(Table):
    """One product of an order: name, category and price are those of that day.

    So what was sold can be told without the catalogue, which is another service's.
    """

    __tablename__ = "order_lines"
    __table_args__ = (Index("order_lines_by_sku", "sku", "order_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    sku: Mapped[str]
    name: Mapped[str]
    category: Mapped[str] = mapped_column(index=True)
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
