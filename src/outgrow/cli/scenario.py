"""Visitors of a scenario file, as a load test sends them.

The load stays an open loop: whenever a request is due, the visitor who has waited longest since an
answer goes on, and where all wait for answers a new one comes.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outgrow.cli.mixing import OTHERS, RouteFinder
from outgrow.cli.sending import Request, is_header
from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from outgrow.capacity import Sending
    from outgrow.cli.sending import Received, Sender

NAME = "visitor"
EMPTY_VISITS_MAX = 100
"""So many visitors in a row who send nothing are a mistake."""
_HINT = "Write `def visitor(dice): yield Request('GET', '/')` with `outgrow.testing.Request`"


def visitor_in(path: Path) -> Callable[[random.Random], Any]:
    """The function `visitor` of a file; what it imports is looked for as `python FILE` would.

    Raises:
        SettingValueError: There is no such file or function, or it cannot be imported.
    """
    spec = importlib.util.spec_from_file_location("scenario", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SettingValueError(f"{path} is no Python file", hint=_HINT)
    module = importlib.util.module_from_spec(spec)
    sys.path[:0] = [str(path.resolve().parent), str(Path.cwd())]
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise SettingValueError(
            f"cannot import the scenario {path}: {type(problem).__name__}: {problem}", hint=_HINT
        ) from problem
    found = getattr(module, NAME, None)
    if not callable(found):
        raise SettingValueError(f"{path} has no function `{NAME}`", hint=_HINT)
    return found


@dataclass
class Visitors:
    """Those who visit an app.

    Attributes:
        visitor: Of a scenario.
        sender: To the app.
        chance: Given to each visitor.
        calls: How often each route was called in the traffic of now.
        sent: How often each was sent to.
    """

    visitor: Callable[[random.Random], Any]
    sender: Sender
    chance: random.Random
    calls: Mapping[str, float]
    sent: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        """Know the routes, the most frequent first, and have nobody waiting yet."""
        self.routes: Sequence[str] = (*sorted(self.calls, key=lambda one: -self.calls[one]), OTHERS)
        self._finder = RouteFinder(self.calls)
        self._answered: deque[tuple[Any, Received]] = deque()

    def draw(self) -> Sending:
        """Who sends next, and what.

        Raises:
            SettingValueError: The scenario failed, or does not say what to send.
        """
        from outgrow.capacity import Sending

        visit, request = self._next()
        route = self._finder.route_of(request) or OTHERS
        self.sent[route] += 1
        return Sending(self.routes.index(route), partial(self._send, visit, request))

    def _next(self) -> tuple[Any, Request]:
        while self._answered:
            visit, answer = self._answered.popleft()
            if (written := _resumed(visit, answer)) is not None:
                return visit, _request_of(written)
        for visit in map(self.visitor, repeat(self.chance, EMPTY_VISITS_MAX)):
            if (written := _resumed(visit, None)) is not None:
                return visit, _request_of(written)
        raise SettingValueError(f"`{NAME}` of the scenario sends nothing", hint=_HINT)

    async def _send(self, visit: Any, request: Request) -> int:
        answer = await self.sender.send(request)
        self._answered.append((visit, answer))
        return answer.status

    def in_words(self) -> Sequence[str]:
        """That the scenario says it."""
        return ["what the scenario says"]

    def close(self) -> None:
        """Close the sender."""
        self.sender.close()

    @property
    def off_ratio(self) -> float:
        """Share of what was sent that the traffic of now would have sent to other routes."""
        sent, called = self.sent.total(), sum(self.calls.values())
        if not sent or not called:
            return 0.0
        return (
            sum(
                abs(self.sent[route] / sent - self.calls.get(route, 0.0) / called)
                for route in self.routes
            )
            / 2
        )


def _resumed(visit: Any, answer: Received | None) -> object:
    """What a visitor sends next; None at the end of the visit."""
    try:
        return visit.send(answer)
    except StopIteration:
        return None
    except Exception as problem:
        raise SettingValueError(
            f"the scenario failed: {type(problem).__name__}: {problem}", hint=_HINT
        ) from problem


def _request_of(written: Any) -> Request:
    try:
        headers = tuple(f"{name}: {value}" for name, value in written.headers.items())
        request = Request(
            method=written.method, path=written.path, body=written.content, headers=headers
        )
    except AttributeError:
        raise SettingValueError(
            f"the scenario yielded {type(written).__name__}, which is no request", hint=_HINT
        ) from None
    if not request.path.startswith("/") or not all(is_header(line) for line in headers):
        raise SettingValueError(
            f"the scenario yielded a request of {request.path!r}, which cannot be sent", hint=_HINT
        )
    return request
