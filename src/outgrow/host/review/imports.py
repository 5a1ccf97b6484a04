"""Imports the code that is to be reviewed, as running it would."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from outgrow.errors import AttributeMissingError
from outgrow.host.app import _import  # pyright: ignore[reportPrivateUsage]
from outgrow.host.imported import loaded_files

_LEFT_OUT_FOLDERS = {"__pycache__", "build", "dist", "migrations", "node_modules", "tests"}
_LEFT_OUT_FILES = re.compile(r"(test_.*|.*_test|conftest|setup)\.py")


class Imports:
    """Imports modules from one folder, and remembers which.

    Attributes:
        root: The folder.
        tops: The packages at the top that were asked for.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tops: set[str] = set()
        _look_in(root)

    def thing(self, target: str) -> Any:
        """What an import string names; a module, where it names nothing in it.

        Raises:
            AppError: It is not there, or cannot be imported.
        """
        name, _, attribute = target.partition(":")
        if name.endswith(".py"):
            found = self.file((self.root / name).resolve())
        else:
            found = _import(name, str(self.root))
        self.tops.add(found.__name__.partition(".")[0])
        for part in attribute.split(".") if attribute else ():
            if not hasattr(found, part):
                raise AttributeMissingError(
                    f"module `{name}` has no `{attribute}`",
                    hint=f"Name the module alone: `{name}`",
                )
            found = getattr(found, part)
        return found

    def file(self, path: Path) -> Any:
        """The module that a file is.

        Raises:
            AppError: It cannot be imported.
        """
        known = loaded_files().get(path)
        if known is not None:
            return sys.modules[known]
        folder, name = module_name(path, self.root)
        _look_in(folder)
        return _import(name, str(folder))


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def files_in(folder: Path) -> list[Path]:
    """The Python files below a folder that are part of an app, in order."""
    found: list[Path] = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if _is_code(Path(where, each)))
        found += [
            Path(where, each)
            for each in sorted(files)
            if each.endswith(".py") and not _LEFT_OUT_FILES.fullmatch(each)
        ]
    return found


def _is_code(folder: Path) -> bool:
    is_left_out = folder.name in _LEFT_OUT_FOLDERS or folder.name.startswith(".")
    return not is_left_out and not (folder / "pyvenv.cfg").exists()


def module_name(path: Path, root: Path) -> tuple[Path, str]:
    """The folder that a file is imported from, and its dotted name there."""
    top = path.parent
    while (top / "__init__.py").exists():
        top = top.parent
    # A package without `__init__.py` is named from the app's folder, where its files name it so.
    if top.is_relative_to(root) and top.relative_to(root).parts[:1] not in ((), ("src",)):
        top = root
    parts = path.relative_to(top).with_suffix("").parts
    return top, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
