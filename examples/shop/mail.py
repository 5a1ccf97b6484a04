"""Letters to customers. The post office is a table here: a letter that went out is a row in it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop.orders import Order
from outgrow import Clock, Database, database, operation, service


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail that went out."""

    to: str
    subject: str
    text: str
    sent_at: datetime


class Table(DeclarativeBase):
    """Parent of the mail's tables."""


class LetterRow(Table):
    """A receipt; each order gets one. `sent_at` is UTC, without its zone."""

    __tablename__ = "letters"

    order_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    to: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    sent_at: Mapped[datetime]


@service
class Mail:
    """The post office."""

    clock: Clock
    db: Database = database(tables=Table.metadata)

    @operation(idempotent=True)
    async def send_receipt(self, order: Order) -> None:
        """Send the customer what was bought and what it cost, unless that was sent before."""
        letter = LetterRow(
            order_id=order.id,
            to=order.email,
            subject=f"Your order {order.id}",
            text=_receipt(order),
            sent_at=self.clock.now().replace(tzinfo=None),
        )
        async with self.db.begin() as session:
            if await session.get(LetterRow, order.id) is None:
                session.add(letter)

    @operation(idempotent=True)
    async def receipt(self, order_id: int) -> Letter | None:
        """The letter that was sent for an order; None if none was."""
        async with self.db.read() as session:
            row = await session.get(LetterRow, order_id)
        if row is None:
            return None
        return Letter(to=row.to, subject=row.subject, text=row.text, sent_at=row.sent_at)


def _receipt(order: Order) -> str:
    lines = "\n".join(
        f"{line.quantity} x {line.name}  {line.quantity * line.unit_price_cents / 100:.2f}"
        for line in order.lines
    )
    return f"Thank you.\n\n{lines}\n\nTotal {order.total_cents / 100:.2f}\n"
