"""Code bases that are written down in a test, and their history."""

from __future__ import annotations

import subprocess
from pathlib import Path

from outgrow.host import Coupling, coupling_of

_AS_SOMEBODY = (
    *("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"),
    *("-c", "core.hooksPath=/dev/null"),
)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(folder: Path, *words: str, given: str = "") -> None:
    command = ["git", *_AS_SOMEBODY, "-C", str(folder), *words]
    subprocess.run(command, check=True, capture_output=True, input=given.encode())


def history(folder: Path, *commits: tuple[str, ...]) -> None:
    """A commit after the other, each of which changes these files."""
    stream: list[str] = []
    for number, names in enumerate(commits, 1):
        when = f"{1_700_000_000 + number} +0000"
        stream.append(f"commit refs/heads/main\ncommitter a <a@example.org> {when}\ndata 1\nx\n")
        for name in names:
            path = folder / name
            text = f"{path.read_text() if path.exists() else ''}# {number}\n"
            stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n")
    git(folder, "fast-import", "--quiet", given="".join(stream))
    git(folder, "reset", "-q", "--hard", "main")


def found(folder: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    """What is found in these files: code and text."""
    write(folder, files)
    return [(each.code, each.text) for each in coupling_of(folder).findings]


def told(folder: Path) -> Coupling:
    return coupling_of(folder)
