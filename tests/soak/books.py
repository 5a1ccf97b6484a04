"""What the shop's services have written down, held against one another once all is quiet."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from examples.shop import seed

_ORDERS = "SELECT id, state, total_cents FROM orders WHERE id > :last ORDER BY id"
_RECEIPTS = "SELECT order_id, count(*) FROM letters WHERE subject NOT LIKE '% cancelled' GROUP BY 1"
_PAYMENTS = "SELECT order_id, sum(cents) FROM payments GROUP BY 1"
_BOUGHT = "SELECT 'purchase-' || id FROM purchases"
_BROUGHT = "SELECT reference FROM deliveries"
_AWAITED = "SELECT sku FROM stock_levels WHERE is_awaited"


def differences(folder: Path) -> list[str]:
    """What was left undone or done twice, in words."""
    return [*_wrong_orders(folder), *_wrong_purchases(folder)]


def _wrong_orders(folder: Path) -> list[str]:
    """Those that have not exactly one receipt and their payment, or neither where they should not.

    Orders from before the shop was opened have their payment and no receipt, and are left out.
    """
    receipts = dict(_rows(folder / "mail.db", _RECEIPTS))
    payments = dict(_rows(folder / "payments.db", _PAYMENTS))
    found: list[str] = []
    for number, state, cents in _rows(folder / "orders.db", _ORDERS, last=seed.ORDERS_COUNT):
        receipts_count, paid_cents = receipts.get(number, 0), payments.get(number) or 0
        is_paid = state == "paid"
        if (paid_cents, receipts_count > 0) != (cents * is_paid, is_paid) or receipts_count > 1:
            found.append(
                f"order {number} of {cents} cents is {state}, with {receipts_count} receipts, and "
                f"{paid_cents} cents paid"
            )
    return found


def _wrong_purchases(folder: Path) -> list[str]:
    """What was bought and not brought, or the reverse; and what is awaited, but was not bought."""
    bought, brought = (
        {reference for (reference,) in _rows(folder / f"{name}.db", query)}
        for name, query in (("purchasing", _BOUGHT), ("stock", _BROUGHT))
    )
    found = [f"{each} was only bought or only brought" for each in sorted(bought ^ brought)]
    return [*found, *(f"{sku} is still awaited" for (sku,) in _rows(folder / "stock.db", _AWAITED))]


def _rows(path: Path, query: str, **values: int) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()
