"""Which `App` the code belongs to: what it is called, and how it names its edges."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from outgrow.host.review.imports import files_in
from outgrow.model import App

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


def apps_in(things: Iterable[Any]) -> list[App]:
    """The apps among these things and at the top of the modules among them, each once."""
    found: dict[int, App] = {}
    for thing in things:
        # By its type, since a thing that stands for another would open or connect that to answer.
        is_module = issubclass(type(thing), ModuleType)
        members = list(cast("dict[str, Any]", vars(thing)).values()) if is_module else [thing]
        found |= {id(each): each for each in members if type(each) is App}
    return list(found.values())


def edge_module(edge: str) -> str:
    """The module that an edge's import string names."""
    return edge.partition(":")[0].removesuffix(".py").replace("/", ".")


def is_same_edge(one: str, other: str) -> bool:
    """Whether two import strings name the same app."""
    names = [(edge_module(each), each.partition(":")[2] or "app") for each in (one, other)]
    return names[0] == names[1]


def apps_of(edges: Iterable[str], apps: Iterable[App]) -> list[App]:
    """The apps that have one of these edges."""
    known = list(edges)
    return [
        app
        for app in apps
        if any(is_same_edge(own, each) for own in app.edges.values() for each in known)
    ]


def apps_beside(edge: str, modules: Mapping[Path, str]) -> list[App]:
    """The apps with this edge that its package declares in files that nobody imports.

    They are read, not run, so they have no services; one whose name is no plain text has none.

    Args:
        edge: An import string.
        modules: Those that are loaded, by file.
    """
    module = edge_module(edge)
    own = next((path for path, name in modules.items() if name == module), None)
    if own is None:
        return []
    steps = module.count(".") - (own.name != "__init__.py")
    top = own.parents[max(steps, 0)]
    paths = files_in(top) if "." in module or own.name == "__init__.py" else top.glob("*.py")
    declared = [app for path in paths if path not in modules for app in _declared_in(path)]
    return apps_of([edge], declared)


def _declared_in(path: Path) -> Iterator[App]:
    try:
        source = path.read_bytes()
        is_likely = b"outgrow" in source and b"App(" in source
        tree = ast.parse(source) if is_likely else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "App":
            given = {each.arg: each.value for each in node.keywords}
            name = _text(given["name"]) if "name" in given else App.name
            yield App(name=name, services=(), edges=_texts(given.get("edges")))


def _text(node: ast.AST | None) -> str:
    found = node.value if isinstance(node, ast.Constant) else None
    return found if isinstance(found, str) else ""


def _texts(node: ast.AST | None) -> dict[str, str]:
    parts = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
    found = {_text(key): _text(value) for key, value in parts}
    return {key: value for key, value in found.items() if key and value}
