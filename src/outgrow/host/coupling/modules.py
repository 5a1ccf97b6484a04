"""The modules of a code base, as syntax trees, and the parts that they make up."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.host.review.code import FunctionNode, shown_path
from outgrow.host.review.imports import files_in, module_name
from outgrow.host.review.tree import own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_SOURCE_BYTES_MAX = 2_000_000
LARGE_RATIO = 0.4
PARTS_FEW = 8
PACKAGES_MIN = 3
# Tests and migrations reach everywhere, and move with what they are of.
_LEFT_OUT = {"alembic", "migration", "test", "tests.py"}


@dataclass(frozen=True, eq=False)
class Module:
    """One file.

    Attributes:
        name: The dotted name by which it is imported.
        shown: Its path, as people name it.
        is_package: Whether it is the `__init__.py` of a package.
    """

    name: str
    path: Path
    shown: str
    tree: ast.Module
    is_package: bool


def modules_in(folder: Path) -> tuple[dict[str, Module], list[str]]:
    """The modules below a folder by name, and the files that could not be read."""
    found: dict[str, Module] = {}
    unread: list[str] = []
    for path in files_in(folder):
        if not _LEFT_OUT.isdisjoint(path.relative_to(folder).parts):
            continue
        name = module_name(path, folder)[1]
        if name in found:  # scripts of several folders may have one name
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
        try:
            source = path.read_bytes()
            if len(source) > _SOURCE_BYTES_MAX:
                unread.append(shown_path(path))
                continue
            tree = ast.parse(source, filename=str(path))
        except (OSError, SyntaxError, ValueError, RecursionError):
            unread.append(shown_path(path))
            continue
        found[name] = Module(name, path, shown_path(path), tree, path.name == "__init__.py")
    return found, unread


def walk(tree: ast.AST, *, is_late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes that run, and whether only when a function is called that they are in."""
    for node, _ in own_nodes(tree):
        yield node, is_late
        if isinstance(node, FunctionNode | ast.Lambda):
            yield from walk(node, is_late=True)


def parts_of(names: Iterable[str]) -> dict[str, str]:
    """The part that each module belongs to: a package, or a module beside packages.

    Parts are what stands at the top. One that holds more than half of all modules is taken apart;
    so is one that holds several packages, where it is large or there are few parts. The
    `__init__.py` of a package that was taken apart is its door, and belongs to no part.
    """
    modules = sorted(set(names))
    parts: dict[str, list[str]] = {}
    for name in modules:
        parts.setdefault(name.partition(".")[0], []).append(name)
    while True:
        splits = [part for part in parts if _is_whole(part, parts, len(modules))]
        if not splits:
            return {name: part for part, inside in parts.items() for name in inside}
        largest = max(splits, key=lambda part: len(parts[part]))
        for name in parts.pop(largest):
            if name != largest:
                step = name[len(largest) + 1 :].partition(".")[0]
                parts.setdefault(f"{largest}.{step}", []).append(name)


def _is_whole(part: str, parts: Mapping[str, Sequence[str]], module_count: int) -> bool:
    """Whether a part is the code base, or much of it, rather than a part of that."""
    within = parts[part]
    if len(within) < 2 or 2 * len(within) > module_count:
        return len(within) > 1
    is_large = len(within) >= LARGE_RATIO * module_count or len(parts) < PARTS_FEW
    return is_large and len(_packages_in(part, within)) >= PACKAGES_MIN


def _packages_in(part: str, names: Iterable[str]) -> set[str]:
    """The packages directly within a part."""
    steps = [name[len(part) + 1 :].split(".") for name in names]
    return {each[0] for each in steps if len(each) > 1}
