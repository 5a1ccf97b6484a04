"""An app of a test's own, forgotten after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.host.review.reviewing import Reviewed, imports_undone, reviewed_in


@pytest.fixture(autouse=True)
def _forget_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield from imports_undone(monkeypatch)


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    """Writes modules and reviews them; a source alone is the module `shop`, from line 2 on."""
    return reviewed_in(tmp_path)
