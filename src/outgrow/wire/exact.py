"""Which values may pass as they are: those that the codec would give back unchanged.

For each type a Python expression is written that is true only of such values, so that a call made
in one process copies nothing that cannot change, and still means what it means between machines.
A type whose values can change after the call has no such expression.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast
from uuid import UUID

import msgspec

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_DEPTH_MAX = 4


def encodes(text: str) -> bool:
    """Whether a text can be written as UTF-8: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_plain_moment(moment: datetime | time) -> bool:
    """Whether nothing of a moment is lost: only names of zones and the fold are."""
    return (moment.tzinfo is None or moment.tzinfo is UTC) and moment.fold == 0


def unwrapped(kind: Any) -> Any:
    """The type behind a NewType, an alias, or an Annotated without constraints."""
    while True:
        if hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        elif hasattr(kind, "__value__") and not isinstance(kind, type):
            kind = kind.__value__
        elif typing.get_origin(kind) is Annotated and not _is_constrained(kind):
            kind = typing.get_args(kind)[0]
        else:
            return kind


def _is_constrained(kind: Any) -> bool:
    return any(isinstance(each, msgspec.Meta) for each in typing.get_args(kind)[1:])


def is_frozen(kind: Any) -> bool:
    """Whether objects of this class, a record of fields, cannot change."""
    if dataclasses.is_dataclass(kind):
        return cast("Any", kind).__dataclass_params__.frozen
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_config__.frozen
    return is_named_tuple(kind)


def is_named_tuple(kind: Any) -> bool:
    """Whether this is a NamedTuple."""
    return hasattr(kind, "_fields") and issubclass(kind, tuple)


def field_types(kind: Any) -> dict[str, Any]:
    """The fields of a record, with their types."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if dataclasses.is_dataclass(kind):
        return {each.name: hints[each.name] for each in dataclasses.fields(kind)}
    names = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else kind._fields
    return {name: hints.get(name, Any) for name in names}


class ExactTest:
    """Writes the expression for one type.

    Args:
        prefix: What its own names begin with.

    Attributes:
        names: What the expression refers to, by name.
    """

    def __init__(self, prefix: str) -> None:
        self.names: dict[str, Any] = {}
        self._prefix = prefix

    def _named(self, thing: object) -> str:
        for name, known in self.names.items():
            if known is thing:
                return name
        name = f"{self._prefix}{len(self.names)}"
        self.names[name] = thing
        return name

    def expression(self, kind: Any, value: str, depth: int = 0) -> str | None:
        """True of values that may pass as they are; None where no value of the type may.

        Args:
            kind: The type.
            value: How the value is called in the expression.
            depth: How deep this type stands in another.
        """
        kind = unwrapped(kind)
        if depth > _DEPTH_MAX:
            return None  # as of a type that contains itself: the codec takes it
        origin = typing.get_origin(kind)
        if origin in (Union, UnionType):
            return self._either(typing.get_args(kind), value, depth)
        if origin is Literal:
            return self._literal(typing.get_args(kind), value)
        if origin in (tuple, frozenset):
            return self._collection(origin, typing.get_args(kind), value, depth)
        if not isinstance(kind, type):
            return f"{value} is None" if kind is None else None
        return self._scalar(kind, value) or self._record(kind, value, depth)

    def _scalar(self, kind: type, value: str) -> str | None:
        exact = self._exact(kind, value)
        if kind is NoneType:
            return f"{value} is None"
        if kind is int:
            return f"({exact} and {_INT_MIN} <= {value} <= {_INT_MAX})"
        if kind is str:
            return f"({exact} and ({value}.isascii() or {self._named(encodes)}({value})))"
        if kind in (float, bool, bytes, date, timedelta, UUID):
            return f"({exact})"
        if kind in (datetime, time):
            return f"({exact} and {self._named(is_plain_moment)}({value}))"
        if kind is Decimal:
            return f"({exact} and {value}.is_finite())"
        if issubclass(kind, enum.Enum) and not issubclass(kind, enum.Flag):
            return f"({exact})"
        return None

    def _literal(self, allowed: tuple[Any, ...], value: str) -> str:
        pairs: set[tuple[Any, Any]] = {(type(each), each) for each in allowed}
        kinds = self._named((str, int, bool, bytes, NoneType))
        its = f"{self._named(type)}({value})"
        return f"({its} in {kinds} and ({its}, {value}) in {self._named(pairs)})"

    def _either(self, kinds: tuple[Any, ...], value: str, depth: int) -> str | None:
        tests = [test for kind in kinds if (test := self.expression(kind, value, depth))]
        # One that may not pass goes through the codec; the others need not.
        return f"({' or '.join(tests)})" if tests else None

    def _collection(
        self, origin: type, kinds: tuple[Any, ...], value: str, depth: int
    ) -> str | None:
        exact = self._exact(origin, value)
        if origin is frozenset or (len(kinds) == 2 and kinds[1] is ...):
            each = f"{self._prefix}each{depth}"
            test = self.expression(kinds[0], each, depth + 1) if kinds else None
            every = self._named(all)
            return test and f"({exact} and {every}({test} for {each} in {value}))"
        if kinds == ():
            return None
        tests = [self.expression(kind, f"{value}[{n}]", depth + 1) for n, kind in enumerate(kinds)]
        return self._all([exact, f"{self._named(len)}({value}) == {len(kinds)}"], tests)

    def _record(self, kind: type, value: str, depth: int) -> str | None:
        if not (_is_record(kind) and is_frozen(kind)):
            return None
        exact = self._exact(kind, value)
        fields = field_types(kind)
        tests = [
            self.expression(each, f"{value}.{name}", depth + 1) for name, each in fields.items()
        ]
        return self._all([exact], tests)

    def _exact(self, kind: type, value: str) -> str:
        # By a name of its own: a parameter may be called `type`.
        return f"{self._named(type)}({value}) is {self._named(kind)}"

    def _all(self, first: list[str], tests: list[str | None]) -> str | None:
        if None in tests:
            return None
        return f"({' and '.join([*first, *cast('list[str]', tests)])})"


def _is_record(kind: Any) -> bool:
    is_struct = issubclass(kind, msgspec.Struct)
    return dataclasses.is_dataclass(kind) or is_struct or is_named_tuple(kind)
