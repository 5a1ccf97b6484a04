"""Which parts of a syntax tree belong to which function, and which names they bind."""

from __future__ import annotations

import ast
import functools
import sys
from typing import TYPE_CHECKING, cast

from outgrow.host.review.code import FunctionNode
from outgrow.host.review.values import Named

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITHOUT_INTEREST = {
    *("annotation", "returns", "decorator_list"),  # what does not run with a function
    *("arg", "attr", "ctx", "id", "kind", "name", "op", "ops", "type_comment"),
}
Within = FunctionNode | ast.Lambda | ast.ClassDef


def own_nodes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """All below a node that runs with it, each with its parent, in order.

    What is inside other functions runs when they are called; what is under `if TYPE_CHECKING:` and
    in annotations does not run.
    """
    for child in _children(node):
        yield child, node
        if not isinstance(child, FunctionNode | ast.Lambda):
            yield from own_nodes(child)


def inner_of(node: ast.AST) -> Iterator[Within]:
    """The functions and classes in a function or class, each to be read by itself."""
    for child in _children(node):
        if isinstance(child, Within):
            yield child
        else:
            yield from inner_of(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and is_type_checking(node.test):
        yield from node.orelse
        return
    for name in _fields_of(type(node)):
        content: object = getattr(node, name, None)
        if isinstance(content, list):
            yield from (each for each in cast("list[object]", content) if isinstance(each, ast.AST))
        elif isinstance(content, ast.AST):
            yield content


@functools.cache
def _fields_of(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a node that hold others of interest, since a large app has millions."""
    return tuple(name for name in kind._fields if name not in _WITHOUT_INTEREST)


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition is only true for type checkers."""
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"


def bindings(
    node: ast.AST, module: str, *, is_package: bool = False
) -> Iterator[tuple[str, ast.AST | Named | None]]:
    """The names that a module or function binds, but for its parameters, functions and classes.

    Each comes with the expression that it is given or the path that it is imported from; None where
    it may be anything. Imports for type checkers count, since they say what a name stands for.
    """
    hidden = node.body if isinstance(node, ast.If) and is_type_checking(node.test) else ()
    for child in (*hidden, *_children(node)):
        yield from _bound_by(child, node, module, is_package=is_package)
        if not isinstance(child, Within):
            yield from bindings(child, module, is_package=is_package)


def _bound_by(
    node: ast.AST, above: ast.AST, module: str, *, is_package: bool
) -> Iterator[tuple[str, ast.AST | Named | None]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imports_of(node, module, is_package=is_package)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _unpacked(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
        yield node.target.id, node.value
    elif isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor | ast.comprehension):
        yield from _unpacked(node.target, None)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        is_plain = isinstance(above, ast.With)
        yield from _unpacked(node.optional_vars, node.context_expr if is_plain else None)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name, None


def _unpacked(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.AST | None]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List):
        is_alike = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
        parts = value.elts if is_alike and isinstance(value, ast.Tuple | ast.List) else []
        for number, each in enumerate(target.elts):
            yield from _unpacked(each, parts[number] if parts else None)


def _imports_of(
    node: ast.Import | ast.ImportFrom, module: str, *, is_package: bool
) -> Iterator[tuple[str, Named]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, Named(alias.name if alias.asname else top)
        return
    parts = module.split(".")
    above = parts[: len(parts) - node.level + is_package] if node.level else []
    source = ".".join([*above, *([node.module] if node.module else [])])
    for alias in node.names:
        every = _public_names(source) if alias.name == "*" else [alias.name]
        yield from ((alias.asname or name, Named(f"{source}.{name}")) for name in every)


def _public_names(module: str) -> list[str]:
    found = vars(sys.modules[module]) if module in sys.modules else {}
    return list(found.get("__all__", [name for name in found if not name.startswith("_")]))
