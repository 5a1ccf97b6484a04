"""What the shop does by itself, by events, jobs and a schedule, is the same in every placement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from examples.shop.events import OrderCancelled, OrderPlaced, StockLow
from examples.shop.mail import Mail
from examples.shop.order import Buyer, Order, State
from examples.shop.orders import PATIENCE, PAUSES, Orders
from examples.shop.payments import (
    BUSY_CARD,
    BUSY_COUNT,
    Answer,
    Bank,
    Payments,
    token_of,
)
from examples.shop.purchasing import DELIVERY_PIECES, DELIVERY_SECONDS, Purchasing
from examples.shop.reports import DAYS_MAX, Reports
from examples.shop.stock import LOW_PIECES, Pieces, Stock
from outgrow import enqueue, publish
from outgrow.testing import ManualClock, RunningApp
from tests.placements.conftest import Placed

from .conftest import BUYER, DAY_SECONDS, LAST, OPENED, TEA, Visit

pytestmark = pytest.mark.timeout(60)  # eight processes each, on a machine that may be busy


def test_pieces_and_money_of_a_cancelled_order_are_given_back_for_good(visit: Visit) -> None:
    placed = OrderPlaced(reference="one", order_id=9_999, cents=900, card_ending="4242")
    cancelled = OrderCancelled(reference="one", order_id=9_999)

    async def piece(app: RunningApp) -> None:
        stock, payments = app.client(Stock), app.client(Payments)
        before = await stock.pieces_left(LAST)
        await stock.reserve("one", (Pieces(LAST, 3),))
        assert await stock.pieces_left(LAST) == before - 3
        await publish(placed)
        await app.until_idle()
        assert await payments.paid_cents(9_999) == 900
        await publish(cancelled)
        await app.until_idle()
        await stock.reserve("one", (Pieces(LAST, 3),))
        await publish(placed, cancelled)
        await app.until_idle()
        assert await stock.pieces_left(LAST) == before
        assert await payments.paid_cents(9_999) == 0

    visit(piece)


def test_money_is_not_kept_for_an_order_that_was_cancelled_before(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        await publish(OrderCancelled(reference="one", order_id=9_999))
        await app.until_idle()
        await publish(OrderPlaced(reference="one", order_id=9_999, cents=9, card_ending=""))
        await app.until_idle()
        assert await app.client(Payments).paid_cents(9_999) == 0

    visit(piece)


def test_a_busy_bank_is_asked_again_until_it_pays(visit: Visit) -> None:
    clock = ManualClock(OPENED)
    buyer = Buyer(customer="me", email=BUYER.email, card=token_of(BUSY_CARD))

    async def piece(app: RunningApp) -> None:
        stock, orders = app.client(Stock), app.client(Orders)
        before = await stock.pieces_left(TEA)
        order = await orders.place((Pieces(TEA, 2),), buyer)
        await app.until_idle()
        assert order.state == "waiting"
        assert await stock.pieces_left(TEA) == before - 2
        assert await app.client(Mail).letters(order.id) == ()
        assert app.published == []
        await _pass(app, clock, PAUSES.first_seconds)
        assert await _state(app, order) == "waiting"
        for _ in range(BUSY_COUNT):
            await _pass(app, clock, PAUSES.seconds_max)
        assert await _state(app, order) == "paid"
        assert await app.client(Payments).paid_cents(order.id) == order.total_cents
        (letter,) = await app.client(Mail).letters(order.id)
        assert "Total" in letter.text
        assert await stock.pieces_left(TEA) == before - 2
        assert [type(each) for each in app.published] == [OrderPlaced]

    visit(piece, clock=clock)


class ClosedBank(Bank):
    """Nobody answers there."""

    async def authorize(self, reference: str, card: str, cents: int) -> Answer:
        raise ConnectionRefusedError("the bank is closed")


class TurningBank(Bank):
    """It says no, but not at first."""

    async def authorize(self, reference: str, card: str, cents: int) -> Answer:
        return "later" if self._is_busy(reference) else "no"


def open_closed_bank() -> Bank:
    return ClosedBank()


def open_turning_bank() -> Bank:
    return TurningBank()


@pytest.mark.parametrize(
    ("bank", "seconds"),
    [
        (open_closed_bank, PATIENCE.total_seconds()),
        (open_turning_bank, PAUSES.seconds_max),
    ],
    ids=["never answers", "says no in the end"],
)
def test_an_order_whose_bank_does_not_pay_is_cancelled_and_given_back(
    visit: Visit, bank: Callable[[], Bank], seconds: float
) -> None:
    clock = ManualClock(OPENED)

    async def piece(app: RunningApp) -> None:
        stock = app.client(Stock)
        before = await stock.pieces_left(LAST)
        order = await app.client(Orders).place((Pieces(LAST, 2),), BUYER)
        assert order.state == "waiting"
        await _pass(app, clock, PAUSES.first_seconds)
        assert await _state(app, order) == "waiting"
        assert await stock.pieces_left(LAST) == before - 2
        for _ in range(3):
            await _pass(app, clock, seconds)
        assert await _state(app, order) == "cancelled"
        assert await stock.pieces_left(LAST) == before
        assert await app.client(Payments).paid_cents(order.id) == 0
        (letter,) = await app.client(Mail).letters(order.id)
        assert "nothing comes of this order" in letter.text
        assert [type(each) for each in app.published] == [OrderCancelled]

    visit(piece, clock=clock, providers=[bank])


async def _state(app: RunningApp, order: Order) -> State:
    return (await app.client(Orders).find(order.id)).state


async def _pass(app: RunningApp, clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    await app.until_idle()


def test_what_runs_low_is_ordered_again_once_and_delivered(visit: Visit) -> None:
    clock = ManualClock(OPENED)

    async def piece(app: RunningApp) -> None:
        stock, purchasing = app.client(Stock), app.client(Purchasing)
        left = await stock.pieces_left(TEA)
        await stock.reserve("enough", (Pieces(TEA, left - LOW_PIECES),))
        await app.until_idle()
        assert app.published == []
        await stock.reserve("low", (Pieces(TEA, 10),))
        await stock.reserve("lower", (Pieces(TEA, 10),))
        assert app.published == [StockLow(sku=TEA, pieces=LOW_PIECES - 10)]
        await app.until_idle()
        (ordered,) = await purchasing.purchases()
        assert (ordered.sku, ordered.pieces) == (TEA, DELIVERY_PIECES)
        assert ordered.delivered_at is None
        assert await stock.pieces_left(TEA) == LOW_PIECES - 20
        await _pass(app, clock, DELIVERY_SECONDS)
        assert await stock.pieces_left(TEA) == LOW_PIECES - 20 + DELIVERY_PIECES
        (delivered,) = await purchasing.purchases()
        assert delivered.delivered_at == clock.now().replace(tzinfo=None)
        await stock.reserve("again", (Pieces(TEA, DELIVERY_PIECES),))
        await _pass(app, clock, DELIVERY_SECONDS)
        await _pass(app, clock, DELIVERY_SECONDS)
        assert len(await purchasing.purchases()) == len(app.published) == 2

    visit(piece, clock=clock)


def test_what_has_no_standing_order_is_not_ordered_again(visit: Visit) -> None:
    async def piece(app: RunningApp) -> None:
        left = await app.client(Stock).pieces_left(LAST)
        await app.client(Stock).reserve("all", (Pieces(LAST, left),))
        await app.until_idle()
        assert app.published == []
        assert await app.client(Purchasing).purchases() == ()

    visit(piece)


def test_each_night_the_days_without_a_report_get_one(visit: Visit, placement: Placed) -> None:
    clock = ManualClock(OPENED)

    async def piece(app: RunningApp) -> None:
        reports = app.client(Reports)

        async def night(seconds: float) -> None:
            await _pass(app, clock, seconds)
            if placement == "split":  # its services look at their schedules by themselves
                await enqueue(reports.write_nightly)
                await app.until_idle()

        await app.until_idle()
        clock.advance(timedelta(hours=11, minutes=30).total_seconds())
        # It is half past midnight in Berlin, so that this belongs to the second of March.
        order = await app.client(Orders).place((Pieces(TEA, 3),), BUYER)
        assert await reports.reports() == ()
        await night(3 * 3600)
        first = await reports.reports()
        days = [date.fromisoformat(each.day) for each in first]
        assert days == [date(2026, 3, 1) - timedelta(days=ago) for ago in range(DAYS_MAX)]
        assert all(each.orders_count and each.best for each in first)
        await night(DAY_SECONDS)
        newest, *others = await reports.reports()
        assert tuple(others) == first
        assert (newest.day, newest.orders_count, newest.pieces) == ("2026-03-02", 1, 3)
        assert (newest.cents, newest.best) == (order.total_cents, order.lines[0].name)
        again = await enqueue(reports.write_nightly)
        await app.until_idle()
        assert await again.result() == 0

    visit(piece, clock=clock)
