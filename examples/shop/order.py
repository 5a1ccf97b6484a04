"""An order, as the shop's services tell one another of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["waiting", "paid", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who orders: the browser's token, where letters go, and the bank's token for the card."""

    customer: str
    email: str
    card: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A product of an order, as it was called and what it cost on that day."""

    sku: str
    name: str
    quantity: int
    unit_price_cents: int


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one customer bought at once; `placed_at` is UTC, without its zone.

    It is `waiting` until the bank has promised the money, and then `paid`, or in the end
    `cancelled`.
    """

    id: int
    state: State
    customer: str
    email: str
    placed_at: datetime
    total_cents: int
    lines: tuple[Line, ...]
