"""Who imports whom, from source: between modules, and between the parts that they make up."""

from __future__ import annotations

import ast
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.host.coupling.modules import walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from outgrow.host.coupling.modules import Module

_HOPS_MAX = 8

Graph = dict[str, dict[str, list["Import"]]]
"""Imports by the part that imports, and the part that is imported."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import of one module by another.

    Attributes:
        name: What is taken from it; empty for the module itself.
        local: What the importer calls it.
        is_late: It runs only when a function is called.
    """

    importer: str
    imported: str
    name: str
    local: str
    line: int
    is_late: bool


class Names:
    """Finds the module in which a name was made, through the doors of packages."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._offered: dict[str, dict[str, tuple[str, str]]] = {}

    def imports_in(self, module: Module) -> Iterator[Import]:
        """Those imports of a module that lead to others of the same code base."""
        for node, is_late in walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found = self._nearest(alias.name)
                    if found and found != module.name:
                        yield Import(
                            importer=module.name,
                            imported=found,
                            name="",
                            local=alias.asname or alias.name,
                            line=node.lineno,
                            is_late=is_late,
                        )
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    imported, name = self._origin(_from(node, module), alias.name)
                    if imported and imported != module.name:
                        yield Import(
                            importer=module.name,
                            imported=imported,
                            name=name,
                            local=alias.asname or alias.name,
                            line=node.lineno,
                            is_late=is_late,
                        )

    def _nearest(self, name: str) -> str:
        while name and name not in self._modules:
            name = name.rpartition(".")[0]
        return name

    def _origin(self, module: str, name: str, hops: int = 0) -> tuple[str, str]:
        """Where a name that a module offers was made, and what it is called there."""
        if f"{module}.{name}" in self._modules:
            return f"{module}.{name}", ""
        found = self._modules.get(module)
        if found is None:
            return "", ""
        if found.is_package and hops < _HOPS_MAX:
            offered = self._offers(found).get(name)
            if offered is not None:
                origin = self._origin(*offered, hops + 1)
                return origin if origin[0] else (module, name)
        return module, name

    def _offers(self, door: Module) -> dict[str, tuple[str, str]]:
        """What the door of a package takes from elsewhere, by the name it has there."""
        if door.name not in self._offered:
            self._offered[door.name] = {
                alias.asname or alias.name: (_from(node, door), alias.name)
                for node in door.tree.body
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
        return self._offered[door.name]


def _from(node: ast.ImportFrom, module: Module) -> str:
    """The module that `from` names, in full."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    above = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*above, *([node.module] if node.module else [])])


def graph_of(imports: Collection[Import], parts: Mapping[str, str]) -> Graph:
    """The imports between parts."""
    graph: Graph = {}
    for one in imports:
        source, target = parts.get(one.importer), parts.get(one.imported)
        if source and target and source != target:
            graph.setdefault(source, {}).setdefault(target, []).append(one)
    return graph


def shortest_circle(graph: Mapping[str, Collection[str]], start: str) -> list[str]:
    """The parts of the shortest circle through one, that first; none where there is no circle."""
    before = {start: ""}
    ahead = deque([start])
    while ahead:
        part = ahead.popleft()
        for target in sorted(graph.get(part, ())):
            if target == start:
                circle = [part]
                while before[circle[-1]]:
                    circle.append(before[circle[-1]])
                return circle[::-1]
            if target not in before:
                before[target] = part
                ahead.append(target)
    return []
