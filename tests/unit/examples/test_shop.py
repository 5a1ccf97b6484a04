"""The shop's parts that need no server: assortment, seed, basket, recommendations."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from examples.shop import basket, seed
from examples.shop.assortment import assortment
from examples.shop.places import DATABASES, databases_in
from examples.shop.recommendations import closest

ROOT = Path(__file__).resolve().parents[3]


def test_the_assortment_has_a_thousand_different_products() -> None:
    articles = assortment()
    assert len(articles) == 1000
    assert len({article.sku for article in articles}) == 1000
    assert len({article.name for article in articles}) == 1000
    assert sorted(article.place for article in articles) == list(range(1000))


def test_services_agree_on_the_past_without_asking_one_another() -> None:
    orders, lines = seed.orders(datetime(2026, 3, 1))
    cents: Counter[int] = Counter()
    for line in lines:
        cents[line["order_id"]] += line["quantity"] * line["unit_price_cents"]
    for totals in (
        {number: order["total_cents"] for number, order in enumerate(orders, start=1)},
        {payment["order_id"]: payment["cents"] for payment in seed.payments()},
    ):
        assert totals == cents
        assert len(totals) == seed.ORDERS_COUNT
    assert {line["sku"] for line in lines} <= {row["sku"] for row in seed.products()}
    assert [row["sku"] for row in seed.levels()] == [row["sku"] for row in seed.products()]


@pytest.mark.timeout(60)
def test_processes_that_start_at_once_fill_one_shop(tmp_path: Path) -> None:
    words = """
import asyncio
from examples.shop.app import shop
from outgrow.testing import running

async def fill():
    async with running(shop):
        pass

asyncio.run(fill())
"""
    command = [sys.executable, "-c", words]
    environment = {**os.environ, **databases_in(tmp_path)}
    fillers = [subprocess.Popen(command, cwd=ROOT, env=environment) for _ in range(3)]
    assert [filler.wait(50) for filler in fillers] == [0, 0, 0]
    assert {found.name for found in tmp_path.glob("*.db")} == {f"{each}.db" for each in DATABASES}
    for name, table, count in (
        ("catalogue", "products", 1000),
        ("stock", "stock_levels", 1000),
        ("orders", "orders", seed.ORDERS_COUNT),
        ("payments", "payments", seed.ORDERS_COUNT),
    ):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)


@pytest.mark.parametrize(
    ("cookie", "pieces"),
    [
        ("", {}),
        ("TEA-001.2~CUP-007.1", {"TEA-001": 2, "CUP-007": 1}),
        ("TEA-001.99", {"TEA-001": 20}),
        ("TEA-001.0~nonsense~'; DROP TABLE", {}),
    ],
    ids=["empty", "two products", "too many", "nonsense"],
)
def test_a_basket_is_read_from_any_cookie(cookie: str, pieces: dict[str, int]) -> None:
    assert basket.parse(cookie) == pieces


def test_a_basket_written_is_read_again() -> None:
    pieces = basket.changed(basket.changed({}, "TEA-001", 2), "CUP-007", 1)
    assert basket.parse(basket.written(pieces)) == pieces
    assert basket.changed(pieces, "TEA-001", 0) == {"CUP-007": 1}


def test_what_is_bought_together_comes_first() -> None:
    lines = [
        *((number, sku) for number in (1, 2, 3) for sku in ("TEA", "POT")),
        (4, "TEA"),
        (4, "CUP"),
        (5, "CUP"),
        (5, "BOOK"),
        (6, "OTHER"),
    ]
    assert closest(lines, "TEA") == ["POT", "CUP", "BOOK"]


def test_a_product_never_bought_has_no_company() -> None:
    assert closest([(1, "TEA")], "POT") == []
