"""What Prometheus reads at /metrics, and what goes on as OpenTelemetry metrics: the same families.

Counters begin at 0 when the observer starts. Labels are bounded: past so many routes, links,
statements or stations the next ones are counted together, as `(other)`.
"""

from __future__ import annotations

import asyncio
import gzip
import resource
import threading
import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from outgrow.dashboard.access import Access, AccessError
from outgrow.dashboard.atlas import is_route
from outgrow.dashboard.families import (
    OPEN_TYPE,
    TEXT_TYPE,
    Example,
    Family,
    place_of,
    points_of,
    text_of,
)
from outgrow.dashboard.measured import (
    deployed_families,
    link_families,
    observer_families,
    route_families,
    statement_families,
    station_families,
)
from outgrow.dashboard.summing import CALLS_MAX, Growing
from outgrow.telemetry import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from outgrow.dashboard.source import Source
    from outgrow.telemetry import (
        ForwardCounts,
        Health,
        LogRecord,
        MetricPoint,
        ReceivedCounts,
        SpanRecord,
    )

SEEN_NS = 30 * 10**9
SCRAPES_AT_ONCE_MAX = 4
_PACKED_BYTES_MIN = 1024
_OPEN = "application/openmetrics-text"


class Metrics:
    """The metrics of one app; may be asked from any thread.

    Args:
        source: Of sums of periods, such as the archive.
        app: Its name.
        version: Of Outgrow.
        clock_ns: The time of the wall clock, in nanoseconds since 1970.
        health: Says how the archive fares.
        received: What others sent.
        forwarded: Says what was sent on.
    """

    def __init__(
        self,
        source: Source,
        *,
        app: str,
        version: str,
        clock_ns: Callable[[], int] = time.time_ns,
        health: Callable[[], Health] | None = None,
        received: ReceivedCounts | None = None,
        forwarded: Callable[[], ForwardCounts] | None = None,
    ) -> None:
        self._source = source
        self._app = app
        self._version = version
        self._clock_ns = clock_ns
        self._health = health
        self._received = received
        self._forwarded = forwarded
        self._growing = Growing(source, clock_ns())
        self._turn = threading.Lock()
        self._examples: dict[str, dict[int, Example]] = {}
        self._scrapes = 0

    def kept(self, spans: Sequence[SpanRecord], _logs: Sequence[LogRecord] = ()) -> None:
        """Take note of traces that are kept of routes: they become exemplars."""
        for span in spans:
            if span.kept_for == "received" or not is_route(span.name):
                continue
            known = self._examples.get(span.name)
            if known is None:
                if len(self._examples) >= CALLS_MAX:
                    continue
                known = self._examples[span.name] = {}
            seconds = span.duration_ns / 1e9
            ended = (span.at_ns + span.duration_ns) / 1e9
            known[place_of(span.duration_ns)] = Example(span.trace_id.hex(), seconds, ended)

    def families(self) -> list[Family]:
        """All that is known now."""
        with self._turn:
            now_ns = self._clock_ns()
            sums = self._growing.sums(now_ns)
            workers = self._source.workers(now_ns - SEEN_NS, now_ns + 1)
            examples = {name: dict(known) for name, known in list(self._examples.items())}
            about = Family("outgrow_build", "info", "What observes what.", ("app", "version"))
            about.put((self._app, self._version), 1)
            return [
                about,
                *route_families(sums, examples),
                *link_families(sums),
                *statement_families(sums),
                *station_families(sums),
                *deployed_families(sums, workers),
                *self._own(),
                *observer_families(
                    self._health() if self._health else None,
                    self._received,
                    self._forwarded() if self._forwarded else None,
                ),
            ]

    def _own(self) -> list[Family]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = Family("outgrow_observer_cpu_seconds", "counter", "CPU time.", ("mode",))
        cpu.put(("user",), used.ru_utime)
        cpu.put(("system",), used.ru_stime)
        memory = Family("outgrow_observer_resident_memory_bytes", "gauge", "Resident memory.")
        memory.put((), resident_bytes())
        return [cpu, memory]

    def text(self, *, is_open: bool) -> str:
        """As OpenMetrics, or as text 0.0.4."""
        return text_of(self.families(), is_open=is_open)

    def points(self) -> list[MetricPoint]:
        """As points of OpenTelemetry, of this moment."""
        families = self.families()
        return points_of(families, self._clock_ns(), self._growing.began_ns, self._app)

    def routes(self, access: Access) -> list[Route]:
        """The route, for those that may look."""

        async def endpoint(request: Request) -> Response:
            try:
                access.admit(request.headers, request.cookies)
            except AccessError as problem:
                headers = {"www-authenticate": "Bearer"} if problem.status == 401 else None
                content = {"text": problem.text, "hint": problem.hint}
                return JSONResponse(content, problem.status, headers)
            if self._scrapes >= SCRAPES_AT_ONCE_MAX:
                return Response("too much is asked at once\n", 503, media_type="text/plain")
            self._scrapes += 1
            try:
                return await asyncio.to_thread(self._answer, request.headers)
            finally:
                self._scrapes -= 1

        return [Route("/metrics", endpoint)]

    def _answer(self, headers: Mapping[str, str]) -> Response:
        is_open = wants_open(headers.get("accept", ""))
        content = self.text(is_open=is_open).encode()
        answered = {
            "content-type": OPEN_TYPE if is_open else TEXT_TYPE,
            "vary": "accept, accept-encoding",
            "cache-control": "no-store",
        }
        if len(content) >= _PACKED_BYTES_MIN and takes_gzip(headers.get("accept-encoding", "")):
            content = gzip.compress(content, compresslevel=1)
            answered["content-encoding"] = "gzip"
        return Response(content, headers=answered)


def wants_open(accept: str) -> bool:
    """Whether OpenMetrics 1 is wanted more than text."""
    wishes = {"open": 0.0, "text": 0.0}
    for each in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in each.split(";"))
        known = _parameters(parameters)
        if media_type == _OPEN and known.get("version", "1.0.0").startswith("1."):
            wishes["open"] = max(wishes["open"], _quality(known))
        elif media_type in ("text/plain", "*/*", "text/*"):
            wishes["text"] = max(wishes["text"], _quality(known))
    return wishes["open"] > 0 and wishes["open"] >= wishes["text"]


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an answer may be packed."""
    for each in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        if coding == "gzip":
            return _quality(_parameters(parameters)) > 0
    return False


def _parameters(parts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        found[name.strip()] = value.strip()
    return found


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
