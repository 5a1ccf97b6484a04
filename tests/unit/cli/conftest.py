"""The command, for tests of the verbs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.typing_verbs import Outgrow, outgrow_in


@pytest.fixture
def outgrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Outgrow:
    """Types `outgrow` with these words in an empty folder."""
    return outgrow_in(tmp_path, monkeypatch, capsys)
