"""The code under review: its files, as syntax trees, and the services that they declare."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outgrow.host.review.finding import Place
from outgrow.host.review.sketch import RESULT, Sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One file.

    Attributes:
        path: Where it lies.
        module: The dotted name by which it is imported.
        tree: Its syntax tree.
        imports: The modules that it may import.
        is_wanted: Whether findings in it are asked for; the others are read to understand these.
    """

    path: Path
    module: str
    tree: ast.Module
    imports: frozenset[str] = frozenset()
    is_wanted: bool = True

    @cached_property
    def shown(self) -> str:
        """The path as people name it."""
        return shown_path(self.path)

    def place(self, node: ast.AST) -> Place:
        """Where a node of its tree is."""
        return Place(self.shown, getattr(node, "lineno", 1))


@dataclass(frozen=True, eq=False)
class Code:
    """All that one review looks at.

    Attributes:
        files: By module.
        services: In the order in which they were declared.
        providers: Functions that make the values of fields.
        edges: Import strings of the apps through which outsiders enter, by name.
        name: Of the app, for people; may be empty.
    """

    files: Mapping[str, SourceFile]
    services: tuple[Sketch, ...]
    providers: tuple[Callable[..., Any], ...] = ()
    edges: Mapping[str, str] = field(default_factory=dict[str, str])
    name: str = ""

    @cached_property
    def sketches(self) -> Mapping[type, Sketch]:
        """The services by their class."""
        return {each.cls: each for each in self.services}

    @cached_property
    def _classes(self) -> dict[tuple[str, str], ast.ClassDef]:
        return {
            (file.module, name): node
            for file in self.files.values()
            for name, node in classes_of(file.tree)
        }

    @cached_property
    def involved_files(self) -> tuple[SourceFile, ...]:
        """Those that can have to do with services: they import Outgrow, or another that does."""
        found = {each.module for each in self.files.values() if "outgrow" in each.imports}
        waiting = list(found)
        importers: dict[str, list[str]] = {}
        for each in self.files.values():
            for name in each.imports:
                importers.setdefault(name, []).append(each.module)
        for module in waiting:
            further = [each for each in importers.get(module, ()) if each not in found]
            found.update(further)
            waiting += further
        return tuple(each for each in self.files.values() if each.module in found)

    def wanted_files(self) -> list[SourceFile]:
        """Those whose findings are asked for."""
        return [file for file in self.files.values() if file.is_wanted]

    def node_of(self, cls: type) -> ast.ClassDef | None:
        """Where a class is written; None where that is not under review."""
        return self._classes.get((cls.__module__, cls.__qualname__))

    def place_of(self, cls: type, member: str = "", parameter: str = "") -> Place:
        """Where a class, one of its members, or a parameter of a method is written."""
        file, node = self.files.get(cls.__module__), self.node_of(cls)
        if file is None or node is None:
            return Place(f"{cls.__module__}.{cls.__qualname__}", 0)
        found = _member(node, member) if member else None
        if isinstance(found, FunctionNode) and parameter:
            return file.place(_parameter(found, parameter) or found)
        return file.place(found or node)

    def is_wanted(self, place: Place) -> bool:
        """Whether findings here are asked for."""
        return any(file.is_wanted for file in self.files.values() if file.shown == place.file)


def shown_path(path: Path) -> str:
    """A path from the current folder where it lies below that, else the whole of it."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def classes_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """Each class of a tree by its qualified name, but those in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            yield from classes_of(node, f"{prefix}{node.name}.")
        elif not isinstance(node, FunctionNode | ast.Lambda):
            yield from classes_of(node, prefix)


def _member(node: ast.ClassDef, name: str) -> ast.stmt | None:
    for each in node.body:
        if isinstance(each, FunctionNode) and each.name == name:
            return each
        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name:
            return each
    return None


def _parameter(node: FunctionNode, name: str) -> ast.AST | None:
    if name == RESULT:
        return node.returns
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    every += [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
    return next((each for each in every if each.arg == name), None)
