"""Letters to customers. The post office is a table here: a letter that went out is a row in it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop.order import Order
from outgrow import Backoff, Clock, Database, database, job, operation, service

PAUSES = Backoff(first_seconds=2, seconds_max=600)
CANCELLATION = "We are sorry: nothing comes of this order. You pay nothing for it.\n"


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
    """A letter about an order. `sent_at` is UTC, without its zone."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(index=True)
    to: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    sent_at: Mapped[datetime]


@service
class Mail:
    """The post office.

    Nobody waits for a letter, so letters are jobs: whoever stores an order enqueues one in the same
    transaction, and a post office that is closed for an hour delays letters, not orders.
    """

    clock: Clock
    db: Database = database(tables=Table.metadata)

    @job(attempts_max=20, backoff=PAUSES, timeout=30)
    async def send_receipt(self, order: Order) -> None:
        """Send the customer what was bought and what it cost."""
        await self._send(order, f"Your order {order.id}", _receipt(order))

    @job(attempts_max=20, backoff=PAUSES, timeout=30)
    async def send_cancellation(self, order: Order) -> None:
        """Tell the customer that nothing comes of an order."""
        await self._send(order, f"Your order {order.id} is cancelled", CANCELLATION)

    @operation(idempotent=True)
    async def letters(self, order_id: int) -> tuple[Letter, ...]:
        """What was sent about an order, the oldest first."""
        of_order = select(LetterRow).where(LetterRow.order_id == order_id).order_by(LetterRow.id)
        async with self.db.read() as session:
            rows = await session.scalars(of_order)
            return tuple(
                Letter(to=row.to, subject=row.subject, text=row.text, sent_at=row.sent_at)
                for row in rows
            )

    async def _send(self, order: Order, subject: str, text: str) -> None:
        letter = LetterRow(
            order_id=order.id,
            to=order.email,
            subject=subject,
            text=text,
            sent_at=self.clock.now().replace(tzinfo=None),
        )
        # The one transaction of the job: a repeat finds it handled, and sends nothing.
        async with self.db.begin() as session:
            session.add(letter)


def _receipt(order: Order) -> str:
    lines = "\n".join(
        f"{line.quantity} x {line.name}  {line.quantity * line.unit_price_cents / 100:.2f}"
        for line in order.lines
    )
    return f"Thank you.\n\n{lines}\n\nTotal {order.total_cents / 100:.2f}\n"
