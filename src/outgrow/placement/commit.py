"""The commit that an app's folder is at, read from its git repository without running git."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LINKS_MAX = 5
_FILE_CHARACTERS_MAX = 4 * 1024 * 1024


def commit_of(folder: Path) -> str:
    """The commit that is checked out there, as hexadecimal digits; empty where none is found."""
    try:
        git = _git_folder(folder.resolve())
        return _resolved(git, "HEAD") if git else ""
    except (OSError, UnicodeDecodeError, RuntimeError):
        return ""


def _git_folder(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        found = place / ".git"
        if found.is_dir():
            return found
        if found.is_file():  # a worktree, or a submodule
            _, _, path = _text(found).partition("gitdir:")
            return (place / path.strip()).resolve() if path.strip() else None
    return None


def _resolved(git: Path, name: str) -> str:
    """What a name such as HEAD stands for, through other names."""
    shared = git / "commondir"
    places = [git, (git / _text(shared).strip()).resolve()] if shared.is_file() else [git]
    for _ in range(_LINKS_MAX):
        text = next((_text(place / name) for place in places if (place / name).is_file()), "")
        if not text.startswith("ref:"):
            found = text.strip() or _packed(places[-1], name)
            return found if _COMMIT.fullmatch(found) else ""
        name = text.removeprefix("ref:").strip()
        if ".." in Path(name).parts or Path(name).is_absolute():
            return ""
    return ""


def _packed(git: Path, name: str) -> str:
    packed = git / "packed-refs"
    lines = _text(packed).splitlines() if packed.is_file() else []
    words = [line.split(" ") for line in lines]
    return next((each[0] for each in words if each[1:] == [name]), "")


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_FILE_CHARACTERS_MAX)
