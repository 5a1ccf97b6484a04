"""The tables of the shop, one block for each noun."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Table(DeclarativeBase):
    """Parent of every table."""


class Product(Table):
    """Something the shop sells; belongs to the catalogue."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    category: Mapped[str] = mapped_column(index=True)
    description: Mapped[str]
    price_cents: Mapped[int]
    hue: Mapped[int]
    place: Mapped[int] = mapped_column(index=True)


class StockLevel(Table):
    """How many pieces of a product lie in the store room; belongs to stock.

    A product with a standing order is delivered again when it runs low.
    """

    __tablename__ = "stock_levels"

    sku: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]
    standing_order: Mapped[bool]


class Order(Table):
    """What one customer bought at once; belongs to orders.

    `customer` is the random token of the browser's cookie: it stands for the order history.
    """

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(index=True)
    email: Mapped[str]
    placed_at: Mapped[datetime] = mapped_column(index=True)
    total_cents: Mapped[int]
    lines: Mapped[list["OrderLine"]] = relationship(lazy="selectin", order_by="OrderLine.id")


class OrderLine(Table):
    """One product of an order; the price is the one of that day."""

    __tablename__ = "order_lines"
    __table_args__ = (Index("order_lines_by_sku", "sku", "order_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    sku: Mapped[str]
    name: Mapped[str]
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]


class Payment(Table):
    """Money that the bank promised for an order; belongs to payments."""

    __tablename__ = "payments"

    authorization: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    cents: Mapped[int]
    card_ending: Mapped[str]


class Letter(Table):
    """A mail that went out; belongs to mail."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(index=True)
    to: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    sent_at: Mapped[datetime]
