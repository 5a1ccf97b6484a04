"""Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table."""
    heads = list(titles)
    return [row(heads), "|---" * len(heads) + "|", *(row(cells) for cells in rows), ""]


def row(cells: Iterable[str]) -> str:
    """One line of a table; a bar in a cell is escaped, also between backticks."""
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
