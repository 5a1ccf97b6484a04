"""What changed together, from git: the last commits, without merges and mass changes."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.host.coupling.ways import CHANCE_TIMES_MIN, FILES_MAX, Shared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMITS_MAX = 2_000
_GIT_SECONDS_MAX = 60.0
_COMMIT = "\x01"
Commits = tuple[frozenset[str], ...]


@dataclass(frozen=True, kw_only=True)
class History:
    """The commits that tell something.

    Attributes:
        commits: Each as the modules that it touched.
        since: The day of the oldest one that was read.
        mass_count: Those that were left out, as they touch more than 30 files.
    """

    commits: Commits
    since: str
    mass_count: int


def history_of(folder: Path, modules: Mapping[Path, str]) -> History | str:
    """The history of a folder.

    Args:
        folder: Any; the repository that it lies in is asked.
        modules: Names of the modules by file; all else is passed over.

    Returns:
        Why there is none, as a text.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if isinstance(top, subprocess.CalledProcessError):
        return (top.stderr.strip().splitlines() or ["git failed"])[0].removeprefix("fatal: ")
    if not isinstance(top, str):
        return str(top)
    told = _git(
        *(folder, "-c", "core.quotepath=off", "-c", "log.showSignature=false", "log"),
        *("--no-merges", "--find-renames", "--name-status", "--full-diff"),
        *(f"--max-count={COMMITS_MAX}", f"--format={_COMMIT}%ct", "--", "."),
    )
    if not isinstance(told, str):
        return "no commit was ever made here"
    root = Path(top.strip())
    names = {_below(path, root): name for path, name in modules.items()}
    return _read(told, names)


def _below(path: Path, root: Path) -> str:
    path = path.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""


def _git(folder: Path, *words: str) -> str | Exception:
    """What git says; a repository's own programs are not run."""
    settings = {"GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "LC_ALL": "C"}
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS_MAX,
            env={**os.environ, **settings},
        ).stdout
    except FileNotFoundError:
        return FileNotFoundError("git is not installed")
    except (OSError, subprocess.SubprocessError) as problem:
        return problem


def _read(told: str, names: Mapping[str, str]) -> History:
    """The commits in what `git log` says, newest first; files keep the name that they have now."""
    renamed: dict[str, str] = {}
    commits: list[frozenset[str]] = []
    since, mass_count = "", 0
    for text in told.split(_COMMIT)[1:]:
        seconds, *lines = text.splitlines()
        since = time.strftime("%Y-%m-%d", time.gmtime(int(seconds)))
        touched: set[str] = set()
        for line in lines:
            status, _, paths = line.partition("\t")
            before, _, after = paths.partition("\t")
            now = after or before
            now = renamed.get(now, now)
            if status.startswith("R"):
                renamed[before] = now
            if paths:
                touched.add(now)
        if len(touched) > FILES_MAX:
            mass_count += 1
            continue
        mine = frozenset(names[path] for path in touched if path in names)
        if mine:
            commits.append(mine)
    return History(commits=tuple(commits), since=since, mass_count=mass_count)


def together(commits: Commits, parts: Mapping[str, str]) -> dict[tuple[str, str], Shared]:
    """Modules of different parts that change together, by name, the rarer one first."""
    touched: dict[str, int] = {}
    both: dict[tuple[str, str], int] = {}
    for commit in commits:
        known = sorted(name for name in commit if name in parts)
        for name in known:
            touched[name] = touched.get(name, 0) + 1
        for pair in combinations(known, 2):
            if parts[pair[0]] != parts[pair[1]]:
                both[pair] = both.get(pair, 0) + 1
    found: dict[tuple[str, str], Shared] = {}
    for pair, count in both.items():
        rarer, other = sorted(pair, key=lambda name: (touched[name], name))
        shared = Shared(both=count, rarer=touched[rarer])
        by_chance = touched[other] / len(commits)
        if shared.is_coupled and shared.ratio >= CHANCE_TIMES_MIN * by_chance:
            found[rarer, other] = shared
    return found


def by_parts(commits: Commits, parts: Mapping[str, str]) -> Sequence[frozenset[str]]:
    """The parts that each commit touched."""
    return [frozenset(parts[name] for name in one if name in parts) for one in commits]
