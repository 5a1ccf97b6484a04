"""Taking money: asks the bank, and keeps what it promised.

The bank is a stand-in that answers after a while and declines one well-known test card.
"""

import asyncio
import secrets

from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.tables import Payment

BANK_ANSWER_SECONDS = 0.02
DECLINED_CARD = "4000000000000002"


class DeclinedError(Exception):
    """The bank does not pay for this card."""


async def authorize(card: str, cents: int) -> str:
    """Ask the bank for `cents`; returns its authorization, or raises `DeclinedError`."""
    await asyncio.sleep(BANK_ANSWER_SECONDS)
    if card == DECLINED_CARD or cents <= 0:
        raise DeclinedError(card[-4:])
    return f"auth-{secrets.token_hex(8)}"


async def void(_authorization: str) -> None:
    """Tell the bank that the money is not needed after all."""
    await asyncio.sleep(BANK_ANSWER_SECONDS)


def record(
    session: AsyncSession, authorization: str, *, order_id: int, cents: int, card: str
) -> None:
    """Keep the bank's promise beside the order."""
    session.add(
        Payment(authorization=authorization, order_id=order_id, cents=cents, card_ending=card[-4:])
    )
