"""Taking money: asks the bank, and keeps what it promised.

The bank is a stand-in that answers after a while and declines one well-known test card.
"""

import asyncio

from sqlalchemy import insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop import seed
from outgrow import Database, database, on_start, operation, provides, service

BANK_ANSWER_SECONDS = 0.02
DECLINED_CARD = "4000000000000002"


class DeclinedError(Exception):
    """The bank does not pay for this card."""


class Bank:
    """The bank. It knows each payment by the shop's reference, as banks do.

    Asked twice for one reference it promises the money once. A promise that nobody claims lapses
    after some days.
    """

    async def authorize(self, reference: str, card: str, cents: int) -> bool:
        """Promise the money; False if the card is declined."""
        await asyncio.sleep(BANK_ANSWER_SECONDS)
        return card != DECLINED_CARD and cents > 0

    async def void(self, reference: str) -> None:
        """Take a promise back, if there was one."""
        await asyncio.sleep(BANK_ANSWER_SECONDS)


@provides
def open_bank() -> Bank:
    """The bank's stand-in."""
    return Bank()


class Table(DeclarativeBase):
    """Parent of the payments' tables."""


class PaymentRow(Table):
    """Money that the bank promised for an order; none where it was given back."""

    __tablename__ = "payments"

    reference: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(index=True)
    cents: Mapped[int]
    card_ending: Mapped[str]


@service
class Payments:
    """The till.

    Its callers name each payment by a reference of their own, so that all of this can be repeated
    and is done once.
    """

    bank: Bank
    db: Database = database(tables=Table.metadata)

    @on_start
    async def fill(self) -> None:
        """Put the payments of the seed's orders into a new database."""
        async with self.db.begin() as session:
            if await session.scalar(select(PaymentRow.reference).limit(1)) is None:
                await session.execute(insert(PaymentRow), seed.payments())

    @operation(idempotent=True)
    async def authorize(self, reference: str, card: str, cents: int) -> None:
        """Have the bank promise the money; `DeclinedError` if it does not."""
        if not await self.bank.authorize(reference, card, cents):
            raise DeclinedError(card[-4:])

    @operation(idempotent=True)
    async def capture(self, reference: str, *, order_id: int, cents: int, card_ending: str) -> None:
        """Keep the bank's promise for an order."""
        async with self.db.begin() as session:
            if await session.get(PaymentRow, reference) is None:
                session.add(
                    PaymentRow(
                        reference=reference, order_id=order_id, cents=cents, card_ending=card_ending
                    )
                )

    @operation(idempotent=True)
    async def void(self, reference: str) -> None:
        """Give the promise back, whether it was kept here or not."""
        async with self.db.begin() as session:
            if (payment := await session.get(PaymentRow, reference)) is not None:
                # The row stays: a late repeat of `capture` finds it, and keeps nothing.
                payment.cents = 0
        await self.bank.void(reference)

    @operation(idempotent=True)
    async def paid_cents(self, order_id: int) -> int:
        """What was paid for an order; 0 if nothing was."""
        async with self.db.read() as session:
            paid = select(PaymentRow.cents).where(PaymentRow.order_id == order_id)
            return await session.scalar(paid) or 0
