"""Rules read the whole tree, which takes a busy machine a while."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each rule the time."""
    for item in items:
        if "tests/tidy/" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(90))
