"""Writing an app and reviewing it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from outgrow.host.review.finding import Finding
from outgrow.host.review.rules import findings_of
from outgrow.host.review.targets import code_of

Reviewed = Callable[..., list[Finding]]
IMPORTS = "from outgrow import call, client, operation, provides, service, uses, wait\n"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write modules; each begins with what nearly all of them import."""
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))


def imports_undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forgets at the end from where a test imported; what it imported is forgotten after each."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield


def lines(found: list[Finding]) -> list[str]:
    """Each finding as `file:line code text`."""
    return [f"{each.file}:{each.line} {each.code} {each.text}" for each in found]


def reviewed_in(folder: Path) -> Reviewed:
    """Reviews modules that are given by name, or one module by its source alone."""

    def reviewed(files: Mapping[str, str] | str, *targets: str) -> list[Finding]:
        written = {"shop.py": files} if isinstance(files, str) else files
        write_files(
            folder, {name: IMPORTS + textwrap.dedent(each) for name, each in written.items()}
        )
        return findings_of(code_of(targets or ["."]))

    return reviewed
