"""What a load test sends: the routes in the mix of now, each with requests that were really made.

What Outgrow keeps of traffic says how often each route was called, not with what: addresses may
hold names and keys. So examples come from the access log and from traces of OpenTelemetry, which
hold paths and no bodies, and only those that change nothing (GET, HEAD) are repeated; all else
needs an example that somebody wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

from outgrow.cli.sending import Request
from outgrow.errors import RefusedError, SettingValueError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from outgrow.capacity import Sending
    from outgrow.cli.sending import Sender
    from outgrow.placement import ApiClient

EXAMPLES_MAX = 200
FILE_BYTES_MAX = 1024 * 1024
UNCOVERED_PERCENT_MAX = 10.0
"""More of the traffic without an example, and the mix would be another one."""
_ACCESS = re.compile(r'"([A-Z]+) (/\S*) HTTP/[\d.]+"\s+(\d{3})')
_LINE = re.compile(r"([A-Z]+)\s+(/\S*)(?:\s+(.*))?")
_PLACE = re.compile(r"\{[^}]*\}|<[^>]*>")
_READS = ("GET", "HEAD")
TRACES_MAX = 100
_SERVER = 2
_REFUSED = 400
OTHERS = "others"
"""Requests of no route that is known."""
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


class Source(Protocol):
    """Where the requests of a load test come from.

    Attributes:
        routes: Their kinds, the most frequent in the traffic of now first.
        off_ratio: Share of what was sent that the traffic of now would have sent to other routes.
    """

    @property
    def routes(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def off_ratio(self) -> float: ...  # noqa: D102

    def draw(self) -> Sending:
        """What is sent next."""
        ...

    def in_words(self) -> Sequence[str]:
        """What is to be sent, in lines for people."""
        ...

    def close(self) -> None:
        """Close what is open and idle."""
        ...


@dataclass(frozen=True)
class Mix:
    """Examples in the mix of now.

    Attributes:
        sender: To the app.
        chance: Draws routes and examples.
        mixed: The routes.
    """

    sender: Sender
    chance: random.Random
    mixed: Sequence[Mixed]
    off_ratio: float = 0.0

    @property
    def routes(self) -> Sequence[str]:
        """Kinds of what is sent."""
        return [one.route for one in self.mixed]

    def draw(self) -> Sending:
        """One of the routes by their shares, and one of its examples."""
        from outgrow.capacity import Sending

        shares = [one.share for one in self.mixed]
        (kind,) = self.chance.choices(range(len(shares)), shares)
        example = self.chance.choice(self.mixed[kind].examples)
        return Sending(kind, partial(self._send, example))

    def in_words(self) -> Sequence[str]:
        """Each route, with its share and how many examples there are."""
        return [
            f"{100 * one.share:3.0f} %  {one.route}  ({_shown_count(len(one.examples))})"
            for one in self.mixed
        ]

    def close(self) -> None:
        """Close the sender."""
        self.sender.close()

    async def _send(self, request: Request) -> int:
        return (await self.sender.send(request)).status


def _shown_count(count: int) -> str:
    return "1 example" if count == 1 else f"{count} examples"


def from_log(texts: Iterable[str]) -> list[Request]:
    """Requests that changed nothing and were answered well, from lines of an access log."""
    found: dict[tuple[str, str], None] = {}
    for text in texts:
        seen = _ACCESS.search(text)
        if seen and seen[1] in _READS and int(seen[3]) < _REFUSED:
            found[seen[1], seen[2]] = None
    return [Request(method=method, path=path) for method, path in found]


def from_traces(api: ApiClient, since: str) -> list[Request]:
    """Requests that changed nothing and were answered well, of traces that tell their paths.

    Our own tell the route alone; those of OpenTelemetry's instrumentation tell `url.path`.
    """
    query = urlencode({"from": since, "limit": TRACES_MAX})
    rows = api.get(f"traces?{query}")["traces"]
    found: dict[tuple[str, str], None] = {}
    for row in rows:
        for span in api.get(f"traces/{row['trace_id']}?{urlencode({'from': since})}")["spans"]:
            seen = _request_told(span)
            if seen is not None:
                found[seen] = None
    return [Request(method=method, path=path) for method, path in found]


def _request_told(span: Mapping[str, Any]) -> tuple[str, str] | None:
    """Method and path, by the conventions of today or those before."""
    told = span["attributes"]
    method = told.get("http.request.method") or told.get("http.method")
    path = told.get("url.path") or told.get("http.target") or told.get("http.url")
    status = told.get("http.response.status_code") or told.get("http.status_code") or 200
    if span["kind"] != _SERVER or method not in _READS or not isinstance(path, str):
        return None
    path = urlsplit(path).path
    return (method, path) if path.startswith("/") and int(status) < _REFUSED else None


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


class RouteFinder:
    """Says of which route a request is, as frameworks would.

    Args:
        routes: Such as `GET /items/{id}`.
    """

    def __init__(self, routes: Iterable[str]) -> None:
        self._patterns = {route: _pattern(route) for route in _nearest_first(routes)}

    def route_of(self, request: Request) -> str | None:
        """The first route that its path fits; None where there is none."""
        told = f"{request.method} {request.path.partition('?')[0]}"
        return next((name for name, each in self._patterns.items() if each.fullmatch(told)), None)


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
    by_route: dict[str, list[Request]] = {route: [] for route in calls}
    finder = RouteFinder(calls)
    for one in examples:
        route = finder.route_of(one)
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
