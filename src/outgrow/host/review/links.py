"""Who calls whom, read from the code."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from outgrow.host.review.apps import edge_module
from outgrow.host.review.given import handed_over
from outgrow.host.review.values import Named, sketch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outgrow.host.review.functions import Function
    from outgrow.host.review.reading import Reading


CallerKind = Literal["service", "edge", "module"]


@dataclass(frozen=True)
class Link:
    """One calls another.

    Attributes:
        kind: `field` for a field of the caller, `client` where it asks for the other's client
            instead, `call` where one operation or function calls an operation, `enqueue` where it
            enqueues a job.
        caller: A service, an edge, or a module that is neither.
        caller_kind: Which of them.
        function: The operation or function that calls, or the field.
        called: A service.
        operation: Of the service, for a call; or the job.
        file: Where.
        line: From 1.
    """

    kind: Literal["field", "client", "call", "enqueue"]
    caller: str
    caller_kind: CallerKind
    function: str
    called: str
    operation: str
    file: str
    line: int

    @property
    def is_of_service(self) -> bool:
        """Whether the caller is a service that is not the called one itself."""
        return self.caller_kind == "service" and self.caller != self.called


def links_of(reading: Reading) -> list[Link]:
    """All links, each once, in the order in which they are written."""
    found: dict[Link, None] = {}
    callers = _callers(reading)
    edges = _edges_by_module(reading)
    for service in reading.code.services:
        for name, needed in service.needs.items():
            place = reading.code.place_of(service.owners[name], name)
            called = sketch(needed).name
            link = Link("field", service.name, "service", name, called, "", place.file, place.line)
            found[link] = None
    for function in reading.functions.values():
        for head in _heads(function, callers):
            for link in _calls(function, head, edges.get(head.file.module, ())):
                found[link] = None
    return _first_of_each(sorted(found, key=lambda one: (one.file, one.line)))


def _first_of_each(links: list[Link]) -> list[Link]:
    """Each link where it is written first."""
    found: dict[tuple[str, ...], Link] = {}
    for each in links:
        key = (each.kind, each.caller, each.caller_kind, each.function, each.called)
        found.setdefault((*key, each.operation), each)
    return list(found.values())


def _calls(function: Function, head: Function, edges: tuple[str, ...]) -> Iterator[Link]:
    own, name = head.own, "" if head.path == head.file.module else head.shown
    kind: CallerKind = "edge" if edges else "module"
    callers = edges or (head.file.module,)
    if own is not None:
        callers, kind, name = (sketch(own).name,), "service", head.name
    for caller in callers:
        for bound, node in function.links:
            place = function.file.place(node)
            called = sketch(bound.cls).name
            yield Link("call", caller, kind, name, called, bound.operation, place.file, place.line)
        for cls, job, node in function.enqueued:
            place = function.file.place(node)
            called = sketch(cls).name
            yield Link("enqueue", caller, kind, name, called, job, place.file, place.line)
        for cls, node in function.asked if own is not None else ():
            if cls in sketch(own).needs.values():
                continue  # it has a field of it as well
            place = function.file.place(node)
            called = sketch(cls).name
            yield Link("client", caller, kind, name, called, "", place.file, place.line)


def _callers(reading: Reading) -> Mapping[Function, list[Function]]:
    """By whom each function is called, or in which it is written to be handed on."""
    found: dict[Function, list[Function]] = {}
    for function in reading.functions.values():
        for called, _ in reading.called_by(function):
            found.setdefault(called, []).append(function)
        if function.path != function.file.module:  # that only tells a framework of its routes
            for handed in handed_over(reading, function):
                found.setdefault(handed, []).append(function)
        around, _, name = function.path.rpartition(".<locals>.")
        outer = reading.functions.get(around)
        if outer is not None and "." not in name and function.is_plain:
            found.setdefault(function, []).append(outer)
        elif function.name.startswith("<lambda") and not around:
            outer = reading.functions.get(function.file.module)
            found.setdefault(function, []).extend([outer] if outer else [])
    return found


def _heads(function: Function, callers: Mapping[Function, list[Function]]) -> list[Function]:
    """The functions by which a call begins: operations, and those that nobody here calls."""
    if not function.links and not function.asked and not function.enqueued:
        return []
    heads: list[Function] = []
    waiting, seen = [function], {function}
    for each in waiting:
        above = callers.get(each, []) if each.operation is None else []
        if not above:
            heads.append(each)
        further = [one for one in above if one not in seen]
        seen.update(further)
        waiting += further
    return heads or [function]


def _edges_by_module(reading: Reading) -> dict[str, tuple[str, ...]]:
    """The edges that each module belongs to: those whose own module imports it, at any distance."""
    found: dict[str, list[str]] = {}
    for name, app in sorted(reading.code.edges.items()):
        first = edge_module(app)
        waiting = [first] if first in reading.code.files else []
        for module in waiting:
            found.setdefault(module, []).append(name)
            waiting += [each for each in _imports(reading, module) if each not in waiting]
    return {module: tuple(names) for module, names in found.items()}


def _imports(reading: Reading, module: str) -> Iterator[str]:
    files = reading.code.files
    for value in reading.names.of(files[module]).values():
        parts = value.path.split(".") if isinstance(value, Named) else []
        for count in range(len(parts), 0, -1):
            if ".".join(parts[:count]) in files:
                yield ".".join(parts[:count])
                break
    for node in ast.walk(files[module].tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [each.name for each in node.names] + [getattr(node, "module", None) or ""]
            yield from (name for name in names if name in files)


def edges_of(reading: Reading, links: list[Link]) -> list[str]:
    """The edges by name, then the modules that call services and belong to none."""
    others = {link.caller for link in links if link.caller_kind == "module"}
    return [*sorted(reading.code.edges), *sorted(others)]
