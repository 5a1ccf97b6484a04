"""Clients used for more than their operations, and operations called in ways that cannot work."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from outgrow.errors import NotAnOperationError, NotAServiceError, WrongCallError
from outgrow.host.review.finding import Finding, finding
from outgrow.host.review.values import (
    CALL,
    CLIENT,
    USES,
    WAIT,
    Bound,
    Client,
    Named,
    sketch,
    thing_at,
)
from outgrow.model import is_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.functions import Call, Function
    from outgrow.host.review.reading import Reading
    from outgrow.model import Operation

_SHOWN_MAX = 6


def reached_through(reading: Reading) -> Iterator[Finding]:
    """Each use of a client for something that is no operation."""
    for function in reading.functions.values():
        for node, _ in function.nodes:
            found = _reach(function, node)
            if found is not None:
                cls, name, text = found
                yield finding(
                    NotAnOperationError,
                    function.file.place(node),
                    f"`{function.shown}` uses `{text}`: `{name}` is not an operation of "
                    f"`{cls.__qualname__}`",
                    hint=_instead_of(cls, name),
                )


def _reach(function: Function, node: ast.AST) -> tuple[type, str, str] | None:
    if isinstance(node, ast.Attribute):
        value, name = function.value(node.value), node.attr
    elif isinstance(node, ast.Call) and _is_getattr(function, node):
        value, name = function.value(node.args[0]), ast.literal_eval(node.args[1])
    else:
        return None
    if not isinstance(value, Client) or name.startswith("__"):
        return None
    known = sketch(value.cls)
    is_job = name in known.work.jobs or name in known.work.problems
    is_held = is_job or name in known.operations or name in known.parts
    return None if is_held else (value.cls, name, ast.unparse(node))


def _is_getattr(function: Function, node: ast.Call) -> bool:
    called = function.value(node.func)
    is_named = isinstance(called, Named) and called.path == "builtins.getattr"
    second = node.args[1] if len(node.args) > 1 else None
    return is_named and isinstance(second, ast.Constant) and isinstance(second.value, str)


def _instead_of(cls: type, name: str) -> str:
    known = list(sketch(cls).operations)[:_SHOWN_MAX]
    others = f"call one of: {', '.join(known)}" if known else ""
    if name in sketch(cls).work.subscriptions:
        return f"Publish the event instead; `{name}` receives it by itself"
    if name in sketch(cls).fields:
        ask = f"Add an operation to `{cls.__qualname__}` that gives what is needed"
    elif callable(getattr(cls, name, None)) and not name.startswith("_"):
        ask = "Mark it with `@operation`"
    elif others:
        return others[0].upper() + others[1:]
    else:
        return f"Add an operation to `{cls.__qualname__}`"
    return f"{ask}, or {others}" if others else ask


def wrong_calls(reading: Reading) -> Iterator[Finding]:
    """Each call that would block the event loop, or never run."""
    for function in reading.functions.values():
        for call in function.calls:
            yield from _dropped(function, call)
        for reached in _on_the_loop(reading, function):
            for call in reached.calls:
                yield from _blocked(reached, call, function)


def _on_the_loop(reading: Reading, function: Function) -> list[Function]:
    """What an async function runs on its event loop, in the same file: itself and plain functions.

    Other async functions are looked at by themselves.
    """
    found = reading.reached(function, in_file=True) if function.is_async else []
    return [each for each in found if each is function or not each.is_async]


def _operation(bound: Bound) -> Operation:
    return sketch(bound.cls).operations[bound.operation]


def _dropped(function: Function, call: Call) -> Iterator[Finding]:
    is_asked = call.path in CALL and bool(call.positional)
    bound = call.positional[0] if is_asked else call.called
    if call.use != "dropped" or not isinstance(bound, Bound):
        return
    operation = _operation(bound)
    if is_asked or operation.kind != "thread":
        way = "`async for`" if operation.kind == "stream" else "`await`"
        yield finding(
            WrongCallError,
            function.file.place(call.node),
            f"`{function.shown}` calls `{operation.shown}` without {way}, so it never runs",
            hint=f"Write {way} before it" if function.is_async else "Write `wait(...)` around it",
        )


def _blocked(function: Function, call: Call, caller: Function) -> Iterator[Finding]:
    """A call that stops the event loop of the async function which makes it, or calls who does."""
    what = f"`{function.shown}`"
    if caller is not function:
        what += f", which `{caller.shown}` calls,"
    place = function.file.place(call.node)
    if isinstance(call.called, Bound) and _operation(call.called).kind == "thread":
        shown = _operation(call.called).shown
        yield finding(
            WrongCallError,
            place,
            f"{what} calls `{shown}` directly, and a `def` blocks the event loop",
            hint=f"Write `await {_written_as_call(call.node)}`",
        )
    elif call.path in WAIT:
        yield finding(
            WrongCallError,
            place,
            f"{what} waits on the event loop, which cannot go on until it has",
            hint="Write `await` instead of `wait(...)`",
        )


def _written_as_call(node: ast.Call) -> str:
    rest = [ast.unparse(each) for each in node.args]
    rest += [ast.unparse(each).lstrip() for each in node.keywords]
    return f"call({', '.join([ast.unparse(node.func), *rest])})"


def asked_for_no_service(reading: Reading) -> Iterator[Finding]:
    """Each `client(...)` or `uses(...)` of a class that is no service."""
    for function in reading.functions.values():
        for call in function.calls:
            if call.path not in CLIENT | USES or not call.positional:
                continue
            argument = call.positional[0]
            thing = thing_at(argument.path) if isinstance(argument, Named) else None
            if isinstance(thing, type) and not is_service(thing):
                yield finding(
                    NotAServiceError,
                    function.file.place(call.node),
                    f"`{ast.unparse(call.node)}` asks for `{thing.__qualname__}`, which is no "
                    "service",
                )
