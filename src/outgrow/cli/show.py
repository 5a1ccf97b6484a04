"""How things are printed: data to stdout, talk to stderr, colours only where they are welcome."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from outgrow.errors import AppMissingError, SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.errors import OutgrowError

EXIT_FAILED = 1
EXIT_MISUSE = 2


def out(text: str = "") -> None:
    """A line of data."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def talk(text: str) -> None:
    """A line for people."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def out_json(content: object) -> None:
    """Data for programs: one line of JSON."""
    out(json.dumps(content))


def fail(problem: OutgrowError) -> int:
    """Show an error; returns the exit code for it."""
    talk(str(problem))
    return EXIT_MISUSE if isinstance(problem, SettingError | AppMissingError) else EXIT_FAILED


def table(rows: Sequence[Mapping[str, str]], right: set[str]) -> list[str]:
    """Rows under headings, in columns two spaces apart.

    Args:
        rows: All with the same keys, which are the headings.
        right: Headings of the columns that hold numbers.
    """
    if not rows:
        return []
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    lines = [_line({name: name for name in widths}, widths, right)]
    lines += [_line(row, widths, right) for row in rows]
    return lines


def _line(row: Mapping[str, str], widths: Mapping[str, int], right: set[str]) -> str:
    cells = [
        row[name].rjust(width) if name in right else row[name].ljust(width)
        for name, width in widths.items()
    ]
    return "  ".join(cells).rstrip()


def bytes_shown(count: int) -> str:
    """`41 MB`; nothing where it is unknown."""
    return f"{count / 1e6:.0f} MB" if count else ""


def ms_shown(milliseconds: float | None) -> str:
    """Milliseconds with as many digits as mean something."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:.0f}"
