"""Exceptions arrive alike from everywhere: with class and content and, from afar, a trace."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow import (
    OverloadedError,
    RemoteError,
    UnavailableError,
    call,
    deadline,
    operation,
    service,
)
from outgrow.testing import RunningApp

from .conftest import Placed, Play


class SlottedError(Exception):
    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__("slotted")
        self.number = number


class DoorError(OSError):
    def __init__(self, number: int) -> None:
        super().__init__(number, "the door is shut")


class StubbornError(Exception):
    def __new__(cls, first: str, _second: str) -> StubbornError:
        return super().__new__(cls, first)

    def __init__(self, first: str, _second: str) -> None:
        super().__init__(first)


class OrderGroup(ExceptionGroup[Exception]):
    def derive(self, excs: Any) -> OrderGroup:
        return OrderGroup(self.message, excs)


def raised(how: str) -> Exception:
    if how == "slot":
        return SlottedError(7)
    if how == "file":
        return FileNotFoundError(2, "No such file", "/nowhere/x")
    if how == "own file":
        return DoorError(13)
    if how == "import":
        return ModuleNotFoundError("No module named 'teapot'", name="teapot")
    if how == "stubborn":
        return StubbornError("tea", "pot")
    if how == "group":
        inner = OrderGroup("inner", [OverloadedError("full", retry_after_seconds=3)])
        return ExceptionGroup("outer", [ValueError("tea"), inner])
    return UnavailableError("not reached", may_have_run=False)


@service
class Stock:
    @operation
    async def fail(self, how: str) -> None:
        raise raised(how)

    @operation
    async def fail_within(self) -> int:
        return len(str(1 // int("0")))

    @operation
    def first(self) -> int:
        return next(iter([]))


@service
class Orders:
    stock: Stock

    @operation
    async def fail(self, how: str) -> None:
        await self.stock.fail(how)

    @operation
    async def fail_within(self) -> int:
        return await self.stock.fail_within()


@pytest.fixture
def fail(play: Play) -> Any:
    """The exception that comes back of two calls."""

    def failed(how: str) -> Any:
        async def piece(app: RunningApp) -> Exception:
            with pytest.raises(Exception) as caught:  # noqa: PT011
                await app.client(Orders).fail(how)
            return caught.value

        return play(Orders, piece)

    return failed


def test_what_is_not_among_the_arguments_of_an_exception_crosses(fail: Any) -> None:
    assert fail("slot").number == 7
    assert fail("import").name == "teapot"
    assert fail("file").filename == "/nowhere/x"
    assert str(fail("file")) == "[Errno 2] No such file: '/nowhere/x'"
    own = fail("own file")
    assert (type(own), own.errno, str(own)) == (DoorError, 13, "[Errno 13] the door is shut")


def test_an_exception_that_cannot_be_made_again_is_a_remote_error_everywhere(fail: Any) -> None:
    assert type(fail("stubborn")) is RemoteError


def test_a_group_of_exceptions_crosses_with_its_parts(fail: Any) -> None:
    group = fail("group")
    assert (type(group), group.message) == (ExceptionGroup, "outer")
    first, inner = group.exceptions
    assert (type(first), first.args) == (ValueError, ("tea",))
    assert (type(inner), inner.message) == (OrderGroup, "inner")
    assert inner.exceptions[0].retry_after_seconds == 3


def test_a_call_that_did_not_run_ran_for_those_who_called_its_caller(fail: Any) -> None:
    error = fail("unavailable")
    assert isinstance(error, UnavailableError)
    assert error.may_have_run


def test_a_stop_iteration_in_a_thread_reaches_its_caller(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        with deadline(5):
            await call(app.client(Stock).first)

    with pytest.raises(RuntimeError, match="StopIteration"):
        play(Stock, piece)


def test_an_exception_from_another_process_says_where_it_was_raised(
    play: Play, placement: Placed
) -> None:
    async def piece(app: RunningApp) -> list[str]:
        with pytest.raises(ZeroDivisionError) as caught:
            await app.client(Orders).fail_within()
        return getattr(caught.value, "__notes__", [])

    notes = play(Orders, piece)
    if placement != "sockets":
        assert notes == []
        return
    title, *lines = notes[0].splitlines()
    places = [line.strip().partition(":")[::2] for line in lines]
    assert len(notes) == 1
    assert title == "Raised in another process:"
    assert [file for file, _ in places] == ["test_exceptions.py"] * 2
    assert [place.partition(" in ")[2] for _, place in places] == [
        "Orders.fail_within",
        "Stock.fail_within",
    ]
