"""Which parameters hold clients: those to which the code in sight passes one, and nothing else."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from outgrow.host.review.code import FunctionNode
from outgrow.host.review.values import Client, Given, Named, Own, Value, thing_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.functions import Call, Function
    from outgrow.host.review.reading import Reading

# A parameter, by the path of its function and its name.
Parameter = tuple[str, str]
Held = Literal["client", "object"]


def given_clients(reading: Reading) -> frozenset[Parameter]:
    """The parameters that hold clients, also through functions that hand on what they were given.

    One that is passed an object made by hand as well may be either, so it does not count.
    """
    held = _injected(reading)
    handed_on: dict[Parameter, set[Parameter]] = {}
    for function in reading.functions.values():
        for call in function.calls:
            for given, value in _passed(reading, function, call):
                parameter = (given.function, given.name)
                if isinstance(value, Given):
                    handed_on.setdefault((value.function, value.name), set()).add(parameter)
                else:
                    held.setdefault(parameter, set()).update(_kinds(value, given))
    waiting = list(held)
    for each in waiting:  # until nothing is new, so functions that call one another do no harm
        for further in handed_on.get(each, ()):
            known = held.setdefault(further, set())
            if not held[each] <= known:
                known |= held[each]
                waiting.append(further)
    return frozenset(parameter for parameter, kinds in held.items() if kinds == {"client"})


def _injected(reading: Reading) -> dict[Parameter, set[Held]]:
    """The parameters that a framework fills with what `uses` asks for.

    They are those of decorated functions, and of all functions in the file that asks.
    """
    used = frozenset[type]().union(*reading.used.values())
    found: dict[Parameter, set[Held]] = {}
    for function in reading.functions.values():
        module = function.file.module
        is_decorated = not function.is_plain and function.operation is None
        for given in function.given.values():
            is_used = given.cls in (used if is_decorated else reading.used[module])
            if is_used and given.cls.__module__ != module:
                found[given.function, given.name] = {"client"}
    return found


def handed_over(reading: Reading, function: Function) -> Iterator[Function]:
    """The functions that this one hands to others together with a client: to a task, a thread."""
    for call in function.calls:
        values = (*call.positional, *call.keywords.values())
        if any(isinstance(each, Client) for each in values):
            for _, target in _handed(reading, call):
                yield target


def _passed(
    reading: Reading, function: Function, call: Call
) -> Iterator[tuple[Given, Value | None]]:
    """What a call passes to parameters that are annotated with services."""
    called = reading.at(call.path)
    targets = [(0, call.node.func, called)] if called is not None else []
    targets += [
        (number + 1, call.node.args[number], each) for number, each in _handed(reading, call)
    ]
    for start, node, target in targets:
        names = _names(target, is_bound=_is_of_object(function, node))
        arguments = [*zip(names, call.positional[start:], strict=False), *call.keywords.items()]
        stars = [n for n, each in enumerate(call.node.args) if isinstance(each, ast.Starred)]
        if stars:  # behind it, nobody knows which is which
            arguments = [*arguments[: max(stars[0] - start, 0)], *call.keywords.items()]
        for name, value in arguments:
            given = target.given.get(name)
            if given is not None:
                yield given, value


def _handed(reading: Reading, call: Call) -> Iterator[tuple[int, Function]]:
    """The functions among the arguments of a call: what follows them is passed to them in turn."""
    for number, value in enumerate(call.positional):
        found = reading.at(value.path) if isinstance(value, Named) else None
        if found is not None:
            yield number, found


def _names(target: Function, *, is_bound: bool) -> list[str]:
    """The parameters that arguments by position are for."""
    node = target.node
    if isinstance(node, ast.Module):
        return []
    marks = {ast.unparse(each) for each in getattr(node, "decorator_list", ())}
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    is_bound = "classmethod" in marks or (is_bound and "staticmethod" not in marks)
    return names[1:] if is_bound and isinstance(node, FunctionNode) else names


def _is_of_object(function: Function, node: ast.AST) -> bool:
    """Whether an expression is a method of an object, which then comes first by itself."""
    holder = function.value(node.value) if isinstance(node, ast.Attribute) else None
    return isinstance(holder, Own) or (isinstance(holder, Named) and holder.path.endswith("()"))


def _kinds(value: Value | None, given: Given) -> set[Held]:
    """What is seen to be passed, where the code shows it."""
    if isinstance(value, Client) and issubclass(value.cls, given.cls):
        return {"client"}
    made = value.path.removesuffix("()") if isinstance(value, Named) else ""
    is_made = isinstance(value, Named) and made != value.path and isinstance(thing_at(made), type)
    return {"object"} if is_made or isinstance(value, Own) else set()
