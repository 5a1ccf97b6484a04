"""Values that the code passes or returns, and that would arrive as something else."""

from __future__ import annotations

import ast
import enum
import typing
from datetime import date
from typing import TYPE_CHECKING, Any

from outgrow.errors import NarrowingError
from outgrow.host.review.crossing import heirs_of, members_of, records_in, signature_parts
from outgrow.host.review.exactly import is_exactly
from outgrow.host.review.finding import Finding, Place, finding
from outgrow.host.review.sketch import RESULT
from outgrow.host.review.values import CALL, Bound, sketch, type_of
from outgrow.host.review.zones import has_moment, names_a_zone, zones_read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.crossing import Part
    from outgrow.host.review.functions import Function
    from outgrow.host.review.reading import Reading

_HEIRS_SHOWN_MAX = 3


class Passed(typing.NamedTuple):
    """One value on its way into or out of an operation."""

    function: Function
    node: ast.expr
    bound: Bound
    parameter: str

    @property
    def place(self) -> Place:
        """Where it is written."""
        return self.function.file.place(self.node)


def narrowed_values(reading: Reading) -> Iterator[Finding]:
    """Each value that arrives as something else than it was, where the code shows it."""
    known: dict[tuple[type, str, str], list[Passed]] = {}
    for function in reading.functions.values():
        for each in (*_arguments(function), *_results(function)):
            part = (each.bound.cls, each.bound.operation, each.parameter)
            known.setdefault(part, []).append(each)
    for service in reading.code.services:
        for part in signature_parts(service):
            seen = known.get((service.cls, part.operation, part.name), [])
            for each in seen:
                yield from _arrives_changed(each, part.kind, part.what)
            yield from _heirs(reading, part, seen)
    for function in reading.functions.values():
        yield from zones_read(function)


def _arguments(function: Function) -> Iterator[Passed]:
    """What a function passes to operations of others, also through `call`."""
    for call in function.calls:
        bound, given = call.called, list(call.node.args)
        if call.path in CALL and given:
            bound, given = call.positional[0], given[1:]
        if not isinstance(bound, Bound):
            continue
        names = [each.name for each in sketch(bound.cls).operations[bound.operation].parameters]
        for name, node in zip(names, given, strict=False):
            if isinstance(node, ast.Starred):
                break
            yield Passed(function, node, bound, name)
        for keyword in call.node.keywords:
            if keyword.arg in names:
                yield Passed(function, keyword.value, bound, str(keyword.arg))


def _results(function: Function) -> Iterator[Passed]:
    """What an operation returns or yields."""
    bound = function.operation
    if bound is not None:
        yield from (Passed(function, node, bound, RESULT) for node in function.returned)


def _arrives_changed(each: Passed, kind: Any, what: str) -> Iterator[Finding]:
    actual = type_of(each.function.value(each.node))
    arrived = _arrived(actual, kind)
    if actual is not None and arrived is not None:
        is_enum = issubclass(actual, enum.Enum)
        yield finding(
            NarrowingError,
            each.place,
            f"{what} is given a `{actual.__name__}`, which arrives as a `{arrived.__name__}`",
            hint=f"Declare `{actual.__name__}`" + (", or pass its `value`" if is_enum else ""),
        )
    elif has_moment(kind) and names_a_zone(each.function, each.node):
        yield finding(
            NarrowingError,
            each.place,
            f"{what} is given a zone by name, of which only the offset arrives",
            hint="Convert it to UTC, and pass the zone's name as a text where it is needed",
        )


def _arrived(actual: type | None, kind: Any) -> type | None:
    """The type as which a value arrives, where that is another than its own."""
    plain = [typing.get_origin(each) or each for each in members_of(kind)]
    classes = [each for each in plain if isinstance(each, type)]
    if actual is None or actual in classes:
        return None
    for each in classes:
        # A bool is no int and a datetime no date on the wire: that is refused, not changed.
        if each in actual.__mro__ and each not in (object, date) and actual is not bool:
            return each
    swapped: dict[type, type] = {tuple: list, list: tuple}
    others = swapped.get(actual)
    return others if others in classes else None


def _heirs(reading: Reading, part: Part, seen: list[Passed]) -> Iterator[Finding]:
    """A class whose heirs would arrive as the class, unless no value can be one of them."""
    if seen and all(is_exactly(reading, each.function, each.node, part.kind) for each in seen):
        return
    records = records_in(part.kind)
    for record in records:
        heirs = [each for each in heirs_of(record, reading.code) if each not in records]
        if heirs:
            shown = " or ".join(f"`{each.__name__}`" for each in heirs[:_HEIRS_SHOWN_MAX])
            yield finding(
                NarrowingError,
                part.place(reading.code),
                f"{part.what} is `{record.__name__}`, as which a {shown} arrives too",
                hint=f"Name the class that is meant, or let `{record.__name__}` and its heirs "
                "inherit from a third",
            )
