"""Zones that have a name: of them only the offset arrives."""

from __future__ import annotations

import ast
from datetime import datetime
from typing import TYPE_CHECKING, Any

from outgrow.errors import NarrowingError
from outgrow.host.review.finding import Finding, finding
from outgrow.host.review.values import Named, sketch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.functions import Function

_ZONES = ("zoneinfo.ZoneInfo()", "dateutil.tz.gettz()", "pytz.timezone()")
# What is asked of a moment that has not arrived with it.
_LOST = ("fold", "tzinfo.key", "tzinfo.zone", "tzname")


def has_moment(kind: Any) -> bool:
    """Whether a type lets a value be a date with a time, or a list of such."""
    arguments: tuple[Any, ...] = getattr(kind, "__args__", ())
    return kind is datetime or any(has_moment(each) for each in arguments)


def names_a_zone(function: Function, node: ast.AST, depth: int = 0) -> bool:
    """Whether an expression gives a moment in a zone that has a name.

    Args:
        function: Which it is in.
        node: The expression.
        depth: How many names were followed already.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        parts = [*node.args, *(each.value for each in node.keywords)]
        if node.func.attr in ("astimezone", "replace"):  # the zone before no longer counts
            return any(names_a_zone(function, each, depth) for each in parts)
    value = function.value(node)
    if isinstance(value, Named) and value.path in _ZONES:
        return True
    if isinstance(node, ast.Name) and depth == 0:
        return any(names_a_zone(function, each, 1) for each in _given_to(function, node.id))
    return any(names_a_zone(function, each, depth) for each in ast.iter_child_nodes(node))


def _given_to(function: Function, name: str) -> Iterator[ast.expr]:
    for node, _ in function.nodes:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            yield node.value


def zones_read(function: Function) -> Iterator[Finding]:
    """Where an operation asks a parameter for what did not arrive with it."""
    bound = function.operation
    if bound is None:
        return
    parameters = sketch(bound.cls).operations[bound.operation].parameters
    moments = {each.name for each in parameters if has_moment(each.type)}
    for node, _ in function.nodes:
        text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        name, _, rest = text.partition(".")
        if name in moments and rest in _LOST:
            yield finding(
                NarrowingError,
                function.file.place(node),
                f"`{function.shown}` reads `{text}`, but of a zone only the offset arrives",
                hint="Pass the zone's name as a parameter of its own",
            )
