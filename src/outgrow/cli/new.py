"""`outgrow new`: a small project to begin with."""

from __future__ import annotations

import importlib.resources
import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outgrow.cli.show import EXIT_MISUSE, out, out_json, talk
from outgrow.errors import RefusedError
from outgrow.store import write_migrations

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# The name of the project in the templates, which is a project itself.
_TEMPLATE_NAME = re.compile(r"\bnewapp\b")
_TABLES = {"orders": "OrdersBase", "stock": "StockBase"}


def new(
    name: Annotated[str, typer.Argument(help="Of the project and of its Python package.")],
    folder: Annotated[str, typer.Option(help="Where the project's folder is made.")] = ".",
    json: Annotated[bool, typer.Option("--json", help="The files that were written.")] = False,
) -> None:
    """Make a project: two services with their databases, a FastAPI app, tests and settings.

    It changes no file that is there.
    """
    project = Path(folder, name)
    try:
        _refuse_name(name, Path(folder))
        texts = _texts(name)
        migrations = {service: Path(name, "migrations", service) for service in _TABLES}
        _refuse_overwriting(project, [*texts, *(each / "env.py" for each in migrations.values())])
    except RefusedError as problem:
        talk(str(problem))
        raise typer.Exit(EXIT_MISUSE) from None
    for path, text in texts.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, encoding="utf-8")
    for service, path in migrations.items():
        tables = f"{name}.tables:{_TABLES[service]}.metadata"
        write_migrations(project / path, service=service, tables=tables)
    written = sorted(path for path in project.rglob("*") if path.is_file())
    if json:
        out_json({"files": [path.as_posix() for path in written]})
        return
    out(f"{project} has {len(written)} files: services, tables, a FastAPI app and tests")
    talk(f"next: cd {project}, then `pip install --group dev .`, `pytest` and `outgrow dev`")


def _refuse_name(name: str, folder: Path) -> None:
    """Refuse what cannot be imported, or would hide something else that can."""
    is_word = name.isidentifier() and name.isascii()
    if not is_word or keyword.iskeyword(name) or name.startswith("_"):
        raise RefusedError(
            f"`{name}` cannot be the name of a Python package",
            hint=f"Take lower-case letters and digits, such as `{_near(name)}`",
        )
    owner = _owner_of(name, folder)
    if owner:
        raise RefusedError(
            f"`{name}` is the name of {owner}, which would be hidden",
            hint=f"Take another name, such as `{name}_app`",
        )


def _near(name: str) -> str:
    found = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_0123456789")
    return f"{found}_app" if keyword.iskeyword(found) else found or "shop"


def _owner_of(name: str, folder: Path) -> str:
    """What already has this name; empty where nothing has."""
    if name in sys.stdlib_module_names:
        return "a module of Python itself"
    if name in ("outgrow", "tests"):
        return f"the package `{name}`"
    here = {folder.resolve(), Path.cwd()}
    paths = [path for path in sys.path if Path(path).resolve() not in here]
    found = PathFinder.find_spec(name, paths)
    is_package = found is not None and found.origin is not None
    return "an installed package" if is_package else ""


def _texts(name: str) -> dict[Path, str]:
    """The text of each file, by its path in the project."""
    found: dict[Path, str] = {}
    top = importlib.resources.files("outgrow.cli").joinpath("scaffold")
    waiting: list[tuple[Path, Traversable]] = [(Path(each.name), each) for each in top.iterdir()]
    for path, template in waiting:
        if template.is_dir():
            waiting += [(path / each.name, each) for each in template.iterdir()]
        elif template.name.endswith(".txt"):
            text = template.read_text(encoding="utf-8")
            found[_path_of(path, name)] = _TEMPLATE_NAME.sub(name, text)
    return found


def _path_of(path: Path, name: str) -> Path:
    """Where a template is written: `newapp/api.py.txt` to `shop/api.py`."""
    parts = [re.sub("newapp", name, part) for part in path.parts]
    last = parts[-1].removesuffix(".txt")
    return Path(*parts[:-1], re.sub("^dot_", ".", last))


def _refuse_overwriting(project: Path, paths: list[Path]) -> None:
    for path in sorted(paths):
        if (project / path).exists():
            raise RefusedError(
                f"{project / path} is there already, and is not overwritten",
                hint="Take another name, or another folder: `--folder FOLDER`",
            )
