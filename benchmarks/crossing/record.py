"""What crosses: a record of ten fields, 200 bytes in MessagePack, and bytes."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK = bytes(range(256)) * 256


@dataclass(frozen=True)
class Record:
    """A line of an order."""

    id: int
    sku: str
    name: str
    quantity: int
    price_cents: int
    currency: str
    note: str
    tags: tuple[str, ...]
    weight_grams: float
    is_gift: bool


RECORD = Record(
    id=1_000_001,
    sku="TEA-0001",
    name="Darjeeling First Flush",
    quantity=3,
    price_cents=1299,
    currency="EUR",
    note="Please leave it at the door, and ring twice before 10 a.m.",
    tags=("tea", "black"),
    weight_grams=250.5,
    is_gift=True,
)
