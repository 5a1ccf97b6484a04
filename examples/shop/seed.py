"""What a new shop is filled with: the assortment, the store room, and two months of orders.

All is computed from a fixed seed, so services that know nothing of one another agree: payments
has what orders were for, with the same numbers. Only the clock makes a difference.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from examples.shop.assortment import SEED, Article, assortment, companions

ORDERS_COUNT = 2_500
CUSTOMERS_COUNT = 600
HISTORY = timedelta(days=60)
COMPANIONS_COUNT = 4

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PastOrder:
    """An order from before the shop was opened.

    Attributes:
        age_ratio: When it was placed: 0 now, 1 at the beginning of the history.
        lines: Products, and how many pieces.
        customer: A number below `CUSTOMERS_COUNT`.
    """

    id: int
    age_ratio: float
    lines: tuple[tuple[Article, int], ...]
    customer: int
    card_ending: str

    @property
    def reference(self) -> str:
        """What stock and payments know it by."""
        return f"seed-{self.id}"

    @property
    def cents(self) -> int:
        """What it cost."""
        return sum(article.price_cents * quantity for article, quantity in self.lines)


def popular(dice: random.Random, count: int) -> int:
    """A place below `count`; low places come more often, as in any shop."""
    return int(count * dice.random() ** 2.2)


def products() -> list[Row]:
    """Rows of the catalogue."""
    return [dict(vars(article)) for article in assortment()]


def levels() -> list[Row]:
    """Rows of the stock."""
    dice = random.Random(SEED + 1)
    return [
        # One product in fifty is sold off and not ordered again.
        {"sku": article.sku, "pieces": dice.randint(60, 400), "standing_order": number % 50 != 49}
        for number, article in enumerate(assortment())
    ]


def orders(now: datetime) -> tuple[list[Row], list[Row]]:
    """Rows of the orders, and of their lines.

    A new database numbers the orders from 1 on, as the lines and the payments expect.
    """
    return (
        [
            {
                "reference": order.reference,
                "customer": f"seed-{order.customer}",
                "email": f"customer{order.customer}@example.org",
                "placed_at": now - order.age_ratio * HISTORY,
                "total_cents": order.cents,
            }
            for order in past_orders()
        ],
        [
            {
                "order_id": order.id,
                "sku": article.sku,
                "name": article.name,
                "category": article.category,
                "quantity": quantity,
                "unit_price_cents": article.price_cents,
            }
            for order in past_orders()
            for article, quantity in order.lines
        ],
    )


def payments() -> list[Row]:
    """Rows of the payments."""
    return [
        {
            "reference": order.reference,
            "order_id": order.id,
            "cents": order.cents,
            "card_ending": order.card_ending,
        }
        for order in past_orders()
    ]


@cache
def past_orders() -> tuple[PastOrder, ...]:
    """All orders of the history, the oldest first."""
    dice = random.Random(SEED + 2)
    ages = sorted((dice.random() for _ in range(ORDERS_COUNT)), reverse=True)
    return tuple(_past_order(order_id, age, dice) for order_id, age in enumerate(ages, start=1))


def _past_order(order_id: int, age_ratio: float, dice: random.Random) -> PastOrder:
    lines = tuple((assortment()[number], dice.choice((1, 1, 1, 2, 3))) for number in _basket(dice))
    return PastOrder(
        id=order_id,
        age_ratio=age_ratio,
        lines=lines,
        customer=dice.randrange(CUSTOMERS_COUNT),
        card_ending=f"{dice.randrange(10_000):04d}",
    )


def _basket(dice: random.Random) -> set[int]:
    first = popular(dice, len(assortment()))
    basket = {first}
    for _ in range(dice.randrange(5)):
        liked = dice.choice(companions(first, COMPANIONS_COUNT))
        basket.add(liked if dice.random() < 0.7 else popular(dice, len(assortment())))
    return basket
