"""What the names in the code stand for, found without running any of it."""

from __future__ import annotations

import ast
import builtins
import typing
from typing import TYPE_CHECKING, cast

from outgrow.host.review.code import FunctionNode
from outgrow.host.review.tree import bindings, inner_of
from outgrow.host.review.values import (
    ANNOTATED,
    CLIENT,
    USES,
    Bound,
    Client,
    Env,
    LookUp,
    Named,
    Own,
    Value,
    made_of,
    sketch,
    thing_at,
    written,
)
from outgrow.model import is_service

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from outgrow.host.review.code import Code, SourceFile

_STEPS_MAX = 20


class Names:
    """What each module's own names stand for.

    Attributes:
        attributes: What the objects of a class hold, by the class's path and the attribute.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.attributes: dict[str, Env] = {}
        self._known: dict[str, Env] = {}

    def of(self, file: SourceFile) -> Env:
        """The names at the top of a module."""
        known = self._known.get(file.module)
        if known is None:
            known = self._known[file.module] = {}
            for node in inner_of(file.tree):
                if isinstance(node, FunctionNode | ast.ClassDef):
                    known[node.name] = Named(f"{file.module}.{node.name}")
            is_package = file.path.name == "__init__.py"
            bound = list(bindings(file.tree, file.module, is_package=is_package))
            for name, given in bound:
                path = given if isinstance(given, Named) else Named(f"{file.module}.{name}")
                known.setdefault(name, path)
            for name, given in bound:
                if isinstance(given, ast.AST):
                    known[name] = self._value_at_top(known, given) or known[name]
        return known

    def _value_at_top(self, names: Mapping[str, Value | None], node: ast.AST) -> Value | None:
        found = self.value(node, lambda name: self.at_top(names, name))
        return found if isinstance(found, Client) or _is_made(found) else None

    def at_top(self, names: Mapping[str, Value | None], name: str) -> Value | None:
        """What a name of a module, or else of the language, stands for."""
        if name in names:
            return self.settled(names[name])
        return Named(f"builtins.{name}") if hasattr(builtins, name) else None

    def settled(self, value: Value | None) -> Value | None:
        """The same, by the path where it was made rather than where it was imported from."""
        for _ in range(_STEPS_MAX):
            if not isinstance(value, Named):
                return value
            further = self._one_step(value.path)
            if further is None or further == value:
                return value
            value = further
        return value

    def _one_step(self, path: str) -> Value | None:
        holder, _, name = path.rpartition(".")
        if holder.endswith("()"):
            return self.attributes.get(holder[:-2], {}).get(name)
        parts = path.split(".")
        for count in range(len(parts) - 1, 0, -1):
            file = self.code.files.get(".".join(parts[:count]))
            if file is not None:
                found = self.of(file).get(parts[count])
                for part in parts[count + 1 :]:
                    found = self.attribute(found, part, settle=False)
                return found
        return None

    def value(self, node: ast.AST, look_up: LookUp) -> Value | None:
        """What an expression stands for.

        Args:
            node: The expression.
            look_up: Says what a name stands for.
        """
        if isinstance(node, ast.Name):
            return look_up(node.id)
        if isinstance(node, ast.Attribute):
            return self.attribute(self.value(node.value, look_up), node.attr)
        if isinstance(node, ast.Call):
            return self._result(node, look_up)
        if isinstance(node, ast.NamedExpr):
            return self.value(node.value, look_up)
        if isinstance(node, ast.Await):  # in Starlette: `await uses(Orders)()`
            found = self.value(node.value, look_up)
            return found if isinstance(found, Client) else None
        if isinstance(node, ast.IfExp):
            first, second = (self.value(each, look_up) for each in (node.body, node.orelse))
            return first if first == second else None
        return written(node)

    def attribute(self, value: Value | None, name: str, *, settle: bool = True) -> Value | None:
        """What an attribute of this stands for."""
        if isinstance(value, Named):
            found = Named(f"{value.path}.{name}")
            return self.settled(found) if settle else found
        if isinstance(value, Client):
            return Bound(value.cls, name) if name in sketch(value.cls).operations else None
        if isinstance(value, Own):
            return self._own_attribute(value.cls, name)
        return None

    def _own_attribute(self, cls: type, name: str) -> Value | None:
        field = sketch(cls).fields.get(name)
        if field is not None:
            if field.kind == "service":
                return Client(field.type)
            return made_of(field.type)
        for owner in cls.__mro__[:-1]:
            path = f"{owner.__module__}.{owner.__qualname__}"
            if name in owner.__dict__:
                return Named(f"{path}.{name}")
            if name in self.attributes.get(path, {}):
                return self.attributes[path][name]
        return None

    def _result(self, node: ast.Call, look_up: LookUp) -> Value | None:
        """What a call gives."""
        asked = self.asked_service(node, look_up)
        if isinstance(node.func, ast.Call):
            asked = self.asked_service(node.func, look_up, by=USES)
        called = self.value(node.func, look_up)
        if asked is not None:
            return Client(asked)
        return Named(f"{called.path}()") if isinstance(called, Named) else None

    def asked_service(
        self, node: ast.Call, look_up: LookUp, *, by: Collection[str] = CLIENT
    ) -> type | None:
        """The service that a call of `client` asks for, also of that of an app under test.

        Args:
            node: The call.
            look_up: Says what a name stands for.
            by: The paths of what asks.
        """
        called = self.value(node.func, look_up)
        is_ours = isinstance(called, Named) and called.path in by
        is_of_app = by is CLIENT and getattr(node.func, "attr", "") == "client"
        argument = (
            self.value(node.args[0], look_up) if node.args and (is_ours or is_of_app) else None
        )
        thing = thing_at(argument.path) if isinstance(argument, Named) else None
        return cast("type", thing) if is_service(thing) else None

    def annotated(
        self, node: ast.expr | None, look_up: LookUp, *, is_injected: bool = False
    ) -> Value | None:
        """What a parameter with this annotation holds.

        Args:
            node: The annotation.
            look_up: Says what a name stands for.
            is_injected: Whether a service means its client, as what a framework passes does.
        """
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = parsed_annotation(node.value)
        if node is None:
            return None
        if isinstance(node, ast.BinOp):
            sides = [each for each in (node.left, node.right) if not _is_none(each)]
            return self.annotated(sides[0], look_up) if len(sides) == 1 else None
        if isinstance(node, ast.Subscript):
            return self._subscripted(node, look_up)
        found = self.value(node, look_up)
        thing = thing_at(found.path) if isinstance(found, Named) else None
        if typing.get_origin(thing) is typing.Annotated:
            thing, is_injected = typing.get_args(thing)[0], True
        if is_service(thing) and is_injected:
            return Client(cast("type", thing))
        return Named(f"{found.path}()") if isinstance(found, Named) else None

    def _subscripted(self, node: ast.Subscript, look_up: LookUp) -> Value | None:
        origin = self.value(node.value, look_up)
        if not isinstance(origin, Named):
            return None
        if origin.path in ANNOTATED and isinstance(node.slice, ast.Tuple):
            return self.annotated(node.slice.elts[0], look_up, is_injected=True)
        if origin.path == "typing.Optional":
            return self.annotated(node.slice, look_up)
        return Named(f"{origin.path}()")


def _is_made(value: Value | None) -> bool:
    return isinstance(value, Named) and value.path.endswith("()")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def parsed_annotation(text: str) -> ast.expr | None:
    """An annotation that is written as text; None where it is no expression."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
