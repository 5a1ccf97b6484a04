"""Rooms are entered by their doors, a door says what is behind it, packages have one home."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.tidy.source import PACKAGE, python_files, room_of, rooms, short, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Each third-party package, and the only rooms that may know it. A new line needs a reason.
HOMES = {
    "a2wsgi": {"host"},  # WSGI apps run in the worker
    "aiosqlite": {"store"},
    "alembic": {"store"},  # migrations of services' tables
    "asyncpg": {"store"},
    "cronsim": {"model"},  # cron as Debian's has it, with its rules for summer time
    "django": {"integrations"},  # the app that Django projects install
    "duckdb": {"telemetry"},  # the observer's archive
    "google": {"telemetry"},  # protobuf, in which OTLP is written
    "h11": {"placement"},  # the control socket and port, which no load touches
    "httptools": {"host"},  # parses what clients of the app send
    "msgspec": set[str](),  # free: values cross every wall as msgspec writes them
    "opentelemetry": {"telemetry"},  # what OTLP's messages are called
    "numpy": {"capacity"},  # the model
    "rich": {"cli"},  # what people see
    "scipy": {"capacity"},  # two of its solvers
    "sqlalchemy": {"store"},  # what services write their tables with
    "starlette": {"dashboard"},  # the observer's API and page
    "typer": {"cli"},
    "uvicorn": {"host"},  # the edge
    "uvloop": {"host"},
    "watchfiles": {"placement"},  # `outgrow dev` reloads through the supervisor
    "websockets": {"host"},
}
# `import outgrow` stays quick: none of these may come with it.
HEAVY = (
    *("asyncio", "email", "http", "multiprocessing", "socket", "sqlite3", "ssl", "subprocess"),
    *("duckdb", "google", "h11", "httptools", "msgspec", "numpy", "opentelemetry", "rich"),
    *("scipy", "sqlalchemy", "starlette", "typer", "uvicorn", "uvloop", "watchfiles", "websockets"),
)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Each absolute module name that a file imports, at any depth, with its line."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(path)}:{node.lineno}: import by the full name"
            yield node.lineno, node.module or ""


def test_a_room_is_entered_by_its_door() -> None:
    found: list[str] = []
    for path in python_files("src"):
        for line, module in imports_of(path):
            parts = module.split(".")
            foreign = parts[0] == "outgrow" and len(parts) > 2 and parts[1] != room_of(path)
            if foreign and (PACKAGE / parts[1]).is_dir():
                found.append(f"{short(path)}:{line}: {module}")
    assert not found, "import from the room itself:\n" + "\n".join(found)


def test_every_third_party_package_has_one_home() -> None:
    found: list[str] = []
    for path in python_files("src"):
        for line, module in imports_of(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top == "outgrow":
                continue
            homes = HOMES.get(top)
            if homes is None or (homes and room_of(path) not in homes):
                found.append(f"{short(path)}:{line}: {top} (lives in {homes or 'no room yet'})")
    assert not found, "\n".join(found)


def module_name(door: Path) -> str:
    """The dotted name of a room."""
    return ".".join(door.parent.relative_to(PACKAGE.parent).parts)


DOORS = [pytest.param(door, id=module_name(door)) for door in rooms()]


@pytest.mark.parametrize("door", DOORS)
def test_a_door_lists_exactly_what_is_public(door: Path) -> None:
    module = importlib.import_module(module_name(door))
    listed: list[str] = list(getattr(module, "__all__", ()))
    missing = [name for name in listed if not hasattr(module, name)]
    assert not missing, f"in __all__, but not there: {missing}"
    unlisted = [name for name in bound_names(door) if name not in listed]
    assert not unlisted, f"public, but not in __all__: {unlisted}"


def bound_names(door: Path) -> Iterator[str]:
    """The public names that a door defines or takes from its own room."""
    for node in tree_of(door).body:
        names: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(module_name(door)):
            names = [alias.asname or alias.name for alias in node.names]
        yield from (name for name in names if not name.startswith("_"))


@pytest.mark.parametrize("door", DOORS)
def test_a_door_and_what_it_offers_have_docstrings(door: Path) -> None:
    module = importlib.import_module(module_name(door))
    assert module.__doc__, f"{short(door)}: one sentence that is the room's charter"
    named = [(name, getattr(module, name)) for name in getattr(module, "__all__", ())]
    found = [n for n, thing in named if inspect.isroutine(thing) or inspect.isclass(thing)]
    bare = [n for n in found if not inspect.getdoc(getattr(module, n))]
    assert not bare, f"without a docstring: {bare}"


def test_importing_outgrow_brings_no_heavy_module() -> None:
    code = "import sys; old = set(sys.modules); import outgrow; print(*(set(sys.modules) - old))"
    command = [sys.executable, "-I", "-c", code]
    run = subprocess.run(command, capture_output=True, check=True, text=True)
    brought = {name.split(".")[0] for name in run.stdout.split()}
    assert not brought & set(HEAVY)
