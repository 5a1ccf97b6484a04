"""Fills a new database with the assortment and two months of orders.

Several workers may start at once: each that finds no file builds one beside it and links it to
its name, which succeeds for exactly one. So nobody waits, nobody sees half a shop, and a worker
that dies half way leaves nothing that a later start would trust.
"""

import os
import random
import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from examples.shop.assortment import SEED, assortment, companions
from examples.shop.tables import Order, OrderLine, Payment, Product, StockLevel, Table

ORDERS_COUNT = 2_500
CUSTOMERS_COUNT = 600
HISTORY = timedelta(days=60)
COMPANIONS_COUNT = 4

Row = dict[str, Any]


def plant(path: Path) -> None:
    """Make the shop's database at `path`, unless there is one."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shop-seed-", dir=path.parent) as folder:
        seedling = Path(folder) / "shop.db"
        _fill(seedling, datetime.now(UTC))
        try:
            os.link(seedling, path)
        except FileExistsError:
            return  # another worker was faster, with the same content


def popular(dice: random.Random, count: int) -> int:
    """A place below `count`; low places come more often, as in any shop."""
    return int(count * dice.random() ** 2.2)


def _fill(path: Path, now: datetime) -> None:
    engine = create_engine(f"sqlite:///{path}")
    Table.metadata.create_all(engine)
    orders, lines, payments = _orders(now)
    with engine.begin() as connection:
        connection.execute(insert(Product), [vars(article) for article in assortment()])
        connection.execute(insert(StockLevel), _stock())
        connection.execute(insert(Order), orders)
        connection.execute(insert(OrderLine), lines)
        connection.execute(insert(Payment), payments)
    engine.dispose()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")  # kept in the file, for all who open it later
    connection.close()


def _stock() -> list[Row]:
    dice = random.Random(SEED + 1)
    return [
        # One product in fifty is sold off and not ordered again.
        {"sku": article.sku, "pieces": dice.randint(60, 400), "standing_order": number % 50 != 49}
        for number, article in enumerate(assortment())
    ]


def _orders(now: datetime) -> tuple[list[Row], list[Row], list[Row]]:
    dice = random.Random(SEED + 2)
    ages = sorted((dice.random() for _ in range(ORDERS_COUNT)), reverse=True)
    orders: list[Row] = []
    lines: list[Row] = []
    payments: list[Row] = []
    for order_id, age in enumerate(ages, start=1):
        basket = [_line(order_id, number, dice) for number in _basket(dice)]
        cents = sum(line["quantity"] * line["unit_price_cents"] for line in basket)
        customer = dice.randrange(CUSTOMERS_COUNT)
        lines += basket
        orders.append(
            {
                "id": order_id,
                "customer": f"seed-{customer}",
                "email": f"customer{customer}@example.org",
                "placed_at": (now - age * HISTORY).replace(tzinfo=None),
                "total_cents": cents,
            }
        )
        payments.append(
            {
                "authorization": f"seed-{order_id}",
                "order_id": order_id,
                "cents": cents,
                "card_ending": f"{dice.randrange(10_000):04d}",
            }
        )
    return orders, lines, payments


def _basket(dice: random.Random) -> set[int]:
    first = popular(dice, len(assortment()))
    basket = {first}
    for _ in range(dice.randrange(5)):
        liked = dice.choice(companions(first, COMPANIONS_COUNT))
        basket.add(liked if dice.random() < 0.7 else popular(dice, len(assortment())))
    return basket


def _line(order_id: int, number: int, dice: random.Random) -> Row:
    article = assortment()[number]
    return {
        "order_id": order_id,
        "sku": article.sku,
        "name": article.name,
        "quantity": dice.choice((1, 1, 1, 2, 3)),
        "unit_price_cents": article.price_cents,
    }
