"""Writes the pages of docs/errors and docs/reference from the code: `make docs`.

A tidy test compares what `generated_pages` returns with what lies on disk.
"""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.errors import OutgrowError
from outgrow.model import Settings
from scripts.docs_cli import cli_page, setting_flags
from scripts.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterator

import_module("outgrow.store")  # it has errors of its own
ROOT = Path(__file__).resolve().parents[1]
MADE_FROM = "<!-- Made from {source} by `make docs`; change it there. -->\n"


def generated_pages() -> dict[str, str]:
    """The text of every generated page, by its path from the project's folder."""
    errors = sorted(error_classes(), key=lambda kind: kind.code)
    pages = {f"docs/errors/{kind.code}.md": error_page(kind) for kind in errors}
    pages["docs/errors/index.md"] = error_index(errors)
    pages["docs/reference/settings.md"] = settings_page()
    pages["docs/reference/cli.md"] = MADE_FROM.format(source="src/outgrow/cli") + cli_page()
    return pages


def error_classes(kind: type[OutgrowError] = OutgrowError) -> Iterator[type[OutgrowError]]:
    """Every error that has a code of its own."""
    for child in kind.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from error_classes(child)


def error_page(kind: type[OutgrowError]) -> str:
    """The page of one error: what it means and what to do."""
    family = kind.__bases__[0]
    lines = [
        MADE_FROM.format(source=f"src/{kind.__module__.replace('.', '/')}.py"),
        f"# {kind.code}: {kind.__name__}\n",
        f"{inspect.getdoc(kind)}\n",
        f"**What to do.** {kind.hint}.\n" if kind.hint else "**What to do.** The error says it.\n",
        f"In Python: `{home_of(kind)}.{kind.__name__}`, one of `{family.__name__}`.\n",
        "[All errors](index.md)\n",
    ]
    return "\n".join(lines)


def home_of(kind: type[OutgrowError]) -> str:
    """The door through which an error is imported: `outgrow.errors`, or its room's."""
    return ".".join(kind.__module__.split(".")[:2])


def error_index(errors: list[type[OutgrowError]]) -> str:
    """The table of all errors."""
    lines = [
        MADE_FROM.format(source="src/outgrow/errors.py"),
        "# Errors\n",
        "Each error has a code that never changes its meaning, and says one thing to do.\n",
        *table(
            ("Code", "Error", "Meaning"),
            [(f"[{e.code}]({e.code}.md)", f"`{e.__name__}`", first_line(e)) for e in errors],
        ),
    ]
    return "\n".join(lines)


def settings_page() -> str:
    """The table of all settings, in the order of the class."""
    flags = setting_flags()
    lines = [
        MADE_FROM.format(source="src/outgrow/model/settings.py"),
        "# Settings\n",
        "A setting is read from the flag, else the environment, else the file, else its default.",
        "In a file it stands by its name under `[run]` in outgrow.toml, or under",
        "`[tool.outgrow.run]` in pyproject.toml. `outgrow run --explain` shows every value and",
        "where it comes from.\n",
        *table(
            ("Setting", "Flag", "Environment", "Default", "Meaning"),
            [setting_cells(field, flags[field.name]) for field in dataclasses.fields(Settings)],
        ),
    ]
    return "\n".join(lines)


def setting_cells(field: dataclasses.Field[object], flag: str) -> tuple[str, ...]:
    """One row: name, flag, environment variables, default, meaning."""
    own = f"OUTGROW_{field.name.upper()}"
    variables = dict.fromkeys([own, *field.metadata["env"]])
    return (
        f"`{field.name}`",
        f"`{flag}`",
        ", ".join(f"`{name}`" for name in variables),
        shown(field.default),
        str(field.metadata["help"]),
    )


def shown(default: object) -> str:
    """A default as one writes it in TOML; a dash where there is none."""
    if default is None or default in ((), ""):
        return "-"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def first_line(thing: object) -> str:
    """The first sentence of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]


def write_pages() -> None:
    """Bring the generated pages on disk up to date, and remove those of errors that are gone."""
    pages = generated_pages()
    for old in (ROOT / "docs/errors").glob("*.md"):
        if f"docs/errors/{old.name}" not in pages:
            old.unlink()
    for name, text in pages.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"wrote {len(pages)} pages under docs/errors and docs/reference")


if __name__ == "__main__":
    write_pages()
