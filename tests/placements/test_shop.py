"""The example shop: six services that sell the same, in one process as between several."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from examples.shop.app import shop
from examples.shop.catalogue import Catalogue, Product, UnknownProductError
from examples.shop.mail import Mail
from examples.shop.order_tables import Table
from examples.shop.orders import Buyer, EmptyBasketError, Order, Orders, UnknownOrderError
from examples.shop.payments import DECLINED_CARD, DeclinedError, Payments
from examples.shop.places import DATABASES, databases_in
from examples.shop.recommendations import Recommendations
from examples.shop.seed import HISTORY, ORDERS_COUNT
from examples.shop.stock import Pieces, SoldOutError, Stock
from outgrow import Database, DeadlineExceededError, deadline
from outgrow.testing import ManualClock, Placement, RunningApp, fake, running

from .conftest import Placed, Play

OPENED = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY_SECONDS = 24 * 3600
BUYER = Buyer(customer="me", email="me@example.org", card="4242424242424242")
TEA, CUP, LAST = "TEA-001", "CUP-001", "TEA-049"  # of the last one no more will come

Visit = Callable[..., Any]
Piece = Callable[[RunningApp], Awaitable[Any]]


@pytest.fixture(params=["local", "rpc", "sockets", pytest.param("split", marks=pytest.mark.slow)])
def placement(request: pytest.FixtureRequest) -> Placed:
    return request.param


@pytest.fixture(scope="session")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The databases of a shop that was just opened; to copy, not to use."""
    folder = tmp_path_factory.mktemp("new-shop")

    async def fill() -> None:
        async with running(shop, environment=databases_in(folder), clock=ManualClock(OPENED)):
            pass

    asyncio.run(fill())
    return folder


@pytest.fixture
def folder(new_shop: Path, tmp_path: Path) -> Path:
    """The databases of this test's shop."""
    return shutil.copytree(new_shop, tmp_path / "shop")


@pytest.fixture
def visit(play: Play, folder: Path) -> Visit:
    """Do something in the shop; returns what that returns."""

    def visited(piece: Piece, *, clock: ManualClock | None = None, **options: Any) -> Any:
        clock = clock or ManualClock(OPENED)
        return play(shop, piece, environment=databases_in(folder), clock=clock, **options)

    return visited


def content_of(folder: Path) -> dict[str, list[str]]:
    """All rows of all databases."""

    def rows(path: Path) -> list[str]:
        with closing(sqlite3.connect(path)) as connection:
            return list(connection.iterdump())

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
        await mail.send_receipt(order)
        await mail.send_receipt(order)
        assert order.id == ORDERS_COUNT + 1
        assert order.placed_at == OPENED.replace(tzinfo=None)
        assert order.total_cents == 2 * prices[0] + prices[1]
        assert [(line.sku, line.quantity) for line in order.lines] == [(TEA, 2), (CUP, 1)]
        after = [await stock.pieces_left(sku) for sku in (TEA, CUP)]
        assert after == [before[0] - 2, before[1] - 1]
        assert await app.client(Payments).paid_cents(order.id) == order.total_cents
        assert await orders.find(order.id) == order
        assert await orders.history("me") == (order,)
        letter = await mail.receipt(order.id)
        assert letter is not None
        assert letter.to == BUYER.email
        assert f"Total {order.total_cents / 100:.2f}" in letter.text

    visit(piece)


@pytest.mark.parametrize(
    ("basket", "card", "error"),
    [
        ((Pieces(TEA, 1),), DECLINED_CARD, DeclinedError),
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

    before = content_of(folder)
    visit(piece)
    assert content_of(folder) == before


def test_an_order_whose_payment_cannot_be_kept_is_undone(visit: Visit) -> None:
    voided: list[str] = []
    payments = fake(Payments, authorize=_promise, capture=_fail_to_capture, void=_noting(voided))

    visit(lambda app: _order_fails_and_leaves_nothing(app, RuntimeError), fakes=[payments])
    assert len(set(voided)) == 1


def test_an_order_that_runs_out_of_time_is_undone(visit: Visit) -> None:
    payments = fake(Payments, authorize=_promise, capture=_never_capture, void=_noting([]))

    async def piece(app: RunningApp) -> None:
        await _order_fails_and_leaves_nothing(app, DeadlineExceededError, seconds=0.5)

    visit(piece, fakes=[payments])


async def _order_fails_and_leaves_nothing(
    app: RunningApp, error: type[Exception], seconds: float = 10
) -> None:
    before = await app.client(Stock).pieces_left(LAST)
    with pytest.raises(error), deadline(seconds):
        await app.client(Orders).place((Pieces(LAST, 2),), BUYER)
    # Between processes, who gave an order up at its deadline does not wait for its undoing.
    async with asyncio.timeout(5):
        while await app.client(Orders).history("me"):
            await asyncio.sleep(0)
        while await app.client(Stock).pieces_left(LAST) != before:
            await asyncio.sleep(0)


async def _promise(reference: str, card: str, cents: int) -> None: ...


async def _fail_to_capture(reference: str, order_id: int, cents: int, card_ending: str) -> None:
    raise RuntimeError("the disk is full")


async def _never_capture(reference: str, order_id: int, cents: int, card_ending: str) -> None:
    await asyncio.Event().wait()


def _noting(voided: list[str]) -> Callable[..., Awaitable[None]]:
    async def void(reference: str) -> None:
        voided.append(reference)

    return void


def test_what_was_released_or_voided_stays_so_when_a_step_comes_again(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        stock, payments = app.client(Stock), app.client(Payments)
        before = await stock.pieces_left(LAST)
        await stock.reserve("one", (Pieces(LAST, 3),))
        assert await stock.pieces_left(LAST) == before - 3
        await stock.release("one")
        await stock.reserve("one", (Pieces(LAST, 3),))
        assert await stock.pieces_left(LAST) == before
        await payments.capture("one", order_id=9_999, cents=900, card_ending="4242")
        assert await payments.paid_cents(9_999) == 900
        await payments.void("one")
        await payments.capture("one", order_id=9_999, cents=900, card_ending="4242")
        assert await payments.paid_cents(9_999) == 0

    visit(piece)


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

    async def find_all(skus: tuple[str, ...]) -> tuple[Product, ...]:
        tea = Product(sku=TEA, name="Tea", category="Tea", description="", price_cents=450, hue=0)
        return (tea,)

    async def reserve(reference: str, wanted: tuple[Pieces, ...]) -> None:
        reserved.append(wanted)

    async def capture(reference: str, order_id: int, cents: int, card_ending: str) -> None:
        assert (order_id, cents, card_ending) == (1, 900, "4242")

    async def place() -> Order:
        async with Database("sqlite://", tables=Table.metadata) as db:
            orders = Orders(
                catalogue=fake(Catalogue, find_all=find_all),
                stock=fake(Stock, reserve=reserve),
                payments=fake(Payments, authorize=_promise, capture=capture),
                clock=ManualClock(OPENED),
                db=db,
            )
            return await orders.place((Pieces(TEA, 2),), BUYER)

    order = asyncio.run(place())
    assert (order.id, order.total_cents) == (1, 900)
    assert reserved == [(Pieces(TEA, 2),)]
