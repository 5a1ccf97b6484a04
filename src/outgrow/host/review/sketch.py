"""What can be read of a service although parts of it are wrong, and all that is wrong with it.

`describe` stops at the first thing that is wrong, as a start should. Here each field, parameter and
result is read by itself: in a class of its own that has nothing else.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outgrow.errors import ServiceError
from outgrow.model import Field, Operation, describe, readable_work

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outgrow.model import ReadableWork, ServiceOptions

_OPTIONS, _OPERATION = "__outgrow_service__", "__outgrow_operation__"
RESULT = "return"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a service.

    Attributes:
        error: What `describe` raised.
        owner: The class that has the member.
        member: A field or a method.
        parameter: Which of the method's, `return` for its result; empty for the member itself.
    """

    error: ServiceError
    owner: type
    member: str
    parameter: str = ""


@dataclass(frozen=True)
class Sketch:
    """A service as far as it can be read.

    Attributes:
        cls: The class.
        options: What `@service` was given.
        operations: Those that can be read, by name.
        parts: Of the other operations, by name: the types that can be read, by parameter.
        fields: Those that can be read, by name.
        owners: The class that each operation and field is written in, by name.
        work: Its subscriptions and jobs.
        problems: With the others.
    """

    cls: type
    options: ServiceOptions
    operations: Mapping[str, Operation]
    parts: Mapping[str, Mapping[str, Any]]
    fields: Mapping[str, Field]
    owners: Mapping[str, type]
    work: ReadableWork
    problems: tuple[Problem, ...]

    @property
    def name(self) -> str:
        """Of the service."""
        return self.options.name

    @property
    def needs(self) -> dict[str, type]:
        """The services that it has a field of, by the field's name."""
        return {each.name: each.type for each in self.fields.values() if each.kind == "service"}


def sketch_of(cls: type) -> Sketch:
    """Read what can be read of a service."""
    owners = _owners_of(cls)
    try:
        model = describe(cls)
    except ServiceError:
        return _pieced_together(cls, owners)
    work = readable_work(cls)
    problems = tuple(_of_work(work))
    return Sketch(cls, model.options, model.operations, {}, model.fields, owners, work, problems)


def is_operation(member: object) -> bool:
    """Whether a member of a class is marked with `@operation`."""
    return hasattr(member, _OPERATION)


def _owners_of(cls: type) -> dict[str, type]:
    found: dict[str, type] = {}
    for owner in reversed(cls.__mro__[:-1]):
        marked = [name for name, member in vars(owner).items() if is_operation(member)]
        annotated = inspect.get_annotations(owner)
        found |= dict.fromkeys([*marked, *annotated], owner)
    return found


def _pieced_together(cls: type, owners: Mapping[str, type]) -> Sketch:
    operations: dict[str, Operation] = {}
    parts: dict[str, dict[str, Any]] = {}
    fields, problems = _fields_of(cls, owners)
    for name, owner in owners.items():
        method = owner.__dict__.get(name)
        if not is_operation(method):
            continue
        try:
            operations[name] = describe(_with_method(cls, owner, name, method)).operations[name]
        except ServiceError as error:
            parts[name], found = _parts_of(cls, owner, name, method)
            problems += found or [Problem(error, owner, name)]
    options: ServiceOptions = getattr(cls, _OPTIONS)
    work = readable_work(cls)
    problems += _of_work(work)
    return Sketch(cls, options, operations, parts, fields, owners, work, tuple(problems))


def _of_work(work: ReadableWork) -> list[Problem]:
    return [Problem(error, owner, name) for name, (owner, error) in work.problems.items()]


def _fields_of(cls: type, owners: Mapping[str, type]) -> tuple[dict[str, Field], list[Problem]]:
    fields: dict[str, Field] = {}
    problems: list[Problem] = []
    for each in dataclasses.fields(cls):
        owner = owners.get(each.name, cls)
        try:
            if each.init:
                fields[each.name] = describe(_with_field(cls, owner, each)).fields[each.name]
        except ServiceError as error:
            problems.append(Problem(error, owner, each.name))
    return fields, problems


def _parts_of(
    cls: type, owner: type, name: str, method: Any
) -> tuple[dict[str, Any], list[Problem]]:
    """The type of each parameter and of the result, and what is wrong with the others."""
    known: dict[str, Any] = {}
    problems: dict[str, Problem] = {}
    is_method = inspect.isfunction(method) and not name.startswith("_")
    for part, shorter in _shortened(method) if is_method else ():
        try:
            alone = _with_method(cls, owner, name, _with_signature(method, shorter))
            read = describe(alone).operations[name]
        except ServiceError as error:
            # What is wrong with the method itself is said with each of its parts.
            problems[error.text] = Problem(error, owner, name, part)
        else:
            known[part] = read.result if part == RESULT else read.parameters[0].type
    return known, list(problems.values())


def _shortened(method: Any) -> Iterator[tuple[str, inspect.Signature]]:
    """The signature with nothing but one parameter, for each, and with nothing but the result."""
    signature = inspect.signature(method)
    first, *others = signature.parameters.values()
    # What stands for a result while a parameter is looked at.
    nothing = AsyncIterator[None] if inspect.isasyncgenfunction(method) else None
    for each in others:
        yield each.name, signature.replace(parameters=[first, each], return_annotation=nothing)
    yield RESULT, signature.replace(parameters=[first])


def _with_signature(method: Any, signature: inspect.Signature) -> Any:
    copy = types.FunctionType(method.__code__, method.__globals__, method.__name__)
    copy.__module__ = method.__module__
    setattr(copy, "__signature__", signature)  # noqa: B010
    setattr(copy, _OPERATION, getattr(method, _OPERATION))
    return copy


def _with_method(cls: type, owner: type, name: str, method: Any) -> type:
    return _apart(cls, owner, {name: method})


def _with_field(cls: type, owner: type, each: dataclasses.Field[Any]) -> type:
    content: dict[str, Any] = {"__annotations__": {each.name: owner.__annotations__[each.name]}}
    if each.default is not dataclasses.MISSING:
        content[each.name] = dataclasses.field(default=each.default)
    elif each.default_factory is not dataclasses.MISSING:
        content[each.name] = dataclasses.field(default_factory=each.default_factory)
    return _apart(cls, owner, content)


def _apart(cls: type, owner: type, content: dict[str, Any]) -> type:
    """A service that has only this of another; nobody else ever sees it."""
    names = {"__module__": owner.__module__, "__qualname__": cls.__qualname__}
    made = type(cls.__name__, (), {**content, **names})
    setattr(made, _OPTIONS, getattr(cls, _OPTIONS))
    return dataclasses.dataclass(kw_only=True, eq=False)(made)
