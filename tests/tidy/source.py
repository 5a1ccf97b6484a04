"""The project's own files, as the tidy tests read them."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "outgrow"
CODE_FOLDERS = ("src", "tests", "benchmarks", "examples", "scripts")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Ratchet(TypedDict):
    """What is worse than the rules allow; each number may only fall."""

    file_lines: dict[str, int]
    function_lines: dict[str, int]
    docs_not_run_count: int


def ratchet() -> Ratchet:
    """The recorded exceptions."""
    return json.loads((ROOT / "tests/tidy/ratchet.json").read_text())


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # a copy without its repository
        paths = [path for path in ROOT.rglob("*") if not _is_left_behind(path)]
    return tuple(sorted(path for path in set(paths) if path.is_file()))


def _is_left_behind(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part == "__pycache__" or (part.startswith(".") and part != ".ci") for part in parts)


def python_files(*folders: str) -> list[Path]:
    """The project's Python files in these folders."""
    tops = [ROOT / folder for folder in folders]
    return [
        path
        for path in project_files()
        if path.suffix == ".py" and any(path.is_relative_to(top) for top in tops)
    ]


def page_files() -> list[Path]:
    """The Markdown pages that users read."""
    tops = [path for path in project_files() if path.parent == ROOT and path.suffix == ".md"]
    return tops + [path for path in project_files() if _is_page(path)]


def _is_page(path: Path) -> bool:
    below = any(path.is_relative_to(ROOT / top) for top in ("docs", "examples"))
    return path.suffix == ".md" and below


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(), filename=str(path))


def short(path: Path) -> str:
    """The path as seen from the project's folder."""
    return path.relative_to(ROOT).as_posix()


def functions_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Each function with its dotted name, methods and nested ones included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node
            yield from functions_of(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions_of(node, f"{prefix}{node.name}.")
        else:
            yield from functions_of(node, prefix)


def room_of(path: Path) -> str:
    """The room of a source file: its first folder, or its own name where it lies on top."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def rooms() -> list[Path]:
    """The doors: each room's `__init__.py`."""
    return [path for path in python_files("src") if path.name == "__init__.py"]
