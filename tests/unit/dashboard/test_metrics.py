"""/metrics: what Prometheus's own parsers read of it, and that its counters only grow."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette

from outgrow.dashboard import summing
from outgrow.dashboard.access import Access, access_from
from outgrow.dashboard.families import BOUNDS_SECONDS, OPEN_TYPE, TEXT_TYPE
from outgrow.dashboard.grafana import alert_rules, grafana_dashboard
from outgrow.dashboard.metrics import Metrics, takes_gzip, wants_open
from outgrow.dashboard.source import CallSum, StationSum, WorkerSum
from outgrow.telemetry import (
    Archive,
    ForwardCounts,
    Health,
    Origin,
    ProcessTotals,
    ReceivedCounts,
    Report,
    RouteTotals,
    SpanRecord,
    StatementTotals,
    StationTotals,
)
from tests.unit.dashboard.stored import Stored, called, took

SECOND_NS = 10**9
NOW_NS = 1_796_000_005 * SECOND_NS
TRACE = bytes(range(16))


class Ticking(Stored):
    """A source in which something happens at moments, and that forgets what is old."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[tuple[int, CallSum]] = []
        self.asked: list[tuple[int, int]] = []

    def calls(self, from_ns: int, to_ns: int) -> list[CallSum]:
        self.asked.append((from_ns, to_ns))
        return [one for at_ns, one in self.happened if from_ns <= at_ns < to_ns]

    def lost(self, from_ns: int, to_ns: int) -> dict[str, int]:
        return {}


def shop() -> Stored:
    """Some of everything."""
    used = StationTotals(
        *("pool orders", "pool", 5, 40, 2, 3 * SECOND_NS, 4 * SECOND_NS, 0.5, SECOND_NS),
        *(2 * SECOND_NS, took(1, 20, 20), 7),
    )
    process = ProcessTotals(
        user_ns=5 * SECOND_NS,
        system_ns=SECOND_NS,
        loop_cpu_ns=4 * SECOND_NS,
        loop_lags=took(1, 2, 300),
        gil_waits=took(1),
        busy_percent=46.0,
        memory_bytes=100_000_000,
        threads=9,
    )
    worker = WorkerSum(
        name="front/1",
        epoch="e1",
        group="front",
        version=3,
        machine="a",
        pid=7,
        began_ns=0,
        seen_ns=NOW_NS,
        seconds=10,
        state="reporting",
        commit="abc",
        used=process,
    )
    statement = StatementTotals(
        *("sqlite:orders.db", "00ff", 'SELECT "id"\nFROM orders WHERE x = ?', "Orders.place"),
        calls=9,
        errors=1,
        rows=18,
        duration_ns=90_000_000,
    )
    return Stored(
        sums=[
            called("", "POST /orders", 3.0, 84.0, 4000.0, errors=1, metered=2, loop_ns=2_000_000),
            called("POST /orders", "Orders.place", 2.0, 80.0, refused=4),
            called("Orders.place", "sql orders", 1.0),
        ],
        sql=[statement],
        used=[StationSum(worker="front/1", seconds=10, used=used)],
        crew=[worker],
    )


def metrics_of(source: Any, clock_ns: Any = lambda: NOW_NS, **options: Any) -> Metrics:
    return Metrics(source, app="shop", version="0.1", clock_ns=clock_ns, **options)


def whole() -> Metrics:
    """Metrics with every part that there can be."""
    received = ReceivedCounts()
    received.take("traces", 5, {"names": 2})
    received.refuse("logs", "size")
    received.answer("traces", 200)
    health = Health(
        days=["2026-12-01"],
        kept_bytes=1000,
        waiting=3,
        problem="",
        dropped={"spans": 1},
        set_aside=[],
    )
    forwarded = ForwardCounts({"traces": 4}, {"logs": 1}, {"metrics": 2}, 3, 5, "")
    found = metrics_of(
        shop(), health=lambda: health, received=received, forwarded=lambda: forwarded
    )
    found.kept([span("POST /orders", 84.0), span("POST /orders", 3.0, kept_for="received")])
    return found


def span(name: str, duration_ms: float, *, kept_for: str = "slow") -> SpanRecord:
    return SpanRecord(
        TRACE, b"s" * 8, b"", name, 2, NOW_NS, int(duration_ms * 1e6), kept_for=kept_for
    )


def samples(text: str, *, is_open: bool = True) -> dict[tuple[str, tuple[str, ...]], float]:
    """All samples as Prometheus's parser reads them: name and values of labels, sorted by label."""
    read = open_parser.text_string_to_metric_families if is_open else None
    families: Iterable[Any] = (
        read(text) if read is not None else parser.text_string_to_metric_families(text)
    )
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for family in families:
        for sample in family.samples:
            key = sample.name, tuple(value for _, value in sorted(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


@pytest.mark.parametrize("is_open", [False, True], ids=["text", "OpenMetrics"])
def test_prometheus_reads_what_is_known(is_open: bool) -> None:
    found = samples(whole().text(is_open=is_open), is_open=is_open)
    assert found["outgrow_build_info", ("shop", "0.1")] == 1
    assert found["outgrow_http_requests_total", ("POST", "/orders")] == 3
    assert found["outgrow_http_request_errors_total", ("POST", "/orders")] == 1
    assert found["outgrow_http_request_duration_seconds_count", ("POST", "/orders")] == 3
    assert found["outgrow_http_request_duration_seconds_sum", ("POST", "/orders")] == 4.087
    assert found["outgrow_calls_refused_total", ("Orders.place", "POST /orders")] == 4
    assert found["outgrow_station_wait_seconds_count", ("pool", "pool orders", "front/1")] == 3
    assert found["outgrow_worker_cpu_seconds_total", ("user", "front/1")] == 5
    assert found["outgrow_worker_busy_ratio", ("front/1",)] == 0.46
    assert found["outgrow_workers", ("reporting",)] == 1
    assert found["outgrow_observer_otlp_refused_items_total", ("names", "traces")] == 2
    assert found["outgrow_observer_forward_works", ()] == 1
    key = ("Orders.place", "sqlite:orders.db", "00ff")
    assert found["outgrow_statement_duration_seconds_count", key] == 9
    text = 'SELECT "id"\nFROM orders WHERE x = ?'
    assert found["outgrow_statement_info", ("sqlite:orders.db", "00ff", text)] == 1


def test_buckets_hold_exactly_the_calls_up_to_their_bound() -> None:
    found = samples(whole().text(is_open=True))
    for bound in BOUNDS_SECONDS:
        key = (f"{bound!r}" if bound % 1 else f"{bound:.1f}", "POST", "/orders")
        count = sum(took_ms / 1000 < bound for took_ms in (3.0, 84.0, 4000.0))
        assert found["outgrow_http_request_duration_seconds_bucket", key] == count


def test_an_exemplar_names_a_kept_trace_within_its_bucket() -> None:
    families = open_parser.text_string_to_metric_families(whole().text(is_open=True))
    exemplars = [
        (sample, sample.exemplar)
        for family in families
        for sample in family.samples
        if sample.exemplar is not None
    ]
    ((sample, exemplar),) = exemplars
    assert exemplar.labels == {"trace_id": TRACE.hex()}
    assert exemplar.value == 0.084 <= float(sample.labels["le"]) < 0.2
    assert "trace_id" not in whole().text(is_open=False)


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\boutgrow_[a-z0-9_]+", text))


def test_every_metric_that_grafana_and_the_alerts_name_is_there() -> None:
    there = {name for name, _ in samples(whole().text(is_open=False), is_open=False)}
    dashboard = json.loads(grafana_dashboard())
    expressions = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]
    named = names_in("\n".join(expressions)) | names_in(alert_rules())
    assert len(named) > 30
    assert named <= there


def test_panels_of_the_dashboard_do_not_overlap_and_have_their_own_ids() -> None:
    panels = json.loads(grafana_dashboard())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_labels_that_the_dashboard_groups_by_are_those_of_its_metrics() -> None:
    families = list(parser.text_string_to_metric_families(whole().text(is_open=False)))
    labels = {name for family in families for one in family.samples for name in one.labels}
    dashboard, rules = grafana_dashboard(), alert_rules()
    used = re.findall(r"(?:by|on|group_left) ?\(([^)]*)\)", f"{dashboard}\n{rules}")
    used += re.findall(r"\$labels\.(\w+)", rules)
    used += re.findall(r"\{\{(\w+)\}\}", dashboard)
    named = {name.strip() for group in used for name in group.split(",") if name.strip()}
    assert named <= labels | {"le"}


def test_counters_only_grow_and_miss_nothing_though_old_files_are_deleted() -> None:
    source, now = Ticking(), [NOW_NS]
    metrics = metrics_of(source, lambda: now[0])
    ledger, before = 0, 0.0
    for step in range(200):
        now[0] += SECOND_NS * (step % 7)
        count = step % 5
        source.happened.append((now[0], called("", "GET /a", *[1.0] * count)))
        ledger += count
        # The archive forgets what is older than a minute.
        source.happened = [one for one in source.happened if one[0] > now[0] - 60 * SECOND_NS]
        if step % 3 == 0:
            found = samples(metrics.text(is_open=True))
            value = found["outgrow_http_requests_total", ("GET", "/a")]
            assert value >= before
            assert value == ledger
            before = value
    spans = [to_ns - from_ns for from_ns, to_ns in source.asked]
    assert max(spans) < 60 * SECOND_NS, "each period is read once"


def test_counters_are_exactly_what_workers_told_the_archive(tmp_path: Path) -> None:
    now = [NOW_NS]
    numbers = random.Random(5)
    archive = Archive(tmp_path, clock_ns=lambda: now[0])
    metrics = metrics_of(archive, lambda: now[0], health=archive.health)
    origins = [Origin("shop", f"front/{n}", f"epoch {n}", began_at_ns=NOW_NS) for n in (1, 2)]
    totals = [RouteTotals("GET", "/a") for _ in origins]
    key = ("GET", "/a")
    try:
        for number in range(1, 60):
            now[0] += numbers.randrange(1, 4) * SECOND_NS
            for origin, route in zip(origins, totals, strict=True):
                archive.hear(origin)
                route.calls += numbers.randrange(5)
                route.buckets = {200: route.calls}
                archive.take(
                    origin, Report(number, now[0], routes=[msgspec.structs.replace(route)])
                )
            archive.write()
            if number % 4 == 0:
                found = samples(metrics.text(is_open=True))
                wanted = sum(route.calls for route in totals)
                assert found["outgrow_http_requests_total", key] == wanted
                assert found["outgrow_http_request_duration_seconds_count", key] == wanted
    finally:
        archive.close()


def test_past_a_bound_routes_and_links_are_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(summing, "CALLS_MAX", 3)
    sums = [called("", f"GET /{number}", 1.0) for number in range(10)]
    sums += [called("GET /0", f"A.{number}", 1.0, 1.0) for number in range(10)]
    found = samples(metrics_of(Stored(sums=sums)).text(is_open=True))
    assert found["outgrow_http_requests_total", ("*", "(other)")] == 7
    assert found["outgrow_calls_total", ("(other)", "(other)")] == 20
    assert found["outgrow_http_requests_total", ("GET", "/2")] == 1


def test_names_of_others_cannot_break_the_text() -> None:
    name = 'GET /a"b\\c\nd'
    for is_open in (False, True):
        text = metrics_of(Stored(sums=[called("", name, 1.0)])).text(is_open=is_open)
        found = samples(text, is_open=is_open)
        assert found["outgrow_http_requests_total", ("GET", '/a"b\\c\nd')] == 1


def test_points_of_opentelemetry_say_the_same() -> None:
    points = {(one.name, *one.attributes.values()): one for one in whole().points()}
    requests = points["outgrow_http_requests", "POST", "/orders"]
    assert (requests.kind, requests.value, requests.service) == ("sum", 3, "shop")
    assert requests.began_ns == NOW_NS // (10 * SECOND_NS) * 10 * SECOND_NS
    durations = points["outgrow_http_request_duration_seconds", "POST", "/orders"]
    assert (durations.kind, durations.count, durations.unit) == ("histogram", 3, "s")
    assert sum(durations.buckets) == 3
    assert len(durations.buckets) == len(durations.bounds) + 1
    busy = points["outgrow_worker_busy_ratio", "front/1"]
    assert (busy.kind, busy.value, busy.began_ns) == ("gauge", 0.46, 0)


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text; version=1.0.0", True),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.6", False),
        ("application/openmetrics-text;version=2.0.0, text/plain", False),
        # As Prometheus 3 asks.
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            True,
        ),
        ("application/openmetrics-text;q=nonsense", False),
    ],
)
def test_the_format_is_what_is_wanted_most(accept: str, is_open: bool) -> None:
    assert wants_open(accept) is is_open


def test_gzip_is_sent_only_to_those_that_take_it() -> None:
    assert takes_gzip("gzip")
    assert takes_gzip("br, gzip;q=0.5")
    assert not takes_gzip("gzip;q=0, identity")
    assert not takes_gzip("")


def get(access: Access, **headers: str) -> httpx.Response:
    """What /metrics answers over HTTP."""

    async def exchange() -> httpx.Response:
        app = Starlette(routes=whole().routes(access))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/metrics", headers=headers)

    return asyncio.run(exchange())


def test_over_http_the_type_says_the_format_and_a_token_is_needed_where_there_are_any() -> None:
    assert get(Access()).headers["content-type"] == TEXT_TYPE
    answer = get(Access(), accept="application/openmetrics-text", **{"accept-encoding": "gzip"})
    assert answer.headers["content-type"] == OPEN_TYPE == CONTENT_TYPE_LATEST
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text.endswith("# EOF\n")
    tokens = access_from(environment={"OUTGROW_TOKENS": "prometheus read a-token-of-some-length"})
    assert get(tokens).status_code == 401
    bearer = {"authorization": "Bearer a-token-of-some-length"}
    assert get(tokens, **bearer).status_code == 200
