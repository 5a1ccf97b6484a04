"""The shop's parts that need no server: assortment, seed, basket, recommendations."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from examples.shop import basket
from examples.shop.assortment import assortment
from examples.shop.recommendations import closest
from examples.shop.seed import ORDERS_COUNT, plant

ROOT = Path(__file__).resolve().parents[3]


def test_the_assortment_has_a_thousand_different_products() -> None:
    articles = assortment()
    assert len(articles) == 1000
    assert len({article.sku for article in articles}) == 1000
    assert len({article.name for article in articles}) == 1000
    assert sorted(article.place for article in articles) == list(range(1000))


def test_a_planted_shop_is_the_same_each_time_but_for_the_clock(tmp_path: Path) -> None:
    def content(path: Path) -> list[list[tuple[object, ...]]]:
        plant(path)
        questions = (
            "SELECT * FROM products",
            "SELECT * FROM stock_levels",
            "SELECT id, customer, total_cents FROM orders",
            "SELECT order_id, sku, quantity FROM order_lines",
        )
        with closing(sqlite3.connect(path)) as connection:
            return [connection.execute(question).fetchall() for question in questions]

    first = content(tmp_path / "one.db")
    assert first == content(tmp_path / "deep" / "two.db")
    assert [len(rows) for rows in first[:3]] == [1000, 1000, ORDERS_COUNT]


def test_processes_that_plant_at_once_plant_one_shop(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    words = "import pathlib, sys, examples.shop.seed as s; s.plant(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", words, str(path)]
    planters = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [planter.wait(15) for planter in planters] == [0, 0, 0, 0]
    assert [found.name for found in tmp_path.iterdir()] == ["shop.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (1000,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


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
