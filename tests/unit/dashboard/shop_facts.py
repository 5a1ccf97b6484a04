"""What goes on in the shop, as tables of numbers."""

from __future__ import annotations

from typing import NamedTuple

from outgrow.dashboard import shapes

TRACEBACK = """Traceback (most recent call last):
  File "shop/orders.py", line 94, in place
    await self.payments.authorize(reference, buyer.card, cents)
  File "shop/payments.py", line 58, in authorize
    raise DeclinedError(f"the bank declined the card ending in {card[-4:]}")
shop.payments.DeclinedError: the bank declined the card ending in 0002"""

# Name, service, calls a second, errors in percent, p50, p95, p99, CPU a call in ms.
CALLED = (
    ("GET /products", "edge", 41.0, 0.0, 6.1, 14.2, 31.0, 1.9),
    ("GET /products/{sku}", "edge", 63.0, 0.0, 3.2, 7.9, 18.0, 0.9),
    ("POST /orders", "edge", 4.6, 2.3, 84.0, 212.0, 390.0, 4.1),
    ("GET /orders/{order_id}", "edge", 7.1, 0.2, 4.4, 9.8, 22.0, 1.1),
    ("GET /recommendations/{sku}", "edge", 18.0, 0.0, 9.0, 26.0, 61.0, 1.4),
    ("GET /reports/sales", "edge", 0.4, 0.0, 210.0, 480.0, 720.0, 38.0),
    ("Catalogue.search", "Catalogue", 41.0, 0.0, 4.4, 11.0, 24.0, 1.1),
    ("Catalogue.find", "Catalogue", 99.0, 0.0, 0.6, 1.4, 4.1, 0.2),
    ("Stock.pieces_left", "Stock", 63.0, 0.0, 0.8, 2.2, 6.0, 0.2),
    ("Stock.reserve", "Stock", 4.5, 0.4, 8.0, 30.0, 71.0, 0.6),
    ("Orders.place", "Orders", 4.6, 2.3, 80.0, 204.0, 380.0, 1.8),
    ("Orders.find", "Orders", 7.1, 0.2, 1.3, 3.8, 9.0, 0.4),
    ("Orders.sales", "Orders", 0.4, 0.0, 205.0, 470.0, 715.0, 36.0),
    ("Orders.recent_baskets", "Orders", 1.1, 0.0, 12.0, 40.0, 66.0, 2.0),
    ("Payments.authorize", "Payments", 4.6, 1.9, 42.0, 118.0, 240.0, 0.3),
    ("Payments.capture", "Payments", 4.5, 0.0, 24.0, 70.0, 150.0, 0.3),
    ("Mail.send_receipt", "Mail", 4.4, 0.0, 11.0, 34.0, 80.0, 0.5),
    ("Recommendations.bought_together", "Recommendations", 18.0, 0.0, 6.0, 21.0, 52.0, 0.9),
)
LINKS = (
    ("edge", "Catalogue", 122.0, 0.0, 8.4),
    ("edge", "Stock", 63.0, 0.0, 2.2),
    ("edge", "Orders", 12.1, 0.9, 190.0),
    ("edge", "Recommendations", 18.0, 0.0, 21.0),
    ("edge", "Mail", 4.4, 0.0, 34.0),
    ("Orders", "Catalogue", 9.2, 0.0, 1.4),
    ("Orders", "Stock", 4.5, 0.4, 30.0),
    ("Orders", "Payments", 9.1, 1.9, 118.0),
    ("Recommendations", "Orders", 1.1, 0.0, 40.0),
    ("Catalogue", "sql sqlite:catalogue.db", 140.0, 0.0, 3.1),
    ("Stock", "sql sqlite:stock.db", 72.0, 0.0, 1.8),
    ("Orders", "sql sqlite:orders.db", 31.0, 0.0, 6.2),
    ("Payments", "sql sqlite:payments.db", 9.0, 0.0, 2.0),
    ("Payments", "http bank.example", 9.1, 1.9, 101.0),
    ("Mail", "sql sqlite:mail.db", 4.4, 0.0, 1.9),
)
NODES: tuple[tuple[str, shapes.NodeKind, float, float, float, float | None], ...] = (
    ("edge", "edge", 134.1, 0.1, 38.0, 46.0),
    ("Catalogue", "service", 140.0, 0.0, 8.4, 46.0),
    ("Stock", "service", 67.5, 0.03, 2.4, 46.0),
    ("Orders", "service", 13.2, 0.8, 190.0, 71.0),
    ("Payments", "service", 9.1, 1.9, 118.0, 71.0),
    ("Mail", "service", 4.4, 0.0, 34.0, 71.0),
    ("Recommendations", "service", 18.0, 0.0, 21.0, 12.0),
    ("sql sqlite:catalogue.db", "database", 140.0, 0.0, 3.1, None),
    ("sql sqlite:stock.db", "database", 72.0, 0.0, 1.8, None),
    ("sql sqlite:orders.db", "database", 31.0, 0.0, 6.2, None),
    ("sql sqlite:payments.db", "database", 9.0, 0.0, 2.0, None),
    ("sql sqlite:mail.db", "database", 4.4, 0.0, 1.9, None),
    ("http bank.example", "outside", 9.1, 1.9, 101.0, None),
)


class Sql(NamedTuple):
    """A statement of the shop; `times` are calls a second, rows a call, mean and p95 in ms, and
    how often a request runs it."""

    database: str
    text: str
    callers: list[str]
    reads: list[str]
    writes: list[str]
    times: tuple[float, float, float, float, float]


SQL = (
    Sql(
        "sqlite:orders.db",
        "SELECT lines.sku, sum(lines.quantity), sum(lines.quantity * lines.unit_price_cents) "
        "FROM lines JOIN orders ON orders.id = lines.order_id WHERE orders.placed_at >= ? "
        "GROUP BY lines.sku",
        ["Orders.sales"],
        ["lines", "orders"],
        [],
        (0.4, 940.0, 190.0, 440.0, 1.0),
    ),
    Sql(
        "sqlite:catalogue.db",
        "SELECT products.sku, products.name, products.price_cents FROM products "
        "WHERE products.category = ? ORDER BY products.place LIMIT ? OFFSET ?",
        ["Catalogue.search"],
        ["products"],
        [],
        (41.0, 24.0, 2.4, 7.1, 1.0),
    ),
    Sql(
        "sqlite:catalogue.db",
        "SELECT products.sku, products.name, products.price_cents FROM products "
        "WHERE products.sku = ?",
        ["Catalogue.find", "Orders.place"],
        ["products"],
        [],
        (99.0, 1.0, 0.3, 0.9, 6.0),
    ),
    Sql(
        "sqlite:orders.db",
        "INSERT INTO lines (order_id, sku, name, quantity, unit_price_cents) "
        "VALUES (?, ?, ?, ?, ?)",
        ["Orders.place"],
        [],
        ["lines"],
        (27.6, 1.0, 0.4, 1.1, 24.0),
    ),
    Sql(
        "sqlite:stock.db",
        "UPDATE items SET pieces = pieces - ? WHERE items.sku = ? AND items.pieces >= ?",
        ["Stock.reserve"],
        ["items"],
        ["items"],
        (11.2, 1.0, 1.7, 6.4, 3.0),
    ),
    Sql(
        "sqlite:stock.db",
        "SELECT items.pieces FROM items WHERE items.sku = ?",
        ["Stock.pieces_left"],
        ["items"],
        [],
        (63.0, 1.0, 0.2, 0.6, 1.0),
    ),
    Sql(
        "sqlite:payments.db",
        "INSERT INTO promises (reference, cents, card_ending, at) VALUES (?, ?, ?, ?)",
        ["Payments.authorize"],
        [],
        ["promises"],
        (4.6, 1.0, 0.9, 2.0, 1.0),
    ),
)
GROUPS = (
    ("front", ["web", "catalogue", "stock"], 1, 2, 46.0),
    ("desk", ["orders", "payments", "mail"], 1, 1, 71.0),
    ("advice", ["recommendations"], 1, 1, 12.0),
)

# All routes together.
TOGETHER = (134.1, 0.09, 4.9, 38.0, 212.0, 1.4)

STATIONS = (
    ("desk/1", "loop", "loop", 1, 71.0, 48.0, 0, 14.0, 9.0, 0),
    ("desk/1", "writer orders", "lock", 1, 38.0, 9.2, 0, 41.0, 62.0, 3),
    ("desk/1", "pool orders", "pool", 5, 33.0, 31.0, 0, 8.0, 4.0, 2),
    ("front/1", "loop", "loop", 1, 46.0, 134.0, 0, 2.1, 3.0, 0),
    ("front/2", "loop", "loop", 1, 44.0, 130.0, 0, 2.0, 3.0, 0),
    ("desk/1", "bulkhead Payments", "bulkhead", 256, 0.4, 9.1, 2, 66.0, 0.0, 0),
    ("desk/1", "gil", "gil", 1, 52.0, 0.0, 0, None, 5.0, 0),
    ("advice/1", "loop", "loop", 1, 12.0, 18.0, 0, 4.0, 1.0, 0),
)
