"""A call behaves the same in one process as between two: errors, deadlines, limits, streams."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from outgrow import (
    Baggage,
    DeadlineExceededError,
    OverloadedError,
    RemoteError,
    call,
    deadline,
    from_env,
    on_start,
    on_stop,
    operation,
    service,
    wait,
)
from outgrow.errors import (
    EnvironmentVariableError,
    FakeError,
    NotAnOperationError,
    ProviderMissingError,
    ServiceStartError,
    WrongCallError,
)
from outgrow.testing import RunningApp, fake

from .conftest import Play

tenant = Baggage("tenant", str)
stray: contextvars.ContextVar[str] = contextvars.ContextVar("stray", default="")


class OutOfStockError(Exception):
    def __init__(self, sku: str, *, left: int) -> None:
        super().__init__(sku)
        self.left = left


class Bell:
    pass


@service(concurrent_calls_max=2, queue_max=1)
class Stock:
    @operation
    async def reserve(self, sku: str, quantity: int = 1, *, is_gift: bool = False) -> int:
        if quantity > 5:
            raise OutOfStockError(sku, left=5)
        return quantity + 100 * is_gift

    @operation
    async def hang(self) -> None:
        await asyncio.Event().wait()

    @operation(timeout=0.05)
    async def hang_shortly(self) -> None:
        await asyncio.Event().wait()

    @operation
    async def fail_oddly(self) -> None:
        class LocalError(Exception):
            pass

        raise LocalError("here")

    @operation
    def thread(self) -> str:
        return threading.current_thread().name

    @operation
    async def count_to(self, last: int) -> AsyncIterator[int]:
        for number in range(1, last + 1):
            if number == 4:
                raise OutOfStockError("tea", left=3)
            yield number

    @operation
    async def asks_for(self) -> tuple[str | None, str]:
        return tenant.get(), stray.get()

    async def private_work(self) -> int:
        return 1


@service
class Orders:
    stock: Stock

    @operation
    async def place(self, sku: str, quantity: int = 1) -> int:
        return await self.stock.reserve(sku, quantity)

    @operation
    async def hang(self) -> None:
        await self.stock.hang()


def test_arguments_come_by_place_by_name_and_by_default(play: Play) -> None:
    async def piece(app: RunningApp) -> list[int]:
        stock = app.client(Stock)
        return [
            await stock.reserve("tea"),
            await stock.reserve("tea", 2),
            await stock.reserve(sku="tea", quantity=3, is_gift=True),
            await app.client(Orders).place("tea", 4),
        ]

    assert play(Orders, piece) == [1, 2, 103, 4]


def test_wrong_arguments_are_a_type_error_as_for_any_function(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        stock: Any = app.client(Stock)
        await stock.reserve("tea", amount=3)

    with pytest.raises(TypeError, match="amount"):
        play(Orders, piece)


def test_an_exception_keeps_its_class_and_content_through_two_calls(play: Play) -> None:
    async def piece(app: RunningApp) -> OutOfStockError:
        with pytest.raises(OutOfStockError) as caught:
            await app.client(Orders).place("tea", 9)
        return caught.value

    error = play(Orders, piece)
    assert (error.args, error.left) == (("tea",), 5)


def test_an_exception_that_its_caller_cannot_import_is_a_remote_error(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        await app.client(Stock).fail_oddly()

    with pytest.raises(RemoteError, match="LocalError: here"):
        play(Orders, piece)


def test_a_deadline_ends_the_calls_within_calls(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        with deadline(0.05):
            await app.client(Orders).hang()

    with pytest.raises(DeadlineExceededError):
        play(Orders, piece)


def test_an_operation_has_a_time_of_its_own(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        await app.client(Stock).hang_shortly()

    with pytest.raises(DeadlineExceededError, match="hang_shortly"):
        play(Orders, piece)


def test_a_call_whose_deadline_has_passed_never_begins(play: Play) -> None:
    async def piece(app: RunningApp) -> int:
        with suppress(DeadlineExceededError), deadline(0.01):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return await app.client(Stock).reserve("tea")
        return 0

    assert play(Orders, piece) == 0


def test_calls_past_the_line_are_refused_at_once(play: Play) -> None:
    async def piece(app: RunningApp) -> list[bool]:
        stock = app.client(Stock)
        calls = [asyncio.ensure_future(stock.hang()) for _ in range(4)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        assert await stock.reserve("tea") == 1  # all places are free again
        return [isinstance(each.exception(), OverloadedError) for each in done]

    assert play(Orders, piece) == [True]


def test_a_refusal_that_an_operation_lets_pass_says_that_the_operation_may_have_run(
    play: Play,
) -> None:
    async def piece(app: RunningApp) -> list[bool]:
        stock, orders = app.client(Stock), app.client(Orders)
        calls = [asyncio.ensure_future(stock.hang()) for _ in range(3)]
        found: list[bool] = []
        for ask in (stock.reserve, orders.place):
            refused: OverloadedError | None = None
            while refused is None:
                await asyncio.sleep(0)  # until the others have taken all places
                try:
                    with suppress(DeadlineExceededError), deadline(0.01):
                        await ask("tea")
                except OverloadedError as error:
                    refused = error
            found.append(refused.may_have_run)
        for each in calls:
            each.cancel()
        await asyncio.wait(calls)
        return found

    assert play(Orders, piece) == [False, True]


def test_a_def_operation_runs_in_a_thread_of_its_service(play: Play) -> None:
    async def piece(app: RunningApp) -> str:
        return await call(app.client(Stock).thread)

    assert play(Orders, piece).startswith("outgrow-stock")


def test_a_thread_keeps_its_place_when_its_caller_has_gone(play: Play) -> None:
    gate = threading.Event()

    @service(concurrent_calls_max=1, queue_max=0)
    class Slow:
        @operation
        def work(self) -> int:
            return int(gate.wait(10))

    async def piece(app: RunningApp) -> int:
        slow = app.client(Slow)
        with pytest.raises(DeadlineExceededError), deadline(0.05):
            await call(slow.work)
        with pytest.raises(OverloadedError):
            await call(slow.work)
        gate.set()
        for _ in range(100_000):
            with suppress(OverloadedError):
                return await call(slow.work)
            await asyncio.sleep(0)
        return 0

    assert play(Slow, piece) == 1


def test_a_def_operation_called_on_the_loop_says_what_to_write(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        app.client(Stock).thread()

    with pytest.raises(WrongCallError, match=r"`Stock.thread` is a `def`"):
        play(Orders, piece)


def test_waiting_on_the_loops_own_thread_says_what_to_write(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        wait(app.client(Stock).reserve("tea"))

    with pytest.raises(WrongCallError, match="own thread"):
        play(Orders, piece)


def test_a_stream_gives_its_items_and_then_its_error(play: Play) -> None:
    async def piece(app: RunningApp) -> list[int]:
        numbers = app.client(Stock).count_to(9)
        got = [await anext(numbers) for _ in range(3)]
        with pytest.raises(OutOfStockError):
            await anext(numbers)
        return got

    assert play(Orders, piece) == [1, 2, 3]


def test_declared_baggage_travels(play: Play) -> None:
    async def piece(app: RunningApp) -> object:
        with tenant.set("acme"):
            return (await app.client(Stock).asks_for())[0]

    assert play(Orders, piece) == "acme"


def test_what_is_no_operation_is_not_on_a_client(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        await app.client(Stock).private_work()

    with pytest.raises(NotAnOperationError, match=r"(?s)`private_work`.*reserve"):
        play(Orders, piece)


def test_a_client_passes_for_its_service(play: Play) -> None:
    async def piece(app: RunningApp) -> bool:
        return isinstance(app.client(Stock), Stock)

    assert play(Orders, piece) is True


def test_a_fake_stands_in_for_a_service(play: Play) -> None:
    async def reserve(sku: str, quantity: int, is_gift: bool) -> int:
        return 77

    async def piece(app: RunningApp) -> int:
        with pytest.raises(FakeError, match=r"Stock.hang"):
            await app.client(Orders).hang()
        return await app.client(Orders).place("tea")

    assert play(Orders, piece, fakes=[fake(Stock, reserve=reserve)]) == 77


def test_a_fake_with_a_wrong_name_or_signature_is_refused() -> None:
    with pytest.raises(FakeError, match="`reserv` is no operation"):
        fake(Stock, reserv=lambda: None)
    with pytest.raises(FakeError, match="takes"):
        fake(Stock, reserve=lambda amount: None)


def test_services_start_after_what_they_need_and_stop_before_it(play: Play) -> None:
    told: list[str] = []

    def open_bell() -> Iterator[Bell]:
        told.append("bell")
        yield Bell()
        told.append("bell off")

    @service
    class Inner:
        bell: Bell

        @on_start
        async def begin(self) -> None:
            told.append("inner")

        @on_stop
        def end(self) -> None:
            told.append("inner off")

        @operation
        async def ring(self) -> int:
            return 1

    @service
    class Outer:
        inner: Inner
        size: int = from_env(3)

        @on_start
        async def begin(self) -> None:
            told.append(f"outer {await self.inner.ring()} {self.size}")

        @on_stop
        async def end(self) -> None:
            told.append("outer off")

    async def piece(app: RunningApp) -> None: ...

    play(Outer, piece, providers=[open_bell], environment={"OUTER_SIZE": "8"})
    assert told == ["bell", "inner", "outer 1 8", "outer off", "inner off", "bell off"]


def test_a_start_that_fails_stops_what_had_started_and_names_the_hook(play: Play) -> None:
    told: list[str] = []

    @service
    class First:
        @on_stop
        async def end(self) -> None:
            told.append("stopped")

    @service
    class Second:
        first: First

        @on_start
        async def begin(self) -> None:
            raise ValueError("no table")

    async def piece(app: RunningApp) -> None: ...

    with pytest.raises(ServiceStartError, match=r"Second.begin` raised ValueError: no table"):
        play(Second, piece)
    assert told == ["stopped"]


def test_a_field_that_nobody_can_fill_is_named(play: Play) -> None:
    @service
    class Needy:
        bell: Bell

    @service
    class Unset:
        token: str = from_env(secret=True)

    async def piece(app: RunningApp) -> None: ...

    with pytest.raises(ProviderMissingError, match=r"`bell` of `.*Needy`, a `Bell`"):
        play(Needy, piece)
    with pytest.raises(EnvironmentVariableError, match="UNSET_TOKEN is not set"):
        play(Unset, piece)
