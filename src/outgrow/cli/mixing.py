"""What a load test sends: the routes in the mix of now, each with requests that were really made.

What is kept of traffic says how often each route was called, not with what: addresses may hold
names and keys. So examples come from the access log, which holds paths and no bodies, and only
those that change nothing (GET, HEAD) are repeated; all else needs an example that somebody wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.cli.sending import Request
from outgrow.errors import RefusedError, SettingValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

EXAMPLES_MAX = 200
FILE_BYTES_MAX = 1024 * 1024
UNCOVERED_PERCENT_MAX = 10.0
"""More of the traffic without an example, and the mix would be another one."""
_ACCESS = re.compile(r'"([A-Z]+) (/\S*) HTTP/[\d.]+"\s+(\d{3})')
_LINE = re.compile(r"([A-Z]+)\s+(/\S*)(?:\s+(.*))?")
_PLACE = re.compile(r"\{[^}]*\}|<[^>]*>")
_READS = ("GET", "HEAD")
_HINT = "Write a file with a line `METHOD PATH [BODY]` for each, and name it by `--requests`"


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """One route of the mix.

    Attributes:
        route: As the observer names it, such as `GET /items/{id}`.
        share: Of all requests.
        examples: Requests of it.
    """

    route: str
    share: float
    examples: tuple[Request, ...]


def from_log(texts: Iterable[str]) -> list[Request]:
    """Requests that changed nothing and were answered well, from lines of an access log."""
    found: dict[tuple[str, str], None] = {}
    for text in texts:
        seen = _ACCESS.search(text)
        if seen and seen[1] in _READS and int(seen[3]) < 400:
            found[seen[1], seen[2]] = None
    return [Request(method=method, path=path) for method, path in found]


def from_file(path: Path) -> list[Request]:
    """Requests that somebody wrote down, a line each: `METHOD PATH [BODY]`.

    Raises:
        SettingValueError: There is no such file, or a line is not understood.
    """
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX).decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingValueError(f"cannot read {path}: {problem}", hint=_HINT) from None
    found: list[Request] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        seen = _LINE.fullmatch(line.strip())
        if seen is None:
            raise SettingValueError(f"line {number} of {path} is no request", hint=_HINT)
        found.append(Request(method=seen[1], path=seen[2], body=(seen[3] or "").encode()))
    return found


def mix_of(calls: Mapping[str, float], examples: Sequence[Request]) -> tuple[Mixed, ...]:
    """The mix of now, with examples of each route.

    Args:
        calls: Of each route, such as `GET /items/{id}`.
        examples: Requests; each is of the first route that its path fits.

    Returns:
        Those with examples, the most frequent first; shares add up to 1.

    Raises:
        RefusedError: Too much of the traffic has no example.
    """
    by_route: dict[str, list[Request]] = {route: [] for route in _nearest_first(calls)}
    patterns = {route: _pattern(route) for route in by_route}
    for one in examples:
        told = f"{one.method} {one.path.partition('?')[0]}"
        route = next((route for route, each in patterns.items() if each.fullmatch(told)), None)
        if route is not None and len(by_route[route]) < EXAMPLES_MAX:
            by_route[route].append(one)
    for route, found in by_route.items():
        method, _, path = route.partition(" ")
        if not found and method in _READS and not _PLACE.search(path):
            found.append(Request(method=method, path=path))
    total = sum(calls.values())
    covered = {route: calls[route] for route, found in by_route.items() if found}
    without = sorted(set(calls) - set(covered), key=lambda route: -calls[route])
    uncovered = 100 * (1 - sum(covered.values()) / total) if total else 100.0
    if uncovered > UNCOVERED_PERCENT_MAX:
        raise RefusedError(
            f"there is no example of {uncovered:.0f} % of the traffic: "
            + ", ".join(f"`{route}`" for route in without[:3]),
            hint=_HINT,
        )
    whole = sum(covered.values())
    return tuple(
        Mixed(route=route, share=count / whole, examples=tuple(by_route[route]))
        for route, count in sorted(covered.items(), key=lambda pair: -pair[1])
    )


def _nearest_first(routes: Iterable[str]) -> list[str]:
    """Those that leave the least open come first, as frameworks try them."""
    return sorted(routes, key=lambda route: (len(_PLACE.findall(route)), -len(route), route))


def _pattern(route: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in _PLACE.split(route)]
    woven = [parts[0]]
    for place, part in zip(_PLACE.findall(route), parts[1:], strict=True):
        reaches_far = ":path" in place or place.startswith("<path:")
        woven += [".+" if reaches_far else "[^/]+", part]
    return re.compile("".join(woven))
