"""The example shop: its services sell the same, in one process as between several."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import get_args

import pytest

from examples.shop.app import shop
from examples.shop.catalogue import Catalogue, Product, UnknownProductError
from examples.shop.events import OrderCancelled, OrderPlaced
from examples.shop.mail import Mail
from examples.shop.order import Buyer, Order
from examples.shop.orders import EmptyBasketError, Orders, UnknownOrderError
from examples.shop.payments import (
    DECLINED_CARD,
    DeclinedError,
    Payments,
    token_of,
)
from examples.shop.places import DATABASES, databases_in
from examples.shop.recommendations import Recommendations
from examples.shop.seed import HISTORY, ORDERS_COUNT
from examples.shop.stock import Pieces, SoldOutError, Stock
from outgrow import DeadlineExceededError, deadline
from outgrow.testing import ManualClock, Placement, RunningApp, fake, running

from .conftest import BUYER, CUP, DAY_SECONDS, LAST, OPENED, TEA, Visit

pytestmark = pytest.mark.timeout(60)  # eight processes each, on a machine that may be busy


def content_of(folder: Path) -> dict[str, list[str]]:
    """All rows of all databases but those that pass events and jobs on."""

    def rows(path: Path) -> list[str]:
        with closing(sqlite3.connect(path)) as connection:
            return [row for row in connection.iterdump() if "outgrow_" not in row]

    return {name: rows(folder / f"{name}.db") for name in DATABASES}


def test_products_are_found_by_words_and_page_by_page(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        catalogue = app.client(Catalogue)
        whole = await catalogue.search()
        assert (whole.products_count, whole.pages_count, len(whole.products)) == (1000, 42, 24)
        honey = await catalogue.search("heather honey", size=2)
        assert honey.products[0].name == "Heather Honey"
        assert honey.products_count > len(honey.products) == 2
        last = await catalogue.search(category="Tea", page=5)
        assert {product.category for product in last.products} == {"Tea"}
        assert len(last.products) == 4

    visit(piece)


def test_a_product_is_looked_up_and_an_unknown_one_is_told(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        catalogue = app.client(Catalogue)
        product = await catalogue.find("TEA-000")
        assert (product.name, product.category) == ("Darjeeling First Flush", "Tea")
        found = await catalogue.find_all((CUP, "XXX-999", TEA))
        assert [each.sku for each in found] == [CUP, TEA]
        assert await app.client(Stock).pieces_left("XXX-999") == 0
        with pytest.raises(UnknownProductError, match="XXX-999"):
            await catalogue.find("XXX-999")
        with pytest.raises(UnknownOrderError):
            await app.client(Orders).find(ORDERS_COUNT + 1)

    visit(piece)


def test_an_order_is_priced_taken_from_stock_paid_and_confirmed(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        stock, orders, mail = app.client(Stock), app.client(Orders), app.client(Mail)
        prices = [each.price_cents for each in await app.client(Catalogue).find_all((TEA, CUP))]
        before = [await stock.pieces_left(sku) for sku in (TEA, CUP)]
        order = await orders.place((Pieces(TEA, 2), Pieces(CUP, 1)), BUYER)
        assert (order.id, order.state) == (ORDERS_COUNT + 1, "paid")
        await app.until_idle()
        assert order.placed_at == OPENED.replace(tzinfo=None)
        assert order.total_cents == 2 * prices[0] + prices[1]
        assert [(line.sku, line.quantity) for line in order.lines] == [(TEA, 2), (CUP, 1)]
        after = [await stock.pieces_left(sku) for sku in (TEA, CUP)]
        assert after == [before[0] - 2, before[1] - 1]
        assert await app.client(Payments).paid_cents(order.id) == order.total_cents
        assert await orders.find(order.id) == order
        assert await orders.history("me") == (order,)
        (letter,) = await mail.letters(order.id)
        assert letter.to == BUYER.email
        assert f"Total {order.total_cents / 100:.2f}" in letter.text
        (placed,) = app.published
        assert isinstance(placed, OrderPlaced)
        assert (placed.order_id, placed.cents) == (order.id, order.total_cents)

    visit(piece)


@pytest.mark.parametrize(
    ("basket", "card", "error"),
    [
        ((Pieces(TEA, 1),), token_of(DECLINED_CARD), DeclinedError),
        ((Pieces(TEA, 1), Pieces("XXX-999", 1)), BUYER.card, UnknownProductError),
        ((Pieces(TEA, 1), Pieces(LAST, 10_000)), BUYER.card, SoldOutError),
        ((), BUYER.card, EmptyBasketError),
    ],
    ids=["declined", "unknown product", "too few left", "empty"],
)
def test_a_wrong_order_is_refused_and_changes_nothing_anywhere(
    visit: Visit, folder: Path, basket: tuple[Pieces, ...], card: str, error: type[Exception]
) -> None:
    async def piece(app: RunningApp) -> None:
        buyer = Buyer(customer="me", email=BUYER.email, card=card)
        with pytest.raises(error):
            await app.client(Orders).place(basket, buyer)
        await app.until_idle()

    before = content_of(folder)
    visit(piece)
    assert content_of(folder) == before


def test_an_order_that_fails_half_way_is_undone(visit: Visit) -> None:
    stock = fake(Stock, reserve=_fail_to_reserve)
    visit(lambda app: _order_fails_and_is_announced(app, RuntimeError), fakes=[stock])


def test_an_order_that_runs_out_of_time_is_undone(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        await app.client(Orders).history("me")  # nothing has to be opened any more
        await _order_fails_and_is_announced(app, DeadlineExceededError, seconds=2)

    visit(piece, fakes=[fake(Stock, reserve=_never_reserve)])


async def _order_fails_and_is_announced(
    app: RunningApp, error: type[Exception], seconds: float = 10
) -> None:
    with pytest.raises(error), deadline(seconds):
        await app.client(Orders).place((Pieces(LAST, 2),), BUYER)
    # Between processes, who gave an order up at its deadline does not wait for its undoing.
    async with asyncio.timeout(20):
        while not app.published:
            await asyncio.sleep(0)
    (cancelled,) = app.published
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.order_id is None
    assert await app.client(Orders).history("me") == ()


async def _fail_to_reserve(reference: str, wanted: tuple[Pieces, ...]) -> None:
    raise RuntimeError("the disk is full")


async def _never_reserve(reference: str, wanted: tuple[Pieces, ...]) -> None:
    await asyncio.Event().wait()


def test_buyers_at_once_get_all_the_pieces_there_are_and_no_more(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        stock, orders = app.client(Stock), app.client(Orders)
        before = await stock.pieces_left(LAST)
        share = before // 8
        basket = (Pieces(CUP, 1), Pieces(LAST, share))

        async def buy() -> Order | None:
            with suppress(SoldOutError):
                return await orders.place(basket, BUYER)
            return None

        cups = await stock.pieces_left(CUP)
        placed = [order for order in await asyncio.gather(*(buy() for _ in range(12))) if order]
        assert len({order.id for order in placed}) == len(placed) == before // share
        assert await stock.pieces_left(LAST) == before % share
        assert await stock.pieces_left(CUP) == cups - len(placed)

    visit(piece)


def test_recommendations_are_the_same_in_every_placement(folder: Path) -> None:
    async def recommended(placement: Placement) -> tuple[Product, ...]:
        async with running(
            shop, placement, environment=databases_in(folder), clock=ManualClock(OPENED)
        ) as app:
            return await app.client(Recommendations).bought_together(TEA)

    first, *others = [asyncio.run(recommended(each)) for each in get_args(Placement)]
    assert all(each == first for each in others)
    assert len(first) == 6
    assert TEA not in {product.sku for product in first}


def test_sales_add_up(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        sales = await app.client(Orders).sales(HISTORY.days)
        assert sales.orders_count == sum(day.orders_count for day in sales.days) == ORDERS_COUNT
        assert sales.cents == sum(day.cents for day in sales.days)
        assert sales.cents == sum(category.cents for category in sales.categories)
        assert all(len(category.best) == 3 for category in sales.categories)

    visit(piece)


def test_an_order_leaves_the_report_when_its_days_have_passed(visit: Visit) -> None:
    clock = ManualClock(OPENED)

    async def piece(app: RunningApp) -> None:
        orders = app.client(Orders)
        clock.advance(HISTORY.total_seconds() + DAY_SECONDS)
        assert (await orders.sales(HISTORY.days)).orders_count == 0
        await orders.place((Pieces(TEA, 1),), BUYER)
        assert (await orders.sales(1)).days[0].day == "2026-05-01"
        clock.advance(DAY_SECONDS + 1)
        assert (await orders.sales(1)).orders_count == 0

    visit(piece, clock=clock)


def test_an_order_asks_the_others_for_just_what_it_needs() -> None:
    reserved: list[tuple[Pieces, ...]] = []
    authorized: list[tuple[str, int]] = []

    async def find_all(skus: tuple[str, ...]) -> tuple[Product, ...]:
        tea = Product(sku=TEA, name="Tea", category="Tea", description="", price_cents=450, hue=0)
        return (tea,)

    async def reserve(reference: str, wanted: tuple[Pieces, ...]) -> None:
        reserved.append(wanted)

    async def authorize(reference: str, card: str, cents: int) -> None:
        authorized.append((card, cents))

    async def place() -> Order:
        fakes = [
            fake(Catalogue, find_all=find_all),
            fake(Stock, reserve=reserve),
            fake(Payments, authorize=authorize),
        ]
        in_memory = {"DATABASE_URL": "sqlite://"}
        async with running(
            Orders, fakes=fakes, environment=in_memory, clock=ManualClock(OPENED)
        ) as app:
            return await app.client(Orders).place((Pieces(TEA, 2),), BUYER)

    assert asyncio.run(place()).total_cents == 900
    assert reserved == [(Pieces(TEA, 2),)]
    assert authorized == [(BUYER.card, 900)]
