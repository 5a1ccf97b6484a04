"""A value means the same in one process as between two: each known difference, in both."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import pydantic
import pytest

from outgrow import ValueMismatchError, operation, service
from outgrow.errors import SignatureError
from outgrow.testing import RunningApp

from .conftest import Play


class Count(int):
    pass


class Text(str):
    pass


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Marked(Point):
    mark: int = 0


@dataclasses.dataclass
class Line:
    points: list[Point]


class Pair(NamedTuple):
    left: int
    right: str


class Model(pydantic.BaseModel):
    name: str
    at: datetime | None = None
    _secret: int = pydantic.PrivateAttr(default=0)


class Named(pydantic.BaseModel):
    c: int = pydantic.Field(default=1, alias="see")


@service
class Echo:
    @operation
    async def named(self, value: Named) -> Named:
        return value

    @operation
    async def anything(self, value: object) -> object:
        return value

    @operation
    async def number(self, value: int) -> int:
        return value

    @operation
    async def real(self, value: float) -> float:
        return value

    @operation
    async def text(self, value: str) -> str:
        return value

    @operation
    async def maybe(self, value: str | None) -> str | None:
        return value

    @operation
    async def colour(self, value: Colour) -> Colour:
        return value

    @operation
    async def choice(self, value: Literal["a", "b", 1]) -> Literal["a", "b", 1]:
        return value

    @operation
    async def point(self, value: Point) -> Point:
        return value

    @operation
    async def line(self, value: Line) -> Line:
        return value

    @operation
    async def pair(self, value: Pair) -> Pair:
        return value

    @operation
    async def numbers(self, value: tuple[int, ...]) -> tuple[int, ...]:
        return value

    @operation
    async def table(self, value: dict[str, list[int]]) -> dict[str, list[int]]:
        value["added"] = [1]
        return value

    @operation
    async def moment(self, value: datetime) -> datetime:
        return value

    @operation
    async def money(self, value: Decimal) -> Decimal:
        return value

    @operation
    async def key(self, value: uuid.UUID) -> uuid.UUID:
        return value

    @operation
    async def model(self, value: Model) -> Model:
        return value

    @operation
    async def wrong(self) -> int:
        answer: Any = "no number"
        return answer


def echoed(play: Play, name: str, value: object) -> Any:
    async def piece(app: RunningApp) -> Any:
        return await getattr(app.client(Echo), name)(value)

    return play(Echo, piece)


BERLIN = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
SAME = [
    ("number", 5, "a number"),
    ("number", 2**64 - 1, "the largest number"),
    ("number", -(2**63), "the smallest number"),
    ("real", 1.5, "a real number"),
    ("real", float("inf"), "infinity"),
    ("text", "tea", "plain text"),
    ("text", "T\u00e4\U0001f375", "text beyond ASCII"),
    ("maybe", None, "none where it may be"),
    ("colour", Colour.RED, "a member of an enum"),
    ("choice", "b", "one of several words"),
    ("point", Point(1, "a"), "a frozen record"),
    ("line", Line([Point(1)]), "a record that can change"),
    ("pair", Pair(1, "a"), "a named tuple"),
    ("numbers", (1, 2), "a tuple"),
    ("moment", datetime(2026, 1, 1), "a moment without a zone"),
    ("moment", datetime(2026, 1, 1, tzinfo=UTC), "a moment in UTC"),
    ("moment", datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))), "a moment with offset"),
    ("money", Decimal("1.10"), "a decimal number"),
    ("key", uuid.UUID(int=7), "an id"),
    ("model", Model(name="a", at=datetime(2026, 1, 1, tzinfo=UTC)), "a model"),
]
NARROWED = [
    ("anything", (1, "a"), [1, "a"], list, "a tuple without a type becomes a list"),
    ("number", Count(3), 3, int, "a subclass of int becomes an int"),
    ("number", Level.LOW, 1, int, "a member of an IntEnum becomes an int"),
    ("text", Text("a"), "a", str, "a subclass of str becomes a str"),
    ("text", Colour.RED, "red", str, "a member of a StrEnum becomes a str"),
    ("real", 3, 3.0, float, "an int becomes a float"),
    ("point", Marked(1, "a", 9), Point(1, "a"), Point, "a subclass becomes what was declared"),
    ("numbers", [1, 2], (1, 2), tuple, "a list becomes a tuple"),
]
REFUSED = [
    ("number", True, "a bool where an int is declared"),
    ("number", 2**70, "a number past 64 bits"),
    ("number", 1.0, "a float where an int is declared"),
    ("text", None, "none where text is declared"),
    ("text", "\ud800", "a lone surrogate"),
    ("choice", "c", "a word that is none of the choices"),
    ("choice", True, "a bool among numbers"),
    ("point", Point(x=True), "a frozen record with a wrong field"),
    ("point", {"x": "1"}, "a dict with a wrong field"),
    ("line", object(), "what is no plain content"),
]


@pytest.mark.parametrize(
    ("name", "value"), [each[:2] for each in SAME], ids=[each[2] for each in SAME]
)
def test_a_value_of_its_declared_type_arrives_as_it_was(
    play: Play, name: str, value: object
) -> None:
    arrived = echoed(play, name, value)
    assert (arrived, type(arrived)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value", "expected", "kind"),
    [each[:4] for each in NARROWED],
    ids=[each[4] for each in NARROWED],
)
def test_a_value_is_narrowed_to_its_declared_type(
    play: Play, name: str, value: object, expected: object, kind: type
) -> None:
    arrived = echoed(play, name, value)
    assert (arrived, type(arrived)) == (expected, kind)


@pytest.mark.parametrize(
    ("name", "value"), [each[:2] for each in REFUSED], ids=[each[2] for each in REFUSED]
)
def test_a_value_that_does_not_fit_is_refused(play: Play, name: str, value: object) -> None:
    with pytest.raises(ValueMismatchError, match=f"`value` of `Echo.{name}`"):
        echoed(play, name, value)


def test_a_zone_keeps_its_offset_and_loses_its_name(play: Play) -> None:
    arrived = echoed(play, "moment", BERLIN)
    assert arrived == BERLIN
    assert arrived.utcoffset() == timedelta(hours=2)
    assert not isinstance(arrived.tzinfo, ZoneInfo)


def test_what_can_change_is_copied_on_the_way_in_and_out(play: Play) -> None:
    mine = {"kept": [1]}
    arrived = echoed(play, "table", mine)
    assert mine == {"kept": [1]}
    assert arrived == {"kept": [1], "added": [1]}


def test_fields_of_a_model_with_another_name_outside_are_kept(play: Play) -> None:
    assert echoed(play, "named", Named(see=5)).c == 5


def test_private_fields_of_a_model_stay_behind(play: Play) -> None:
    model = Model(name="a")
    model._secret = 7
    assert echoed(play, "model", model)._secret == 0


def test_a_result_of_another_type_is_refused(play: Play) -> None:
    async def piece(app: RunningApp) -> int:
        return await app.client(Echo).wrong()

    with pytest.raises(ValueMismatchError, match=r"result of `Echo.wrong`"):
        play(Echo, piece)


def test_a_type_that_is_no_plain_content_is_refused_at_the_start(play: Play) -> None:
    @service
    class Bad:
        @operation
        async def take(self, value: pytest.FixtureRequest) -> None: ...

    async def piece(app: RunningApp) -> None: ...

    with pytest.raises(SignatureError, match=r"`value` of `.*Bad.take`"):
        play(Bad, piece)
