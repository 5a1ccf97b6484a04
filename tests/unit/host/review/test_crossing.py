"""Signatures are read to their last part: what cannot cross, and what comes out changed."""

from __future__ import annotations

import pytest

from tests.unit.host.review.reviewing import Reviewed, lines

TOP = """
import datetime as dt, decimal, enum, time, uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict
from zoneinfo import ZoneInfo
import msgspec, pydantic

class Sku(enum.StrEnum):
    TEA = "tea"
class Rank(enum.IntEnum):
    FIRST = 1
class Color(enum.Enum):
    RED = 1
@dataclass(frozen=True)
class Item:
    sku: str
@dataclass
class Order:
    items: list[Item]
class Point(msgspec.Struct, frozen=True):
    x: int
class Pair(NamedTuple):
    a: int
    b: str
class Row(TypedDict):
    a: int
class Model(pydantic.BaseModel):
    a: int
class Secretive(pydantic.BaseModel):
    a: int
    b: int = pydantic.Field(default=3, exclude=True)
    _seen: int = pydantic.PrivateAttr(default=7)
class Animal(msgspec.Struct):
    name: str
class Dog(Animal):
    breed: str
Number = NewType("Number", int)
BERLIN = ZoneInfo("Europe/Berlin")
"""


def operation(signature: str, body: str = "...") -> str:
    """A service with one operation."""
    return f"""{TOP}
@service
class Shop:
    @operation
    async def act(self{signature}:
        {body}
"""


PLAIN = [
    *("int", "float", "str", "bytes", "bool", "None", "dt.date", "dt.datetime", "dt.timedelta"),
    *("decimal.Decimal", "uuid.UUID", "list[int]", "dict[str, Item]", "tuple[int, ...]"),
    *("set[str]", "frozenset[int]", "Mapping[str, int]", "int | None", "Optional[Order]"),
    *("Literal['a', 'b']", "Sku", "Rank", "Color", "Item", "Order", "Point", "Pair", "Row"),
    *("Model", "list[Model]", "Number", "Annotated[int, 'positive']", "Dog", "dict[str, Any]"),
    *("list[tuple[int, str]]", "Annotated[int, msgspec.Meta(ge=0)]"),
]


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_type_is_left_alone(reviewed: Reviewed, kind: str) -> None:
    assert lines(reviewed(operation(f", value: {kind}) -> {kind}"))) == []


@pytest.mark.parametrize(
    "kind",
    [
        *("complex", "type", "object()", "Callable[[], int]", "Iterable[int]", "Sequence[int]"),
        *("time.struct_time", "Exception", "dict[str, range]", "list[ZoneInfo] | None"),
    ],
)
def test_what_cannot_cross_is_found_at_its_parameter(reviewed: Reviewed, kind: str) -> None:
    source = operation(f",\n        fine: int,\n        value: '{kind}',\n    ) -> None")
    (found,) = reviewed(source)
    (line,) = [n for n, text in enumerate(source.splitlines(), start=2) if "value:" in text]
    assert (found.code[:4], found.line) == ("OG20", line)
    assert "`value" in found.text
    assert "`Shop.act`" in found.text


def test_all_that_is_wrong_with_a_signature_is_told(reviewed: Reviewed) -> None:
    source = operation(", a, /, b: complex, *c: int, d: 'Nowhere', **e: int) -> range")
    found = [each.text for each in reviewed(source)]
    assert len(found) == 6
    for part in ("`a`", "`b`", "`*c`", "`d: Nowhere`", "`**e`", "the result"):
        assert any(part in text for text in found), (part, found)


def test_all_operations_are_looked_at(reviewed: Reviewed) -> None:
    source = f"""{TOP}
@service
class Shop:
    @operation
    async def a(self) -> complex: ...
    @operation
    def b(self): ...
    @operation
    async def c(self) -> AsyncIterator[range]:
        yield range(3)
    @operation
    def d(self) -> Iterator[int]:
        yield 1
    @operation
    async def _e(self) -> None: ...
    @operation
    @staticmethod
    def f() -> None: ...
    @operation
    async def g(self, value: 'list[') -> AsyncIterator[int]:
        yield 1
"""
    found = lines(reviewed(source))
    assert [one.split("`")[1] for one in found] == [
        *("Shop.a", "Shop.b", "Shop.c", "Shop.d", "Shop._e", "Shop.f", "value: list["),
    ]


def test_a_sound_operation_of_a_broken_service_is_still_an_operation(reviewed: Reviewed) -> None:
    source = """
        @service
        class Stock:
            @operation
            async def good(self) -> int: return 1
            @operation
            async def bad(self, a): ...
        @service
        class Orders:
            stock: Stock
            @operation
            async def place(self) -> None:
                await self.stock.good()
                await self.stock.bad(1)
    """
    assert {each.code for each in reviewed(source)} == {"OG203"}


@pytest.mark.parametrize("kind", ["object", "Any"])
def test_anything_at_all_comes_out_changed(reviewed: Reviewed, kind: str) -> None:
    (found,) = reviewed(operation(f", value: {kind}) -> None"))
    assert (found.code, found.hint) == ("OG222", "Name the type that it has")
    assert f"`value` of `Shop.act` is `{kind}`: a tuple arrives as a list" in found.text


def test_what_a_model_keeps_to_itself_stays_behind(reviewed: Reviewed) -> None:
    (found,) = reviewed(operation(", values: list[Secretive]) -> None"))
    assert found.text == (
        "`values` of `Shop.act` is `Secretive`, of which `_seen` and `b` stays behind"
    )


def test_a_class_with_heirs_is_found(reviewed: Reviewed) -> None:
    (found,) = reviewed(operation(", value: Animal) -> None"))
    assert (found.code, found.text) == (
        "OG222",
        "`value` of `Shop.act` is `Animal`, as which a `Dog` arrives too",
    )


@pytest.mark.parametrize(
    ("result", "body"),
    [
        pytest.param("Animal", "return Animal('Rex')", id="one"),
        pytest.param("list[Animal]", "return [Animal(n) for n in 'ab']", id="a list of some"),
        pytest.param("list[Animal]", "return [Animal('a'), Animal('b')]", id="a list in full"),
        pytest.param("Animal | None", "return None", id="none"),
        pytest.param("Animal", "one = Animal('Rex'); return one", id="one by a name"),
        pytest.param("Animal", "return named('Rex')", id="what a function returns"),
        pytest.param("Animal", "return Animal('a') if self else named('b')", id="either"),
        pytest.param("Animal", "return await client(Shop).other()", id="what has crossed before"),
        pytest.param("Animal | None", "return same", id="a parameter"),
    ],
)
def test_heirs_do_not_matter_where_none_is_returned(
    reviewed: Reviewed, result: str, body: str
) -> None:
    source = operation(f", given: Dog, same: Animal) -> {result}", body) + (
        "    @operation\n    async def other(self) -> Animal: return Animal('Rex')\n"
        "def named(name: str) -> Animal:\n    made = Animal(name)\n    return made\n"
    )
    found = [each for each in reviewed(source) if each.text.startswith("the result")]
    assert lines(found) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("return passed(self)", id="a function that may return any"),
        pytest.param("return given", id="a parameter"),
        pytest.param("given = passed(given); return given", id="a parameter given anew"),
        pytest.param("for one in [Dog('a', 'b')]: return one", id="out of a list"),
    ],
)
def test_heirs_matter_where_one_may_be_returned(reviewed: Reviewed, body: str) -> None:
    source = operation(", given: Dog) -> Animal", body)
    source += "def passed(it: Animal) -> Animal: return it\n"
    assert "which a `Dog` arrives too" in " ".join(each.text for each in reviewed(source))


@pytest.mark.parametrize(
    ("result", "body", "text"),
    [
        pytest.param("str", "return Sku.TEA", "`Sku`, which arrives as a `str`", id="text enum"),
        pytest.param("int", "return Rank(1)", "`Rank`, which arrives as a `int`", id="int enum"),
        pytest.param("str | None", "return Sku.TEA", "arrives as a `str`", id="perhaps none"),
        pytest.param(
            "Animal", "return Dog('a', 'b')", "`Dog`, which arrives as a `Animal`", id="heir"
        ),
        pytest.param(
            "dict[str, int]",
            "return Counter('tea')",
            "`Counter`, which arrives as a `dict`",
            id="dict",
        ),
        pytest.param(
            "list[int]", "return (1, 2)", "`tuple`, which arrives as a `list`", id="tuple"
        ),
        pytest.param(
            "tuple[int, ...]", "return [1]", "`list`, which arrives as a `tuple`", id="list"
        ),
        pytest.param("dt.datetime", "return dt.datetime.now(BERLIN)", "only the offset", id="zone"),
        pytest.param(
            "dt.datetime",
            "now = dt.datetime.now(ZoneInfo('UTC')); return now",
            "only the offset",
            id="zone by a name",
        ),
    ],
)
def test_a_result_that_arrives_changed_is_found(
    reviewed: Reviewed, result: str, body: str, text: str
) -> None:
    found = [
        each for each in reviewed(operation(f") -> {result}", body)) if "is given" in each.text
    ]
    assert [each.code for each in found] == ["OG222"]
    assert text in found[0].text


@pytest.mark.parametrize(
    ("result", "body"),
    [
        pytest.param("str", "return Sku.TEA.value", id="the value of an enum"),
        pytest.param("Sku", "return Sku.TEA", id="an enum"),
        pytest.param("Sku | None", "return Sku('tea')", id="an enum or none"),
        pytest.param("float", "return 3", id="an int as a float"),
        pytest.param("bool", "return True", id="a bool"),
        pytest.param("dict[str, int]", "return {'a': 1}", id="a dict"),
        pytest.param("dt.datetime", "return dt.datetime.now(dt.UTC)", id="utc"),
        pytest.param(
            "dt.datetime", "return dt.datetime.now(BERLIN).astimezone(dt.UTC)", id="as utc"
        ),
        pytest.param("dt.date", "return dt.datetime.now(dt.UTC).date()", id="a date"),
        pytest.param("str", "return str(Sku.TEA)", id="an enum as text"),
    ],
)
def test_a_result_that_arrives_as_it_is_is_left_alone(
    reviewed: Reviewed, result: str, body: str
) -> None:
    assert lines(reviewed(operation(f") -> {result}", body))) == []


def test_what_a_stream_yields_is_looked_at(reviewed: Reviewed) -> None:
    (found,) = reviewed(operation(") -> AsyncIterator[str]", "yield Sku.TEA"))
    assert found.text == ("the result of `Shop.act` is given a `Sku`, which arrives as a `str`")


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("self.shop.act(Sku.TEA)", id="by position"),
        pytest.param("self.shop.act(value=Sku.TEA)", id="by name"),
        pytest.param("call(self.shop.act, Sku.TEA)", id="through call"),
        pytest.param("self.shop.act(sku)", id="a parameter"),
    ],
)
def test_an_argument_that_arrives_changed_is_found_where_it_is_passed(
    reviewed: Reviewed, written: str
) -> None:
    (found,) = reviewed(
        operation(", value: str) -> None")
        + "@service\nclass Caller:\n    shop: Shop\n    @operation\n"
        + f"    async def go(self, sku: Sku) -> None:\n        await {written}\n"
    )
    assert found.text == "`value` of `Shop.act` is given a `Sku`, which arrives as a `str`"
    assert found.hint == "Declare `Sku`, or pass its `value`"


@pytest.mark.parametrize(
    ("body", "is_found"),
    [
        ("print(value.tzname())", True),
        ("print(value.tzinfo.key)", True),
        ("print(value.tzinfo is None, value.year)", False),
    ],
)
def test_asking_a_parameter_for_its_zone_is_found(
    reviewed: Reviewed, body: str, is_found: bool
) -> None:
    found = reviewed(operation(", value: dt.datetime) -> None", body))
    assert [each.code for each in found] == ["OG222"] * is_found
