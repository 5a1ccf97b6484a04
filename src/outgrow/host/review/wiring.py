"""Whether the services fit together: what they need exists, and none needs itself."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from outgrow.errors import CycleError, FieldTypeError, NotAServiceError, ProviderMissingError
from outgrow.host.review.code import classes_of
from outgrow.host.review.finding import Finding, Place, finding
from outgrow.host.review.hidden import hidden_names
from outgrow.host.review.sketch import is_operation
from outgrow.host.review.values import thing_at
from outgrow.host.services import product_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outgrow.host.review.code import Code
    from outgrow.host.review.reading import Reading
    from outgrow.model import Field

# One step of a circle: the services, what leads from one to the other, and where that is written.
Step = tuple[type, type, str, Place]


def unmarked_services(code: Code) -> Iterator[Finding]:
    """Each class with operations that is no service, and that none inherits from."""
    used = {each.cls for each in code.services}
    for file in code.involved_files:
        for name, node in classes_of(file.tree):
            cls = thing_at(f"{file.module}.{name}")
            if not isinstance(cls, type) or inspect.isabstract(cls) or cls in used:
                continue
            is_inherited = any(cls in each.__mro__ for each in used)
            if any(is_operation(member) for member in vars(cls).values()) and not is_inherited:
                yield finding(
                    NotAServiceError,
                    file.place(node),
                    f"`{name}` has operations, but is no service",
                )


def fields_of_no_service(code: Code) -> Iterator[Finding]:
    """Each field typed with a class that has operations and is no service."""
    for service in code.services:
        for field in service.fields.values():
            if field.kind == "provided" and _has_operations(field.type):
                yield finding(
                    NotAServiceError,
                    code.place_of(service.owners[field.name], field.name),
                    f"the field `{field.name}` of `{service.cls.__qualname__}` is "
                    f"`{field.type.__qualname__}`, which has operations, but is no service",
                    hint=f"Write `@service` above `{field.type.__qualname__}`",
                )


def _has_operations(kind: Any) -> bool:
    return isinstance(kind, type) and any(
        is_operation(member) for owner in kind.__mro__ for member in vars(owner).values()
    )


def unprovided_fields(code: Code) -> Iterator[Finding]:
    """Each field whose value nothing makes, and each provider that does not say what it makes."""
    made: list[Any] = []  # a type may have no hash
    for provider in code.providers:
        try:
            made.append(product_of(provider))
        except NameError as problem:
            file = code.files.get(provider.__module__)
            if file is None or problem.name not in hidden_names(file):
                yield finding(
                    FieldTypeError,
                    _place_of(provider, code),
                    f"the provider `{provider.__name__}` names `{problem.name}`, which is not "
                    "there when the program runs",
                )
    for service in code.services:
        for field in service.fields.values():
            is_missing = field.kind == "provided" and field.type not in made
            if is_missing and not _has_operations(field.type):
                shown = getattr(field.type, "__qualname__", str(field.type))
                yield finding(
                    ProviderMissingError,
                    code.place_of(service.owners[field.name], field.name),
                    f"nothing that was imported makes the field `{field.name}: {shown}` of "
                    f"`{service.cls.__qualname__}`",
                    hint=f"Write a function with `@provides` above it that returns `{shown}`, or "
                    "import the one there is",
                )


def maker_of(field: Field, code: Code) -> Callable[..., Any] | None:
    """The provider that makes a field; the first where there are several."""
    if field.kind != "provided":
        return None
    for provider in code.providers:
        try:
            if product_of(provider) == field.type:
                return provider
        except NameError:
            continue
    return None


def _place_of(function: Callable[..., Any], code: Code) -> Place:
    file = code.files.get(function.__module__)
    return Place(file.shown if file else function.__module__, function.__code__.co_firstlineno)


def circles(reading: Reading) -> Iterator[Finding]:
    """Each circle of services that call one another, by fields or by asking for a client."""
    # The hidden ones first, since nobody would look there.
    steps = sorted(
        _steps(reading), key=lambda one: (not one[2].startswith("`"), one[3].file, one[3].line)
    )
    told: list[set[type]] = []
    for step in steps:
        circle = _circle_of(step, steps)
        members = {one[0] for one in circle}
        if circle and members not in told:
            told.append(members)
            shown = " -> ".join(one[2] for one in circle)
            yield finding(
                CycleError,
                step[3],
                f"services need one another: {shown} -> {step[0].__qualname__}",
            )


def _steps(reading: Reading) -> Iterator[Step]:
    code = reading.code
    for service in code.services:
        cls = service.cls
        for name, needed in service.needs.items():
            place = code.place_of(service.owners[name], name)
            yield cls, needed, f"{cls.__qualname__}.{name}", place
        for method in reading.methods_of(cls):
            for function in _all_of(reading, method):
                for asked, node in function.asked:
                    label = f"`{function.shown}` for {cls.__qualname__}"
                    if function.shown.startswith(cls.__qualname__ + "."):
                        label = f"`{function.shown}`"
                    yield cls, asked, label, function.file.place(node)


def _all_of(reading: Reading, first: Any) -> list[Any]:
    """A function with all that it runs, and all that is written in these."""
    return [one for each in reading.reached(first) for one in reading.within(each)]


def _circle_of(first: Step, steps: list[Step]) -> list[Step]:
    """The shortest way round that begins with a step; empty where there is none."""
    ways: list[list[Step]] = [[first]]
    seen: set[type] = set()
    for way in ways:
        here = way[-1][1]
        if here is first[0]:
            return way
        if here not in seen:
            seen.add(here)
            ways += [[*way, step] for step in steps if step[0] is here]
    return []
