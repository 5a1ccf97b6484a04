"""An archive at nine in the morning, for the tests of what it keeps and tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from outgrow.telemetry import Archive
from tests.unit.telemetry.archive.telling import Clock, opened


@pytest.fixture
def clock() -> Clock:
    """Nine in the morning."""
    return Clock()


@pytest.fixture
def archive(tmp_path: Path, clock: Clock) -> Iterator[Archive]:
    """An empty one."""
    archive = opened(tmp_path / "kept", clock)
    yield archive
    archive.close()
