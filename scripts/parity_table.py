"""Writes docs/reference/parity.md: every behaviour of tests/parity, observed on both servers.

Run `python -m scripts.parity_table` in the project's folder. With words it prints, without writing,
the observations of the behaviours whose title or area holds one of them.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tests.parity.compare import Pair, Seen
from tests.parity.registry import Behaviour, behaviours

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "parity.md"
SHOWN_MAX = 110
SAME, DIFFERENT, OPEN = "same", "**different**", "**open**"
HEAD = """\
<!-- Made by `python -m scripts.parity_table` from tests/parity; change it there. -->

# What uvicorn does for an app, outgrow does

{count} behaviours, each driven on `python -m uvicorn` {uvicorn} and on `python -m outgrow run`, as
real processes on real sockets. {same} are the same; {different} differ, and each of these says why.
The suite fails when either server shows anything else.

The columns hold what the clients or the app observed, shortened: a Python value, ports and dates
blanked.
"""
AREA_TITLES = {
    "scope": "The scope of a request",
    "apps": "Forms of an app",
    "lifespan": "Lifespan",
    "messages": "Receive and send",
    "responses": "Responses",
    "connections": "Connections",
    "bodies": "Bodies and streams",
    "websocket": "WebSocket",
    "websocket_ends": "The end of a WebSocket",
    "proxies": "Behind a proxy",
    "sockets": "TLS, Unix sockets, file descriptors",
    "limits": "Limits",
    "logs": "Logs",
    "signals": "Signals and the end",
    "settings": "Settings and the process",
}


def main() -> int:
    """Observe all behaviours and write the page, or print those that hold a word."""
    words = sys.argv[1:]
    chosen = [each for each in behaviours() if not words or wanted(each, words)]
    with Pair() as pair:
        seen = [observed(pair, each) for each in chosen]
    if words:
        return 0
    rows = list(zip(chosen, seen, strict=True))
    PAGE.write_text(page(rows))
    wrong = sum(is_wrong(*each) for each in rows)
    print(f"wrote {PAGE.name}: {len(rows)} behaviours, {wrong} not as documented")
    return 1 if wrong else 0


def wanted(behaviour: Behaviour, words: list[str]) -> bool:
    """Whether its title holds one of the words, or one is its area."""
    return behaviour.area in words or any(word in behaviour.title for word in words)


def observed(pair: Pair, behaviour: Behaviour) -> Seen:
    """Observe, and print what was seen."""
    seen = pair.observe(behaviour)
    mark = "WRONG" if is_wrong(behaviour, seen) else "same" if same(seen) else "differs"
    print(f"{mark:8}{behaviour.area}: {behaviour.title}")
    if mark != "same":
        print(f"    uvicorn  {seen.uvicorn!r}\n    outgrow  {seen.outgrow!r}")
    sys.stdout.flush()
    return seen


def is_wrong(behaviour: Behaviour, seen: Seen) -> bool:
    """Whether the two showed something that is not documented."""
    return seen != seen.expected(behaviour)


def same(seen: Seen) -> bool:
    """Whether the two showed the same."""
    return bool(seen.uvicorn == seen.outgrow)


def page(rows: list[tuple[Behaviour, Seen]]) -> str:
    """The text of the whole page."""
    different = sum(each.difference is not None for each, _ in rows)
    numbers = {"count": len(rows), "same": len(rows) - different, "different": different}
    text = [HEAD.format(uvicorn=version("uvicorn"), **numbers)]
    for area, group in groupby(rows, key=lambda row: row[0].area):
        text.append(section(area, list(group)))
    return "\n".join(text)


def section(area: str, rows: list[tuple[Behaviour, Seen]]) -> str:
    """One table and the arguments beneath it."""
    lines = [
        f"## {AREA_TITLES[area]}",
        "",
        "| behaviour | uvicorn | outgrow | |",
        "|---|---|---|---|",
    ]
    lines += [row(behaviour, seen) for behaviour, seen in rows]
    lines += ["", *arguments(behaviour for behaviour, _ in rows)]
    return "\n".join(lines)


def row(behaviour: Behaviour, seen: Seen) -> str:
    """One line of a table."""
    mark = OPEN if is_wrong(behaviour, seen) else SAME if same(seen) else DIFFERENT
    second = "same" if mark == SAME else shown(seen.outgrow)
    return f"| {behaviour.title} | {shown(seen.uvicorn)} | {second} | {mark} |"


def arguments(rows: Iterator[Behaviour] | list[Behaviour]) -> list[str]:
    """Why the servers differ, one item for each difference."""
    found = [f"- *{each.title}*: {each.difference.reason}" for each in rows if each.difference]
    return [*found, ""] if found else []


def shown(value: object) -> str:
    """A value as it stands in a table: short, on one line, no bar to break it."""
    text = repr(value)
    if len(text) > SHOWN_MAX:
        text = text[: SHOWN_MAX - 4] + " ..."
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def listed(text: str, *, differing: bool = False) -> list[str]:
    """The behaviours that a page lists, in order; with `differing`, those marked different."""
    marks = (DIFFERENT,) if differing else (SAME, DIFFERENT, OPEN)
    ends = tuple(f" | {mark} |" for mark in marks)
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.endswith(ends)]
    return [line[2:].split(" | ")[0] for line in rows]


if __name__ == "__main__":
    sys.exit(main())
