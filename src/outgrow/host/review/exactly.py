"""Whether a value is seen to be of its declared class itself, and not of one that inherits from it.

Where that is seen of every value, it does not matter that others inherit from the class.
"""

from __future__ import annotations

import ast
import typing
from typing import TYPE_CHECKING, Any

from outgrow.host.review.code import FunctionNode
from outgrow.host.review.crossing import members_of
from outgrow.host.review.tree import bindings
from outgrow.host.review.values import Bound, Literal, Named, sketch, type_of

if TYPE_CHECKING:
    from outgrow.host.review.functions import Function
    from outgrow.host.review.reading import Reading

_DEPTH_MAX = 5


def is_exactly(
    reading: Reading, function: Function, node: ast.AST, kind: Any, depth: int = 0
) -> bool:
    """Whether an expression gives a value of exactly this type.

    Args:
        reading: Where called functions are found.
        function: Which the expression is in.
        node: The expression.
        kind: The type.
        depth: How many functions and names were followed already.
    """
    if depth > _DEPTH_MAX:
        return False
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.IfExp):
        both = (node.body, node.orelse)
        return all(is_exactly(reading, function, each, kind, depth) for each in both)
    if isinstance(node, ast.Name):
        crossed = _crossed(function, node.id)
        if crossed is not None:
            return _is_within(crossed, kind)
        given = _given_to(function, node.id)
        return bool(given) and all(
            each is not None and is_exactly(reading, function, each, kind, depth + 1)
            for each in given
        )
    if isinstance(node, ast.Await):
        return is_exactly(reading, function, node.value, kind, depth)
    if isinstance(node, ast.Call):
        return _is_made_exactly(reading, function, node, kind, depth)
    items = _items_of(node)
    if items is not None:
        inner = [each for member in members_of(kind) for each in typing.get_args(member)[:1]]
        return any(
            all(is_exactly(reading, function, one, each, depth) for one in items) for each in inner
        )
    value = function.value(node)
    return isinstance(value, Literal) and value.kind in members_of(kind)


def _is_within(narrow: Any, wide: Any) -> bool:
    """Whether each value of one type is of another, too; types may have no hash."""
    allowed = members_of(wide)
    return all(each in allowed for each in members_of(narrow))


def _items_of(node: ast.AST) -> list[ast.expr] | None:
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return [node.elt]
    return node.elts if isinstance(node, ast.List | ast.Tuple) else None


def _crossed(function: Function, name: str) -> Any:
    """The type of an operation's parameter, whose values have crossed; None for other names."""
    bound = function.operation
    known = sketch(bound.cls).operations[bound.operation].parameters if bound is not None else ()
    types = {each.name: each.type for each in known}
    is_given_anew = any(each == name for each, _ in bindings(function.node, function.file.module))
    return None if is_given_anew else types.get(name)


def _given_to(function: Function, name: str) -> list[ast.AST | None]:
    """The expressions that a local name is given; None among them where it may be anything."""
    if not isinstance(function.node, FunctionNode):
        return []
    found = bindings(function.node, function.file.module)
    given = [None if isinstance(each, Named) else each for bound, each in found if bound == name]
    arguments = ast.walk(function.node.args)
    is_parameter = any(isinstance(each, ast.arg) and each.arg == name for each in arguments)
    return [None] if is_parameter else given


def _is_made_exactly(
    reading: Reading, function: Function, node: ast.Call, kind: Any, depth: int
) -> bool:
    called = function.value(node.func)
    if isinstance(called, Bound):
        # It has crossed, and is exactly what the operation declares.
        result = sketch(called.cls).operations[called.operation].result
        return _is_within(result, kind)
    if type_of(function.value(node)) in members_of(kind):
        return True
    inner = reading.at(called.path) if isinstance(called, Named) else None
    returned = inner.returned if inner is not None else ()
    return (
        inner is not None
        and bool(returned)
        and all(is_exactly(reading, inner, each, kind, depth + 1) for each in returned)
    )
