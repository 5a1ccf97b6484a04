"""Calls to what lies outside: counted as links, with a span, and with the trace on their way."""

from __future__ import annotations

import os
import threading
from time import monotonic_ns
from typing import TYPE_CHECKING

from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.links import LinkBook, LinkTotals
from outgrow.telemetry.outside.noting import OTHER, caller, note_client, size_of
from outgrow.telemetry.parents import note_leaving
from outgrow.telemetry.traces import outgoing, outgoing_state, place

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.telemetry.records import Attribute

CALLEES_MAX = 256
_METHOD_MAX = 20
_book = LinkBook()
# The one lock; a process that was just forked needs one that nobody holds.
_locks = [threading.RLock()]


def _renew_lock() -> None:
    _locks[:] = [threading.RLock()]


os.register_at_fork(after_in_child=_renew_lock)


def outside_links() -> list[LinkTotals]:
    """Totals of all calls to what lies outside, but for statements; from any thread."""
    return _book.all()


def note_handed(by: str, callee: str) -> None:
    """Count work that is handed on for later: a job that is enqueued, an event that is published.

    Args:
        by: Who does: an operation, a route, or `schedule`.
        callee: Such as `queue mail Mail.send_receipt`, or `topic shop.OrderPlaced`.
    """
    with _locks[0]:
        _link(by, callee).calls += 1


class OutsideCall:
    """One call under way.

    Args:
        callee: Such as `http api.stripe.com`; after 256 different ones its kind and `(other)`.
        name: Of its span, such as `GET api.stripe.com`.
        attributes: Of its span.
    """

    __slots__ = ("_attributes", "_begun_ns", "_callee", "_name", "_number", "_parent", "_segment")

    def __init__(self, callee: str, name: str, attributes: dict[str, Attribute]) -> None:
        self._callee = callee
        self._name = name
        self._attributes = attributes
        self._segment, self._parent = place()
        self._number = 0 if self._segment is None else self._segment.next()
        self._begun_ns = monotonic_ns()

    def headers(self, has: Callable[[str], bool]) -> dict[str, str]:
        """What to send of the trace; nothing where somebody has done so, or there is none.

        Args:
            has: Whether the request has this header already.
        """
        if self._segment is None or has("traceparent"):
            return {}
        traceparent = outgoing(self._number)
        if traceparent is None:
            return {}
        state = outgoing_state()
        if state and not has("tracestate"):
            return {"traceparent": traceparent, "tracestate": state}
        return {"traceparent": traceparent}

    def end(self, error: str = "") -> None:
        """Count it, and note its span.

        Args:
            error: What went wrong; empty where nothing did.
        """
        ended_ns = monotonic_ns()
        spent_ns = ended_ns - self._begun_ns
        by = caller()
        with _locks[0]:
            link = _link(by, self._callee)
            link.calls += 1
            link.duration_ns += spent_ns
            link.buckets[bucket_of(spent_ns)] += 1
            if error:
                link.errors += 1
        if self._segment is not None:
            note_leaving(self._segment, self._parent, link.caller, link.callee)
            note_client(
                self._segment,
                self._parent,
                self._number,
                self._name,
                self._begun_ns,
                ended_ns,
                error,
                self._attributes,
                size_of(self._attributes),
            )

    def answered(self, status: int) -> None:
        """End it with the status of an HTTP response; from 500 on it has failed."""
        self._attributes["http.response.status_code"] = status
        self.end(f"HTTP {status}" if status >= 500 else "")


def _link(name: str, callee: str) -> LinkTotals:
    known = _book.links.get(callee)
    if known is None and len(_book.links) >= CALLEES_MAX:
        callee = f"{callee.partition(' ')[0]} {OTHER}"
        known = _book.links.get(callee)
    if known is not None and name in known:
        return known[name]
    return _book.meet(name, callee)


def http_call(method: str, scheme: str, host: str, port: int | None) -> OutsideCall:
    """A request to elsewhere.

    Args:
        method: Such as `GET`.
        scheme: `http` or `https`.
        host: Its name or address.
        port: None, or that of the scheme, is not shown.
    """
    place_named = f"[{host}]" if ":" in host else host
    if port and port != (443 if scheme == "https" else 80):
        place_named = f"{place_named}:{port}"
    method = method.upper()[:_METHOD_MAX]
    attributes: dict[str, Attribute] = {
        "http.request.method": method,
        "server.address": host,
        "url.scheme": scheme,
    }
    if port:
        attributes["server.port"] = port
    return OutsideCall(f"http {place_named}", f"{method} {place_named}", attributes)
