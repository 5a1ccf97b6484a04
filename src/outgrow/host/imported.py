"""The app's own modules that are imported, and what a source may import."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

from outgrow.host.places import is_own

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))",
    re.MULTILINE,
)
_WORD, _DOTTED = re.compile(r"\w+"), re.compile(r"[\w.]+")


def loaded_files() -> dict[Path, str]:
    """The modules that came from files of the app's own, by file."""
    found: dict[Path, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or name == "__main__":
            continue
        if _is_own_folder(str(Path(file).parent)):
            found.setdefault(Path(file).resolve(), name)
    return found


@functools.cache
def _is_own_folder(folder: str) -> bool:
    return is_own(f"{folder}/")


def imports_in(source: bytes, module: str, *, is_package: bool = False) -> frozenset[str]:
    """The modules that a source may import; more than it does, where a name may be a module.

    Args:
        source: The source.
        module: Its own name, for imports that begin with a dot.
        is_package: Whether it is the `__init__.py` of a package.
    """
    found: set[str] = set()
    for match in _IMPORT.finditer(source):
        dots, name, rest, plain = (part.decode() for part in match.groups(b""))
        parts = module.split(".")
        above = parts[: len(parts) - len(dots) + is_package] if dots else []
        start = ".".join([*above, *([name] if name else [])])
        names = [f"{start}.{each}" for each in _WORD.findall(rest)] if start else []
        for each in (start, *names, *_DOTTED.findall(plain)):
            steps = each.split(".")
            found.update(".".join(steps[:count]) for count in range(1, len(steps) + 1))
    return frozenset(found)
