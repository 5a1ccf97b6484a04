"""Both servers, each shared launch started once for the whole file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .compare import Pair


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Uvicorn and outgrow, ready to be asked the same."""
    with Pair() as both:
        yield both
