"""The books of the soak: which orders they complain of."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from examples.shop import seed
from tests.soak.books import differences

NUMBER = seed.ORDERS_COUNT + 1
RECEIPT, CANCELLATION = f"Your order {NUMBER}", f"Your order {NUMBER} is cancelled"
SEEDED = (seed.ORDERS_COUNT, "paid", 500)


def write(folder: Path, name: str, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    columns = table[table.index("(") + 1 : -1]
    with closing(sqlite3.connect(folder / f"{name}.db")) as connection, connection:
        connection.execute(f"CREATE TABLE {table}")
        marks = ", ".join("?" for _ in columns.split(","))
        connection.executemany(f"INSERT INTO {table.partition(' ')[0]} VALUES ({marks})", rows)


@pytest.mark.parametrize(
    ("state", "subjects", "paid_cents", "agrees"),
    [
        ("paid", [RECEIPT], [900], True),
        ("paid", [], [900], False),
        ("paid", [RECEIPT, RECEIPT], [900], False),
        ("paid", [RECEIPT], [], False),
        ("waiting", [], [], True),
        ("waiting", [RECEIPT], [], False),
        ("cancelled", [CANCELLATION], [0], True),
        ("cancelled", [CANCELLATION], [900], False),
    ],
    ids=[
        "paid",
        "no receipt",
        "two receipts",
        "no payment",
        "waiting",
        "a receipt too early",
        "cancelled",
        "money kept",
    ],
)
def test_the_books_agree_where_each_paid_order_has_its_payment_and_one_receipt(
    tmp_path: Path, state: str, subjects: list[str], paid_cents: list[int], agrees: bool
) -> None:
    write(tmp_path, "orders", "orders (id, state, total_cents)", [SEEDED, (NUMBER, state, 900)])
    write(tmp_path, "mail", "letters (order_id, subject)", [(NUMBER, each) for each in subjects])
    write(tmp_path, "payments", "payments (order_id, cents)", [(NUMBER, c) for c in paid_cents])
    write(tmp_path, "purchasing", "purchases (id)", [(1,)])
    write(tmp_path, "stock", "deliveries (reference)", [("purchase-1",)])
    write(tmp_path, "stock", "stock_levels (sku, is_awaited)", [("TEA-001", 0)])
    assert (differences(tmp_path) == []) is agrees


@pytest.mark.parametrize(
    ("bought", "brought", "is_awaited", "agrees"),
    [
        ([1, 2], [1, 2], False, True),
        ([1, 2], [1], False, False),
        ([1], [1, 2], False, False),
        ([1], [1], True, False),
    ],
    ids=["all is here", "not brought", "not bought", "still awaited"],
)
def test_the_books_agree_where_all_that_was_bought_was_brought(
    tmp_path: Path, bought: list[int], brought: list[int], is_awaited: bool, agrees: bool
) -> None:
    write(tmp_path, "orders", "orders (id, state, total_cents)", [])
    write(tmp_path, "mail", "letters (order_id, subject)", [])
    write(tmp_path, "payments", "payments (order_id, cents)", [])
    write(tmp_path, "purchasing", "purchases (id)", [(each,) for each in bought])
    references = [(f"purchase-{each}",) for each in brought]
    write(tmp_path, "stock", "deliveries (reference)", references)
    write(tmp_path, "stock", "stock_levels (sku, is_awaited)", [("TEA-001", is_awaited)])
    assert (differences(tmp_path) == []) is agrees
