"""Which code each part of an app is made of, so that a reload can tell what has changed.

The code of a service is the file that declares it and all of the app's files that this imports, at
once or later, inside of a function. What packages bring is told by their names and versions. What
is imported by a name that is only known when it runs, and files that are no code, are not seen.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from outgrow.host.imported import imports_in, loaded_files
from outgrow.host.places import is_own
from outgrow.model import all_providers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.model import Graph

FILES_MAX = 20_000
PLACES_MAX = 400_000
_DIGEST_CHARACTERS = 16
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


class Makeup(msgspec.Struct):
    """What the services of an app are made of.

    Attributes:
        files: The app's files, as they are told to people.
        digests: Of each; that of a file that was written while the app was imported never recurs.
        parts: Of each service the places of its files in `files`.
        needs: The services that each service calls.
        packages: Folders of installed packages, which have their versions in their names.
    """

    files: list[str]
    digests: list[str]
    parts: dict[str, list[int]]
    needs: dict[str, list[str]]
    packages: list[str]

    def code_of(self, service: str) -> dict[str, str]:
        """The digest of each of a service's files, by the file."""
        return {self.files[place]: self.digests[place] for place in self.parts[service]}


def makeup_of(graph: Graph, began_ns: int) -> Makeup | None:
    """What the services of an app that was just imported are made of.

    Args:
        graph: The services.
        began_ns: Before the first of its files was read, on the wall clock.

    Returns:
        None without services, or where it is too much to tell.
    """
    if not graph.services:
        return None
    code = _Code(began_ns)
    shared = [function.__module__ for function in all_providers()]
    parts = {
        name: code.reached_from([model.module, *shared]) for name, model in graph.services.items()
    }
    if len(code.files) > FILES_MAX or sum(map(len, parts.values())) > PLACES_MAX:
        return None
    names = {model.cls: name for name, model in graph.services.items()}
    return Makeup(
        files=[_shown(path) for path in code.files],
        digests=code.digests,
        parts=parts,
        needs={
            name: sorted(names[cls] for cls in model.needs)
            for name, model in graph.services.items()
        },
        packages=_packages(),
    )


class _Code:
    """The app's files, as far as they are reached."""

    def __init__(self, began_ns: int) -> None:
        self.files: list[Path] = []
        self.digests: list[str] = []
        self._began_ns = began_ns
        self._loaded = {name: path for path, name in loaded_files().items()}
        self._folders = [Path(folder) for folder in sys.path if folder and is_own(f"{folder}/")]
        self._places: dict[str, int | None] = {}
        self._imports: list[frozenset[str]] = []

    def reached_from(self, modules: Iterable[str]) -> list[int]:
        """The places of all files that these modules are, or import."""
        reached: set[int] = set()
        waiting = [above for module in modules for above in _with_packages(module)]
        while waiting:
            place = self._place_of(waiting.pop())
            if place is not None and place not in reached:
                reached.add(place)
                waiting += self._imports[place]
        return sorted(reached)

    def _place_of(self, module: str) -> int | None:
        """Of a module's file; None where it is none of the app's, or no module at all."""
        if module not in self._places:
            path = self._loaded.get(module) or self._not_loaded(module)
            self._places[module] = None if path is None else self._read(path, module)
        return self._places[module]

    def _not_loaded(self, module: str) -> Path | None:
        above, _, name = module.rpartition(".")
        if module in sys.modules:
            return None
        package = self._loaded.get(above)
        folders = self._folders if not above else [package.parent] if package is not None else []
        for folder in folders:
            for path in (folder / f"{name}.py", folder / name / "__init__.py"):
                if path.is_file():
                    return path
        return None

    def _read(self, path: Path, module: str) -> int:
        try:
            source, written_ns = path.read_bytes(), path.stat().st_mtime_ns
        except OSError:
            source, written_ns = b"", self._began_ns
        digest = hashlib.sha256(source).hexdigest()[:_DIGEST_CHARACTERS]
        # What was written since the import began may not be what was imported.
        is_sure = written_ns < self._began_ns
        self.files.append(path)
        self.digests.append(digest if is_sure else f"{digest} at {written_ns}")
        self._imports.append(imports_in(source, module, is_package=path.name == "__init__.py"))
        return len(self.files) - 1


def _with_packages(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _packages() -> list[str]:
    folders = [Path(folder) for folder in sys.path if folder.endswith(_PACKAGE_FOLDERS)]
    return sorted({each.name for folder in folders for each in folder.glob("*.dist-info")})
