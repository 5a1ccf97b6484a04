"""Imports under `if TYPE_CHECKING:` of names that a service needs when the program runs."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING

from outgrow.errors import FieldTypeError
from outgrow.host.review.code import FunctionNode, classes_of
from outgrow.host.review.finding import Finding, finding
from outgrow.host.review.names import parsed_annotation
from outgrow.host.review.sketch import is_operation
from outgrow.host.review.tree import is_type_checking
from outgrow.host.review.values import thing_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.code import SourceFile
    from outgrow.host.review.reading import Reading

_HINT = (
    "Import it outside of `if TYPE_CHECKING:`; that ruff leaves it there, set "
    'lint.flake8-type-checking.runtime-evaluated-decorators = ["outgrow.service"]'
)


def hidden_imports(reading: Reading) -> Iterator[Finding]:
    """Each import that only type checkers see, and a service or provider needs."""
    for file in reading.code.involved_files:
        hidden = hidden_names(file)
        needs = _needs(file, reading) if hidden else ()
        for name, node in hidden.items():
            users = [user for needed, user in needs if needed == name]
            if users:
                yield finding(
                    FieldTypeError,
                    file.place(node),
                    f"`{name}` is imported for type checkers only, but {users[0]} needs it when "
                    "the program runs",
                    hint=_HINT,
                )


def hidden_names(file: SourceFile) -> dict[str, ast.stmt]:
    """The names that a file imports for type checkers only, with the import statements."""
    hidden: dict[str, ast.stmt] = {}
    real: set[str] = set()
    waiting: list[tuple[ast.stmt, bool]] = [(each, False) for each in file.tree.body]
    while waiting:
        node, is_hidden = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
            hidden |= dict.fromkeys(names if is_hidden else [], node)
            real |= set() if is_hidden else set(names)
        elif isinstance(node, ast.If):
            is_checking = is_type_checking(node.test)
            waiting += [(each, is_hidden or is_checking) for each in node.body]
            waiting += [(each, is_hidden) for each in node.orelse]
        elif isinstance(node, ast.Try):
            parts = [*node.body, *node.orelse, *node.finalbody]
            parts += [each for handler in node.handlers for each in handler.body]
            waiting += [(each, is_hidden) for each in parts]
    return {name: node for name, node in hidden.items() if name not in real}


def _needs(file: SourceFile, reading: Reading) -> list[tuple[str, str]]:
    """The names that annotations of services and providers hold, with whose they are."""
    found: list[tuple[str, str]] = []
    for name, node in classes_of(file.tree):
        path = f"{file.module}.{name}"
        if reading.service_of(path) is None:
            continue
        cls = thing_at(path)
        for each in node.body:
            if isinstance(each, ast.AnnAssign) and _is_field(cls, each):
                user = f"the field `{ast.unparse(each.target)}` of `{name}`"
                found += [(needed, user) for needed in _names_in(each.annotation)]
            elif isinstance(each, FunctionNode) and is_operation(getattr(cls, each.name, None)):
                user = f"the operation `{name}.{each.name}`"
                found += [(needed, user) for needed in _names_in_signature(each)]
    for each in file.tree.body:
        is_provider = isinstance(each, FunctionNode) and any(
            getattr(one, "__name__", "") == each.name and one.__module__ == file.module
            for one in reading.code.providers
        )
        if isinstance(each, FunctionNode) and is_provider:
            user = f"the provider `{each.name}`"
            found += [(needed, user) for needed in _names_in(each.returns)]
    return found


def _is_field(cls: type, node: ast.AnnAssign) -> bool:
    fields = {each.name: each for each in dataclasses.fields(cls)} if _is_made(cls) else None
    name = ast.unparse(node.target)
    return fields is None or (name in fields and fields[name].init)


def _is_made(cls: type) -> bool:
    return "__dataclass_fields__" in cls.__dict__


def _names_in_signature(node: FunctionNode) -> set[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    annotations = [each.annotation for each in every] + [node.returns]
    return {name for each in annotations for name in _names_in(each)}


def _names_in(annotation: ast.expr | None) -> set[str]:
    found: set[str] = set()
    waiting: list[ast.AST] = [annotation] if annotation is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            inner = parsed_annotation(node.value)
            waiting += [inner] if inner is not None else []
        waiting += ast.iter_child_nodes(node)
    return found
