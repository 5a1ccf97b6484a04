"""Operations and parameters may be called as what the written call path uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from outgrow import Baggage, operation, service
from outgrow.testing import RunningApp

from .conftest import Play

tags = Baggage("tags", list[str])


@service
class Odd:
    @operation
    async def find(self, type: str, isinstance: int, len: Literal["a"]) -> str:
        return f"{type}{isinstance}{len}"

    @operation
    async def price(self, price: int) -> int:
        return price

    @operation
    async def type(self, result: list[int]) -> int:
        return len(result)

    @operation
    async def isinstance(self, r: int, cross: int = 1, default_r: int = 2) -> str:
        raise ValueError(r + cross + default_r)

    @operation
    async def Exception(self, type: int) -> AsyncIterator[int]:
        yield type

    @operation
    async def tag(self) -> None:
        (tags.get() or []).append("callee")


def test_names_of_python_itself_may_be_used(play: Play) -> None:
    async def piece(app: RunningApp) -> list[Any]:
        odd = app.client(Odd)
        found = [await odd.find("t", 1, "a"), await odd.price(2), await odd.type([3, 4, 5])]
        found += [item async for item in odd.Exception(4)]
        try:
            await odd.isinstance(5)
        except ValueError as error:
            found.append(error.args)
        return found

    assert play(Odd, piece) == ["t1a", 2, 3, 4, (8,)]


def test_baggage_is_not_changed_by_a_callee(play: Play) -> None:
    async def piece(app: RunningApp) -> list[str] | None:
        with tags.set(["caller"]):
            await app.client(Odd).tag()
            return tags.get()

    assert play(Odd, piece) == ["caller"]
