"""Signatures whose values cannot cross between processes, or come out changed."""

from __future__ import annotations

import re
import sys
import typing
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, cast

from outgrow.errors import NarrowingError, ServiceError, SignatureError
from outgrow.host.review.finding import Finding, finding, finding_of
from outgrow.host.review.hidden import hidden_names
from outgrow.host.review.sketch import RESULT
from outgrow.wire import Codec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.code import Code
    from outgrow.host.review.finding import Place
    from outgrow.host.review.sketch import Sketch

_NAMED = re.compile(r"names `(\w+)`")
_DEPTH_MAX = 8


def uncrossable(code: Code) -> Iterator[Finding]:
    """Each field, parameter and result whose type is missing, or whose values cannot cross."""
    for service in code.services:
        for problem in service.problems:
            if not _is_hidden_import(code, problem.owner, problem.error):
                place = code.place_of(problem.owner, problem.member, problem.parameter)
                yield finding_of(problem.error, place)
        for each in signature_parts(service):
            problem = _problem_of(each.kind, each.what)
            if problem is not None:
                yield finding_of(problem, each.place(code))


@dataclass(frozen=True)
class Part:
    """A parameter or the result of an operation.

    Attributes:
        service: Whose.
        operation: Its name.
        name: The parameter's; `return` for the result.
        kind: The type.
        what: How it is called in a message.
    """

    service: Sketch
    operation: str
    name: str
    kind: Any
    what: str

    def place(self, code: Code) -> Place:
        """Where it is written."""
        return code.place_of(self.service.owners[self.operation], self.operation, self.name)


def signature_parts(service: Sketch) -> Iterator[Part]:
    """Each parameter and result of a service's operations whose type can be read."""
    types = {
        name: {each.name: each.type for each in operation.parameters} | {RESULT: operation.result}
        for name, operation in service.operations.items()
    }
    for operation, parts in (types | dict(service.parts)).items():
        shown = f"`{service.cls.__qualname__}.{operation}`"
        for name, kind in parts.items():
            what = f"the result of {shown}" if name == RESULT else f"`{name}` of {shown}"
            yield Part(service, operation, name, kind, what)


def _problem_of(kind: Any, what: str) -> ServiceError | None:
    try:
        Codec(kind, what)
    except ServiceError as problem:
        return problem
    except Exception as problem:  # a type may do anything when it is looked at
        return SignatureError(f"{what} cannot cross: {problem}")
    return None


def _is_hidden_import(code: Code, owner: type, problem: ServiceError) -> bool:
    """Whether a name is missing because of an import that is reported by itself."""
    missing, file = _NAMED.search(problem.text), code.files.get(owner.__module__)
    return bool(missing and file and missing[1] in hidden_names(file))


def narrowed(code: Code) -> Iterator[Finding]:
    """Each parameter and result of a type whose values come out changed."""
    for service in code.services:
        for each in signature_parts(service):
            if _problem_of(each.kind, each.what) is None:
                yield from _narrowings(each.kind, each.what, each.place(code))


def _narrowings(kind: Any, what: str, place: Place) -> Iterator[Finding]:
    if kind in (Any, object):
        word = "Any" if kind is Any else "object"
        yield finding(
            NarrowingError,
            place,
            f"{what} is `{word}`: a tuple arrives as a list, a date as text, an object as a dict",
            hint="Name the type that it has",
        )
        return
    for cls in records_in(kind):
        yield from _private(cls, what, place)


def _private(cls: Any, what: str, place: Place) -> Iterator[Finding]:
    """What a model of pydantic leaves behind."""
    private = list(getattr(cls, "__private_attributes__", {}))
    fields = cast("dict[str, Any]", getattr(cls, "model_fields", {}))
    private += [name for name, each in fields.items() if getattr(each, "exclude", None) is True]
    if private:
        names = " and ".join(f"`{name}`" for name in private)
        yield finding(
            NarrowingError,
            place,
            f"{what} is `{cls.__name__}`, of which {names} stays behind",
            hint="Make it an ordinary field, or work it out where it is needed",
        )


def records_in(kind: Any) -> list[type]:
    """The classes with fields that values of a type are made of, each once."""
    found: list[type] = []
    waiting: list[tuple[Any, int]] = [(kind, 0)]
    while waiting:
        each, depth = waiting.pop()
        if typing.get_origin(each) is Annotated:
            each = typing.get_args(each)[0]
        waiting += [(part, depth + 1) for part in typing.get_args(each) if depth < _DEPTH_MAX]
        plain = typing.get_origin(each) or each
        if isinstance(plain, type) and plain not in found and _field_types(plain):
            found.append(plain)
            waiting += [(part, depth + 1) for part in _field_types(plain) if depth < _DEPTH_MAX]
    return found


def _field_types(cls: type) -> list[Any]:
    marks = ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__", "model_fields")
    if not any(hasattr(cls, mark) for mark in (*marks, "_fields")):
        return []
    try:
        return list(typing.get_type_hints(cls, include_extras=True).values())
    except Exception:  # what it names may be missing, which is said elsewhere
        return []


def heirs_of(cls: type, code: Code) -> list[type]:
    """The classes under review that inherit from one, and whose objects would arrive as it."""
    found: list[type] = []
    waiting = list(cls.__subclasses__())
    while waiting:
        each = waiting.pop(0)
        waiting += each.__subclasses__()
        generic = getattr(each, "__pydantic_generic_metadata__", {}).get("origin")
        module = sys.modules.get(each.__module__)
        is_current = getattr(module, each.__qualname__.partition(".")[0], None) is not None
        if each.__module__ in code.files and is_current and not generic:
            found.append(each)
    return found


def members_of(kind: Any) -> tuple[Any, ...]:
    """The types that a type lets a value have."""
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    if typing.get_origin(kind) in (Union, UnionType):
        return tuple(each for part in typing.get_args(kind) for each in members_of(part))
    return (kind,)
