"""The table in the docs lists what the suite observes, no more and no less."""

from __future__ import annotations

from pathlib import Path

from scripts.parity_table import PAGE, listed

from .registry import behaviours

BEHAVIOURS_MIN = 60


def test_the_page_lists_exactly_the_behaviours_of_the_suite() -> None:
    rows = listed(Path(PAGE).read_text())
    assert rows == [each.title for each in behaviours()]


def test_the_page_marks_exactly_the_documented_differences() -> None:
    text = Path(PAGE).read_text()
    marked = {each.title for each in behaviours() if each.difference is not None}
    assert set(listed(text, differing=True)) == marked
    for each in behaviours():
        assert each.difference is None or each.difference.reason in text


def test_the_suite_holds_at_least_sixty_behaviours() -> None:
    assert len(behaviours()) >= BEHAVIOURS_MIN
