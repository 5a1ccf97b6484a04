"""Typing a verb, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from outgrow.cli import main


@dataclass(frozen=True)
class Ended:
    """How a verb ended."""

    code: int
    out: str
    err: str


Outgrow = Callable[..., Ended]


def outgrow_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Outgrow:
    """Types `outgrow` with these words in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")

    def outgrow(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["outgrow", *words])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        written = capsys.readouterr()
        return Ended(code, written.out, written.err)

    return outgrow
