"""The shop: pages and orders, and several workers on the SQLite files of its services."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.shop.places import databases_in
from tests.adopt.serving import ROOT, Served, ServerName, served, wait_for

LETTER_SECONDS = 20.0
BUYERS_COUNT = 8
ORDERS_EACH_COUNT = 10


def _served(folder: Path, server: ServerName):
    """Two workers; one under uvicorn, where each would open the file of events and jobs itself."""
    return served(
        "examples.shop.api:app",
        server=server,
        cwd=ROOT,
        folder=folder,
        workers=2 if server == "outgrow" else 1,
        environment={
            **databases_in(folder),
            "OUTGROW_DURABLE_URL": f"sqlite:///{folder / 'durable.db'}",
        },
    )


@pytest.fixture(scope="module")
def shop(server: ServerName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with _served(tmp_path_factory.mktemp(f"shop-{server}"), server) as running:
        yield running


def test_workers_that_start_at_once_share_a_thousand_products(shop: Served) -> None:
    with shop.client() as client:
        shelf = client.get("/products", params={"search": "honey", "size": 5}).json()
        assert client.get("/products").json()["products_count"] == 1000
    assert (len(shelf["products"]), shelf["page"]) == (5, 1)
    assert 30 <= shelf["products_count"] < 200


def test_a_visitor_looks_chooses_and_orders(shop: Served) -> None:
    with shop.client(follow_redirects=True) as client:
        assert "Darjeeling First Flush" in client.get("/").text
        assert "Into the basket" in client.get("/shop/TEA-008").text
        assert "/shop/" in client.get("/shop/TEA-008/together").text
        assert client.get("/picture/TEA-008.svg").headers["content-type"] == "image/svg+xml"
        client.post("/basket", data={"sku": "TEA-008", "count": "2"})
        assert "Darjeeling Garden Mint" in client.get("/basket").text
        form = {"email": "me@example.org", "card": "4000 0000 0000 0002"}
        assert "declined" in client.post("/checkout", data=form).text
        placed = client.post("/checkout", data={**form, "card": "4242 4242 4242 4242"})
        assert "is on its way" in placed.text
        assert "2 \N{MULTIPLICATION SIGN} Darjeeling Garden Mint" in client.get("/history").text
        assert "It is empty" in client.get("/basket").text


def test_an_order_can_be_looked_up(shop: Served) -> None:
    wanted = {"lines": [{"sku": "CUP-001", "quantity": 2}], "email": "me@example.org"}
    with shop.client() as client:
        price = client.get("/products/CUP-001").json()["price_cents"]
        order = client.post("/orders", json=wanted)
        assert (order.status_code, order.json()["total_cents"]) == (201, 2 * price)
        assert client.get(f"/orders/{order.json()['id']}").json() == order.json()


def test_a_receipt_comes_after_the_answer(shop: Served) -> None:
    wanted = {"lines": [{"sku": "CUP-001"}], "email": "me@example.org"}
    with shop.client() as client:
        order = client.post("/orders", json=wanted).json()
        path = f"/orders/{order['id']}/letters"
        (letter,) = wait_for(
            lambda: client.get(path).json(), "receipt", LETTER_SECONDS, then=shop.log
        )
    assert (letter["to"], letter["subject"]) == ("me@example.org", f"Your order {order['id']}")


def test_an_order_waits_for_a_bank_that_is_busy(shop: Served) -> None:
    wanted = {"lines": [{"sku": "CUP-001"}], "email": "me@example.org", "card": "4000000000000119"}
    with shop.client() as client:
        order = client.post("/orders", json=wanted)
        assert (order.status_code, order.json()["state"]) == (201, "waiting")
        assert client.get(f"/orders/{order.json()['id']}").json() == order.json()


@pytest.mark.parametrize(
    ("change", "status_code"),
    [
        ({"card": "4000000000000002"}, 402),
        ({"lines": [{"sku": "XXX-999"}]}, 404),
        ({"lines": [{"sku": "TEA-049", "quantity": 20}] * 30}, 409),
        ({"lines": []}, 422),
        ({"email": "nobody"}, 422),
    ],
    ids=["declined", "unknown product", "too few left", "empty", "no address"],
)
def test_a_wrong_order_is_refused_and_changes_nothing(
    shop: Served, change: dict[str, object], status_code: int
) -> None:
    wanted = {"lines": [{"sku": "TEA-049"}], "email": "me@example.org", **change}
    with shop.client() as client:
        before = client.get("/products/TEA-049").json()
        assert client.post("/orders", json=wanted).status_code == status_code
        assert client.get("/products/TEA-049").json() == before


def test_recommendations_and_reports_are_worked_out(shop: Served) -> None:
    with shop.client() as client:
        together = client.get("/recommendations/TEA-001").json()
        sales = client.get("/reports/sales?days=30").json()
    assert len(together) == 6
    assert "TEA-001" not in {product["sku"] for product in together}
    assert sales["orders_count"] == sum(day["orders_count"] for day in sales["days"]) > 100
    assert all(category["best"] for category in sales["categories"])


def test_what_the_services_write_down_by_themselves_can_be_read(shop: Served) -> None:
    with shop.client() as client:
        for path in ("/purchases", "/reports/nightly"):
            assert client.get(path).status_code == 200


def test_buyers_at_once_get_every_order_and_no_stock_is_lost(shop: Served) -> None:
    def buy(_buyer: int) -> list[int]:
        with shop.client() as client:
            wanted = {"lines": [{"sku": "HON-099"}], "email": "me@example.org"}
            return [
                client.post("/orders", json=wanted).json()["id"] for _ in range(ORDERS_EACH_COUNT)
            ]

    with shop.client() as client, ThreadPoolExecutor(BUYERS_COUNT) as pool:
        before = client.get("/products/HON-099").json()["pieces_left"]
        ids = [order_id for mine in pool.map(buy, range(BUYERS_COUNT)) for order_id in mine]
        after = client.get("/products/HON-099").json()["pieces_left"]
    orders_count = BUYERS_COUNT * ORDERS_EACH_COUNT
    assert len(set(ids)) == orders_count
    assert before - after == orders_count
    assert "database is locked" not in shop.log()
