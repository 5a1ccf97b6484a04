"""All that others' tools and the observer exchange, with the archive between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from outgrow.dashboard import feeds
from outgrow.dashboard.access import Access
from outgrow.dashboard.feeds import Feeds
from outgrow.telemetry import (
    Archive,
    ForwardTarget,
    LogRecord,
    MetricPoint,
    Origin,
    Report,
    RouteTotals,
    SpanRecord,
    bucket_of,
)
from outgrow.telemetry.otlp.encoding import encoded_logs, encoded_points, encoded_spans
from tests.unit.telemetry.otlp.elsewhere import Elsewhere, elsewhere

PROTOBUF = {"content-type": "application/x-protobuf"}


def span_of(name: str, kept_for: str) -> SpanRecord:
    return SpanRecord(
        *(b"t" * 16, b"s" * 8, b"", name, 2, time.time_ns(), 84_000_000),
        service="shop",
        kept_for=kept_for,
    )


@contextmanager
def exchanging(folder: Path, there: Elsewhere | None = None) -> Iterator[tuple[Feeds, Archive]]:
    target = ForwardTarget(url=there.url) if there is not None else None
    found = Feeds(app="shop", version="0.1", forward=target)
    archive = Archive(folder, on_kept=found.kept)
    found.open(archive)
    try:
        yield found, archive
    finally:
        found.close()
        archive.close()


def ask(found: Feeds, *requests: Callable[[httpx.AsyncClient], object]) -> list[httpx.Response]:
    async def exchange_all() -> list[httpx.Response]:
        app = Starlette(routes=found.routes(Access()))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await one(client) for one in requests]  # pyright: ignore[reportGeneralTypeIssues]

    return asyncio.run(exchange_all())


def test_what_comes_in_is_kept_counted_and_sent_on(tmp_path: Path) -> None:
    span = span_of("GET /theirs", "received")
    line = LogRecord(at_ns=span.at_ns, severity=9, text="x", service="shop")
    point = MetricPoint("queue.depth", "gauge", span.at_ns, 3.0, "", "shop")
    bodies = {
        "traces": encoded_spans([span]),
        "logs": encoded_logs([line]),
        "metrics": encoded_points([point]),
    }
    with elsewhere() as there, exchanging(tmp_path, there) as (found, archive):
        answers = ask(
            found,
            *(
                lambda client, signal=signal, body=body: client.post(
                    f"/v1/{signal}", content=body, headers=PROTOBUF
                )
                for signal, body in bodies.items()
            ),
            lambda client: client.get("/metrics"),
        )
        assert [answer.status_code for answer in answers] == [200] * 4
        assert 'outgrow_observer_otlp_items_total{signal="logs"} 1' in answers[3].text
        archive.write(is_all=True)
        assert archive.trace(span.trace_id)[0] == [span]
        found.close()
        assert [one.spans for one in there.got if one.spans] == [[span]]
        assert [one.logs for one in there.got if one.logs] == [[line]]
        assert [point] in [one.points for one in there.got]


def test_what_workers_tell_is_exposed_with_exemplars_and_sent_on(tmp_path: Path) -> None:
    origin = Origin("shop", "front/1", "e1", began_at_ns=time.time_ns())
    totals = RouteTotals(
        "POST", "/orders", calls=1, duration_ns=84_000_000, buckets={bucket_of(84_000_000): 1}
    )
    span = span_of("POST /orders", "slow")
    with elsewhere() as there, exchanging(tmp_path, there) as (found, archive):
        archive.hear(origin)
        archive.take(origin, Report(1, time.time_ns(), routes=[totals], spans=[span]))
        wanted = {"accept": "application/openmetrics-text"}
        (answer,) = ask(found, lambda client: client.get("/metrics", headers=wanted))
        assert 'outgrow_http_requests_total{method="POST",route="/orders"} 1' in answer.text
        assert f'# {{trace_id="{span.trace_id.hex()}"}} 0.084' in answer.text
        found.close()
        points = {point.name: point for one in there.got for point in one.points}
        assert points["outgrow_http_requests"].value == 1
        assert [one.spans for one in there.got if one.spans] == [[span]]


def test_while_too_much_waits_to_be_written_senders_are_asked_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "WAITING_RECORDS_MAX", 2)
    with exchanging(tmp_path) as (found, archive):
        archive.keep(spans=[span_of("GET /", "received")] * 3)
        body = encoded_spans([span_of("GET /", "received")])
        (answer,) = ask(
            found, lambda client: client.post("/v1/traces", content=body, headers=PROTOBUF)
        )
        assert answer.status_code == 503
