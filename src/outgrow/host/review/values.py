"""What an expression in the code can stand for.

A thing is known by its dotted path from its module: `shop.stock.Stock`. What a call of it gives has
the same path with parentheses: `threading.Lock()`, `shop.stock.Stock().find()`. Clients of services
and the operations on them are told apart, since the rules are about them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import threading
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from outgrow.host.review.sketch import Sketch, sketch_of

CALL, CLIENT, USES, WAIT = (
    {f"outgrow.{name}", f"outgrow.host.{name}"} for name in ("call", "client", "uses", "wait")
)
ANNOTATED = {"typing.Annotated", "typing_extensions.Annotated"}
_STEPS_MAX = 20


@dataclass(frozen=True)
class Named:
    """Something that has a path."""

    path: str


@dataclass(frozen=True)
class Given(Named):
    """What a parameter is passed whose annotation is a service: a client, or an object of it."""

    cls: type
    function: str
    name: str


@dataclass(frozen=True)
class Client:
    """A client of a service."""

    cls: type


@dataclass(frozen=True)
class Bound:
    """An operation of a client."""

    cls: type
    operation: str


@dataclass(frozen=True)
class Own:
    """The object itself, in a method of a service."""

    cls: type


@dataclass(frozen=True)
class Literal:
    """A value that stands in the code, or the type of a display such as `[1, 2]`."""

    kind: type


Value = Named | Client | Bound | Own | Literal
LookUp = Callable[[str], Value | None]
# What a name that may be anything stands for.
Env = dict[str, Value | None]


@functools.cache
def sketch(cls: type) -> Sketch:
    """What is known of a service, whether it is under review or comes from a library."""
    return sketch_of(cls)


def thing_at(path: str) -> Any:
    """What lies at a path in the modules that are loaded; None where nothing does."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        module = sys.modules.get(".".join(parts[:count]))
        if module is not None:
            return _inside(module, parts[count:])
    return None


def _inside(found: Any, parts: list[str]) -> Any:
    for part in parts:
        if not issubclass(type(found), ModuleType | type):
            return None
        try:
            found = getattr(found, part)
        except Exception:  # a class may compute its attributes
            return None
    return found if _is_itself(found) else None


def _is_itself(found: object) -> bool:
    """Whether a thing may be looked at: one that stands for another would open or connect that."""
    if issubclass(type(found), ModuleType | type):
        return True
    pretended = [
        vars(owner).get(name)
        for owner in type(found).__mro__[:-1]
        for name in ("__class__", "__getattribute__")
    ]
    return not any(isinstance(each, FunctionType | property) for each in pretended)


def type_of(value: Value | None) -> type | None:
    """The class of a value, where the code says it."""
    if isinstance(value, Literal):
        return value.kind
    if not isinstance(value, Named):
        return None
    if value.path.endswith("()"):
        made = thing_at(value.path[:-2])
        return made if isinstance(made, type) else None
    found: object = thing_at(value.path)
    return None if found is None or inspect.ismodule(found) else type(found)


def made_of(kind: Any) -> Value | None:
    """An object of this class."""
    if kind is threading.Lock:  # which is a function before Python 3.13
        return Named("threading.Lock()")
    plain = typing.get_origin(kind) or kind
    is_class = isinstance(plain, type)
    return Named(f"{plain.__module__}.{plain.__qualname__}()") if is_class else None


_DISPLAYS: dict[type[ast.AST], type] = {
    ast.Dict: dict,
    ast.DictComp: dict,
    ast.JoinedStr: str,
    ast.List: list,
    ast.ListComp: list,
    ast.Set: set,
    ast.SetComp: set,
    ast.Tuple: tuple,
}


def written(node: ast.AST) -> Value | None:
    """What stands in the code as a value; None for any other expression."""
    if isinstance(node, ast.Constant) and node.value is not None:
        return Literal(type(node.value))
    kind = _DISPLAYS.get(type(node))
    return Literal(kind) if kind else None
