"""Taking money: asks the bank, and keeps what it promised.

The bank is a stand-in that answers after a while. Of its well-known test cards one is declined, and
for one it cannot say before it was asked some times.

| the bank | which is | so |
|---|---|---|
| says no: a wrong card, no money | final: `DeclinedError` | nobody asks again |
| says later: the card's own bank is busy | passing: `BankAwayError` | a job asks again |
| cannot be reached, or gives no answer in time | passing: `BankAwayError` | a job asks again |
"""

import asyncio
from collections import Counter
from typing import Literal

from sqlalchemy import insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.shop import seed
from examples.shop.events import OrderCancelled, OrderPlaced
from outgrow import Database, database, on_start, operation, provides, service, subscribe

BANK_ANSWER_SECONDS = 0.02
BANK_ANSWER_SECONDS_MAX = 5.0
DECLINED_CARD = "4000000000000002"
BUSY_CARD = "4000000000000119"
BUSY_COUNT = 2
REFERENCES_MAX = 10_000

Answer = Literal["yes", "no", "later"]


class DeclinedError(Exception):
    """The bank does not pay for this card, and would not tomorrow."""


class BankAwayError(Exception):
    """The bank cannot say now whether it pays; asked again, it may."""


def token_of(card: str) -> str:
    """What the bank calls a card, ending in the same four digits: this may be kept, a number not.

    A real shop never sees the number: the bank's own form in the browser returns the token.
    """
    return f"card-{card[-4:]}"


class Bank:
    """The bank. It knows each payment by the shop's reference, as banks do.

    Asked twice for one reference it promises the money once. A promise that nobody claims lapses
    after some days.
    """

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    async def authorize(self, reference: str, card: str, cents: int) -> Answer:
        """Promise the money.

        Args:
            reference: The shop's own.
            card: Its token.
            cents: How much.

        Raises:
            OSError: The bank cannot be reached.
        """
        await asyncio.sleep(BANK_ANSWER_SECONDS)
        if card == token_of(BUSY_CARD) and self._is_busy(reference):
            return "later"
        return "yes" if card != token_of(DECLINED_CARD) and cents > 0 else "no"

    async def void(self, reference: str) -> None:
        """Take a promise back, if there was one."""
        await asyncio.sleep(BANK_ANSWER_SECONDS)

    def _is_busy(self, reference: str) -> bool:
        if len(self._asked) >= REFERENCES_MAX:
            self._asked.clear()
        self._asked[reference] += 1
        return self._asked[reference] <= BUSY_COUNT


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

    Each payment has the reference of its order, so that the bank can be asked again and promises
    once. What the orders announce is handled once, in the one transaction of each subscription.
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
        """Have the bank promise the money.

        Args:
            reference: Of the order.
            card: Its token.
            cents: How much.

        Raises:
            DeclinedError: It does not, for good.
            BankAwayError: It cannot say now.
        """
        try:
            async with asyncio.timeout(BANK_ANSWER_SECONDS_MAX):
                answer = await self.bank.authorize(reference, card, cents)
        except OSError as error:  # a TimeoutError is one, too
            raise BankAwayError(f"no answer: {error}") from error
        if answer == "later":
            raise BankAwayError("busy")
        if answer == "no":
            raise DeclinedError(card[-4:])

    @subscribe
    async def on_order_placed(self, event: OrderPlaced) -> None:
        """Keep the bank's promise."""
        async with self.db.begin() as session:
            if await session.get(PaymentRow, event.reference) is None:
                session.add(
                    PaymentRow(
                        reference=event.reference,
                        order_id=event.order_id,
                        cents=event.cents,
                        card_ending=event.card_ending,
                    )
                )

    @subscribe
    async def on_order_cancelled(self, event: OrderCancelled) -> None:
        """Give the promise back, whether it was kept here or not."""
        # It may happen twice, so it stands before the block.
        await self.bank.void(event.reference)
        async with self.db.begin() as session:
            payment = await session.get(PaymentRow, event.reference)
            if payment is not None:
                payment.cents = 0
            elif event.order_id is not None:
                # Two kinds of events have no order: `OrderPlaced` may come later, and finds this.
                session.add(
                    PaymentRow(
                        reference=event.reference, order_id=event.order_id, cents=0, card_ending=""
                    )
                )

    @operation(idempotent=True)
    async def paid_cents(self, order_id: int) -> int:
        """What was paid for an order; 0 if nothing was."""
        async with self.db.read() as session:
            paid = select(PaymentRow.cents).where(PaymentRow.order_id == order_id)
            return await session.scalar(paid) or 0
