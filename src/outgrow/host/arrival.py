"""What a request carries to the services behind it, and what they may say of it.

A service that refuses a call raises an error that most frameworks turn into a 500. The edge, which
sends the response, sees only the 500; so the call also leaves a note here, and the edge answers 503
or 504 instead. The note is found by a ContextVar, which frameworks carry along into their threads.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Container
from contextvars import ContextVar
from math import ceil
from typing import Any, cast

import msgspec

from outgrow.errors import CallError, DeadlineExceededError, OverloadedError, UnavailableError
from outgrow.telemetry import route_here
from outgrow.wire import EDGE, WEB, name_edge

RETRY_SECONDS_MAX = 3600.0
_CAUSES_MAX = 32
_REFUSALS = (OverloadedError, UnavailableError, DeadlineExceededError)


class Arrival(msgspec.Struct):
    """One request, as the code that serves it sees it.

    Attributes:
        begun_ns: When its headers were complete, on the clock `perf_counter_ns`.
        late_ns: From when on it is too late to begin with it; 0 where it never is.
        refusal: Why a call that it made was not answered, the latest one; None so far.
        raised: What its framework has made a 500 of after that, where it said so.
        turn: What it waits for while it stands in line for a thread.
        scope: Of the request, where its framework notes the route; None once it has ended.
        counted: Method and route of all that was counted.
        route: Such as `GET /orders/{id}`; empty until somebody asks who knows.
    """

    begun_ns: int
    late_ns: int = 0
    refusal: CallError | None = None
    raised: BaseException | None = None
    turn: Future[bool] | None = None
    scope: Any = None
    counted: Container[tuple[str, str]] = ()
    route: str = ""

    def leave_line(self) -> None:
        """Wait for no thread any more: the client is gone."""
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(False)


# None outside of requests, and where neither services nor threads have a use for it.
arrival: ContextVar[Arrival | None] = ContextVar("outgrow_arrival", default=None)


def _calling_route() -> str:
    """Who calls: the route of the request that is being served."""
    noted = arrival.get()
    if noted is None:
        return EDGE
    if not noted.route and noted.scope is not None:
        route = route_here(noted.scope, noted.counted)
        if route is not None:
            noted.route = f"{noted.scope['method']} {route}"
    return noted.route or WEB


name_edge(_calling_route)


def note_refusal(error: Exception) -> None:
    """Have the request that is being served answered with what this error means in HTTP.

    That is 503 for a service that is overloaded or unavailable, and 504 for a deadline that passed;
    but only if the app answers 500, and so did not deal with the error itself. Other errors mean
    nothing in HTTP, and are left alone; so is a group of errors that holds any other.
    """
    noted = arrival.get()
    if noted is None:
        return
    first = error
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        while isinstance(first, ExceptionGroup):
            first = cast("ExceptionGroup[Exception]", first).exceptions[0]
        if group.split(_REFUSALS)[1] is not None:
            return
    if isinstance(first, _REFUSALS):
        noted.refusal = first


def note_failure(error: BaseException) -> None:
    """Have it known what the app's framework makes a 500 of.

    Frameworks of threads have dealt with it by the time at which the edge sends the response.
    """
    noted = arrival.get()
    if noted is not None and noted.refusal is not None:
        noted.raised = error


def status_for(refusal: CallError) -> int:
    """The HTTP status that says what happened."""
    return 504 if isinstance(refusal, DeadlineExceededError) else 503


def retry_after(refusal: CallError) -> int | None:
    """When another try has a chance, in whole seconds; None where that is not known."""
    if isinstance(refusal, DeadlineExceededError):
        return None
    seconds = refusal.retry_after_seconds if isinstance(refusal, OverloadedError) else 1.0
    return ceil(min(max(1.0, seconds), RETRY_SECONDS_MAX))


def came_of(raised: BaseException, refusal: BaseException) -> bool:
    """Whether an exception is this refusal, holds it, or was raised because of it."""
    waiting, seen = [raised], 0
    while waiting and seen < _CAUSES_MAX:
        one = waiting.pop()
        seen += 1
        if one is refusal:
            return True
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", one).exceptions
    return False
