"""`outgrow new`: a project that passes its own tests and checks, and nothing overwritten."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.typing_verbs import Outgrow
from tests.unit.host.review.reviewing import imports_undone

FILES = [
    *(".gitignore", "README.md", "corner/__init__.py", "corner/api.py"),
    *(f"corner/migrations/orders/{name}" for name in ("alembic.ini", "env.py", "script.py.mako")),
    *(f"corner/migrations/orders/versions/{name}" for name in (".gitkeep", "0001_orders.py")),
    *(f"corner/migrations/stock/{name}" for name in ("alembic.ini", "env.py", "script.py.mako")),
    *(f"corner/migrations/stock/versions/{name}" for name in (".gitkeep", "0001_items.py")),
    *("corner/orders.py", "corner/stock.py", "corner/tables.py", "outgrow.toml"),
    *("pyproject.toml", "tests/test_corner.py"),
]


@pytest.fixture(autouse=True)
def _forget_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from imports_undone(monkeypatch)


def files_in(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_a_project_has_services_tables_an_edge_and_tests(outgrow: Outgrow, tmp_path: Path) -> None:
    ended = outgrow("new", "corner")
    assert ended.code == 0
    assert ended.out == "corner has 20 files: services, tables, a FastAPI app and tests\n"
    assert (
        ended.err
        == "next: cd corner, then `pip install --group dev .`, `pytest` and `outgrow dev`\n"
    )
    assert files_in(tmp_path / "corner") == sorted(FILES)


def test_every_file_names_the_project_and_none_the_template(
    outgrow: Outgrow, tmp_path: Path
) -> None:
    outgrow("new", "corner")
    for name in files_in(tmp_path / "corner"):
        assert "newapp" not in (tmp_path / "corner" / name).read_text()


def test_a_project_may_be_made_elsewhere(outgrow: Outgrow, tmp_path: Path) -> None:
    ended = outgrow("new", "corner", "--folder", "deep/er", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["files"] == [f"deep/er/corner/{name}" for name in sorted(FILES)]


@pytest.mark.parametrize("name", ["README.md", "corner/stock.py", "corner/migrations/stock/env.py"])
def test_nothing_is_overwritten(outgrow: Outgrow, tmp_path: Path, name: str) -> None:
    path = tmp_path / "corner" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    ended = outgrow("new", "corner")
    assert ended.code == 2
    assert f"corner/{name} is there already" in ended.err
    assert "hint: Take another name" in ended.err
    assert files_in(tmp_path / "corner") == [name]
    assert path.read_text() == "mine"


def test_a_folder_that_is_there_may_be_filled(outgrow: Outgrow, tmp_path: Path) -> None:
    (tmp_path / "corner" / ".git").mkdir(parents=True)
    assert outgrow("new", "corner").code == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("3shop", "cannot be the name of a Python package", id="a digit"),
        pytest.param("my-shop", "such as `my_shop`", id="a dash"),
        pytest.param("class", "such as `class_app`", id="a keyword"),
        pytest.param("../shop", "cannot be the name", id="a path"),
        pytest.param("lädchen", "cannot be the name", id="an umlaut"),
        pytest.param("_shop", "cannot be the name", id="private"),
        pytest.param("json", "a module of Python itself", id="the standard library"),
        pytest.param("pytest", "an installed package", id="an installed package"),
        pytest.param("outgrow", "the package `outgrow`", id="ours"),
        pytest.param("tests", "the package `tests`", id="its own tests"),
    ],
)
def test_a_name_that_cannot_be_imported_or_hides_another_is_refused(
    outgrow: Outgrow, tmp_path: Path, name: str, text: str
) -> None:
    ended = outgrow("new", name)
    assert ended.code == 2
    assert text in ended.err
    assert files_in(tmp_path) == []


def test_the_project_is_checked_and_mapped_without_a_finding(
    outgrow: Outgrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgrow("new", "corner")
    monkeypatch.chdir(tmp_path / "corner")
    checked = outgrow("check")
    assert (checked.code, checked.out[:22]) == (0, "no findings in 5 files")
    assert outgrow("check", ".").code == 0
    assert outgrow("map").out.splitlines()[:6] == [
        "corner: 1 edge, 2 services",
        "",
        "web  corner.api:app",
        "  deliver ──▶ Stock.deliver",
        "  place ──▶ Orders.place",
        "  find ──▶ Orders.find",
    ]


def run_in(folder: Path, *command: str) -> None:
    """Run a Python module in a folder; it must end well."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_project_is_tidy(outgrow: Outgrow, tmp_path: Path) -> None:
    outgrow("new", "corner")
    run_in(tmp_path / "corner", "ruff", "check", "--no-cache")
    run_in(tmp_path / "corner", "ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
def test_the_project_passes_its_own_tests(outgrow: Outgrow, tmp_path: Path) -> None:
    outgrow("new", "corner")
    run_in(tmp_path / "corner", "pytest", "-q", "-p", "no:cacheprovider")


def test_the_map_names_the_migrations_from_here(
    outgrow: Outgrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgrow("new", "corner")
    monkeypatch.chdir(tmp_path / "corner")
    assert "; migrations in corner/migrations/stock\n" in outgrow("map").out


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_types_of_the_project_are_sound(outgrow: Outgrow, tmp_path: Path) -> None:
    outgrow("new", "corner")
    run_in(tmp_path / "corner", "pyright", "--pythonpath", sys.executable)
    run_in(tmp_path / "corner", "mypy", "--no-incremental", ".")
