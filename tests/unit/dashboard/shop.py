"""A double of what is known: the shop under traffic, the same at every run."""

from __future__ import annotations

import math
import random

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked, AskingError
from outgrow.placement import Wish
from tests.unit.dashboard.shop_facts import (
    CALLED,
    GROUPS,
    LINKS,
    NODES,
    SQL,
    STATIONS,
    TOGETHER,
    TRACEBACK,
    Sql,
)
from tests.unit.dashboard.shop_growth import SECOND_MS, Growing, swing
from tests.unit.dashboard.shop_measured import Measuring
from tests.unit.dashboard.shop_spans import waterfall
from tests.unit.dashboard.shop_work import Working
from tests.unit.dashboard.shop_workers import worker_series, workers


class ShopAnswers(Growing, Working, Measuring):
    """Answers of the shop; changes are remembered and shown in the audit."""

    def __init__(self) -> None:
        self.entries: list[shapes.Entry] = []
        self.wishes: list[Wish] = []
        self.changes = []

    def now(self, asked: Asked) -> shapes.Now:
        at_ms = asked.now_ns / 1e6
        by = swing(at_ms)
        return shapes.Now(
            at_ms=at_ms,
            app="shop",
            window_seconds=10.0,
            requests_per_second=134.1 * by,
            workers_count=4,
            error_percent=0.09,
            p50_ms=4.9,
            p95_ms=38.0 * by,
            p99_ms=212.0 * by,
            busy_percent=71.0 * by,
            in_flight=int(6 * by),
            nodes=[
                shapes.Node(
                    name=name,
                    kind=kind,
                    requests_per_second=rate * by,
                    error_percent=errors,
                    p95_ms=p95 * by,
                    busy_percent=busy and min(100.0, busy * by),
                )
                for name, kind, rate, errors, p95, busy in NODES
            ],
            links=[
                shapes.Link(
                    caller=caller,
                    callee=callee,
                    requests_per_second=rate * by,
                    error_percent=errors,
                    p95_ms=p95 * by,
                )
                for caller, callee, rate, errors, p95 in LINKS
            ],
        )

    def operations(self, asked: Asked) -> shapes.Operations:
        shown = [each for each in CALLED if asked.text("name") in ("", each[0])]
        return shapes.Operations(
            operations=[self._operation(asked, *each) for each in shown], marks=self._marks(asked)
        )

    def _operation(
        self,
        asked: Asked,
        name: str,
        service: str,
        rate: float,
        errors: float,
        p50: float,
        p95: float,
        p99: float,
        cpu: float,
    ) -> shapes.Operation:
        is_route = service == "edge"
        whole = sum(each[2] * each[4] for each in CALLED if (each[1] == "edge") is is_route)
        calls = int(rate * asked.seconds)
        return shapes.Operation(
            name=name,
            service=service,
            kind="route" if is_route else "operation",
            calls=calls,
            errors=int(calls * errors / 100),
            requests_per_second=rate,
            error_percent=errors,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            impact_percent=100 * rate * p50 / whole,
            in_flight_mean=rate * p50 / 1e3,
            cpu_ms_per_call=cpu,
        )

    def series(self, asked: Asked) -> shapes.Series:
        found = [each for each in CALLED if asked.name in ("", each[0])]
        if not found:
            raise AskingError(f"there is no operation `{asked.name}`", "Look", status=404)
        _, _, rate, errors, p50, p95, p99, _ = found[0] if asked.name else ("", "", *TOGETHER)
        step, times = self._steps(asked)
        by = [swing(at) for at in times]
        return shapes.Series(
            name=asked.name,
            step_seconds=step,
            times_ms=times,
            requests_per_second=[rate * each for each in by],
            errors_per_second=[rate * errors / 100 * max(0.0, each - 0.9) * 8 for each in by],
            p50_ms=[p50 * each for each in by],
            p95_ms=[p95 * each**2 for each in by],
            p99_ms=[p99 * each**3 for each in by],
            marks=self._marks(asked),
        )

    def _steps(self, asked: Asked) -> tuple[float, list[float]]:
        step = asked.number("step") or max(5.0, round(asked.seconds / 180))
        first_ms = asked.from_ns / 1e6 // (step * SECOND_MS) * step * SECOND_MS
        count = int(asked.seconds / step)
        return step, [first_ms + number * step * SECOND_MS for number in range(count)]

    def heatmap(self, asked: Asked) -> shapes.Heatmap:
        step, times = self._steps(asked)
        _, _, rate, _, p50, *_ = next(each for each in CALLED if each[0] == asked.name)
        edges = [p50 / 8 * 2 ** (row / 2) for row in range(16)]
        counts = [[self._calls(rate * step, row, at) for row in range(16)] for at in times]
        picked = random.Random(7)
        return shapes.Heatmap(
            name=asked.name,
            step_seconds=step,
            times_ms=times,
            edges_ms=edges,
            counts=counts,
            exemplars=[
                shapes.Exemplar(
                    trace_id=f"{number:032x}",
                    at_ms=picked.choice(times) + 900,
                    duration_ms=p50 * picked.lognormvariate(0.3, 0.7),
                    is_error=number % 9 == 0,
                    kept_for="sampled",
                )
                for number in range(1, 40)
            ],
            marks=self._marks(asked),
        )

    def _calls(self, calls: float, row: int, at_ms: float) -> int:
        centre = 6.5 + 1.5 * (swing(at_ms) - 1)
        share = math.exp(-((row - centre) ** 2) / 4) + 0.25 * math.exp(-((row - 11) ** 2) / 2)
        return int(calls / 4 * share * random.Random(int(at_ms) + row).uniform(0.7, 1.3))

    def traces(self, asked: Asked) -> shapes.Traces:
        names = [each for each in CALLED if each[1] == "edge"]
        chosen = [each for each in names if asked.text("operation") in ("", each[0])]
        picked = random.Random(3)
        last_ms = (asked.values["before"] or asked.to_ns) / 1e6
        rows: list[shapes.TraceRow] = []
        for number in range(asked.whole("limit")):
            if not chosen:
                break
            name, _, _, errors, p50, *_ = chosen[number % len(chosen)]
            is_error = errors > 0 and number % 3 == 0
            rows.append(
                shapes.TraceRow(
                    trace_id=f"{picked.getrandbits(128):032x}",
                    at_ms=last_ms - number * 2300 - 800,
                    name=name,
                    duration_ms=p50 * picked.lognormvariate(0.4, 0.8),
                    spans_count=picked.randrange(3, 30),
                    errors_count=int(is_error),
                    services=["edge", "Orders", "Stock"] if "orders" in name else ["edge"],
                    kept_for="error" if is_error else picked.choice(["slow", "sampled"]),
                )
            )
        kept = [row for row in rows if row.duration_ms >= asked.number("min_ms")]
        kept = [row for row in kept if row.errors_count or not asked.whole("error")]
        return shapes.Traces(traces=kept, before_ms=kept[-1].at_ms if kept else None)

    def trace(self, asked: Asked) -> shapes.Trace:
        at_ms = asked.now_ns / 1e6 - 93_000
        return shapes.Trace(
            trace_id=asked.name,
            at_ms=at_ms,
            duration_ms=142.0,
            spans=waterfall(),
            logs=[
                shapes.LogLine(
                    at_ms=at_ms + 82.0,
                    severity=13,
                    text="the bank took 71 ms, twice its usual time",
                    logger="shop.payments",
                    service="Payments",
                    worker="desk/1",
                    trace_id=asked.name,
                    span_id=f"{6:016x}",
                ),
                shapes.LogLine(
                    at_ms=at_ms + 141.0,
                    severity=9,
                    text="order 48213 is placed: 3 lines, € 48.90",
                    logger="shop.orders",
                    service="Orders",
                    worker="desk/1",
                    trace_id=asked.name,
                    span_id=f"{2:016x}",
                ),
            ],
        )

    def logs(self, asked: Asked) -> shapes.Logs:
        last_ms = (asked.values["before"] or asked.to_ns) / 1e6
        told = (
            (9, "shop.orders", "desk/1", "order 48213 is placed: 3 lines, € 48.90"),
            (9, "shop.mail", "desk/1", "receipt of order 48213 is on its way"),
            (13, "shop.payments", "desk/1", "the bank took 412 ms, ten times its usual time"),
            (17, "shop.payments", "desk/1", "the bank declined the card ending in 0002"),
            (9, "shop.stock", "front/1", "TEA-014 is low: 3 pieces left"),
            (5, "shop.recommendations", "advice/1", "1,204 baskets read in 38 ms"),
        )
        lines = [
            shapes.LogLine(
                at_ms=last_ms - number * 730 - 120,
                severity=severity,
                text=text,
                logger=logger,
                service=logger.split(".")[1].capitalize(),
                worker=worker,
                trace_id=f"{number + 1:032x}" if number % 6 != 4 else "",
                exception="shop.payments.DeclinedError" if severity >= 17 else "",
                traceback=TRACEBACK if severity >= 17 else "",
            )
            for number in range(asked.whole("limit"))
            for severity, logger, worker, text in [told[number % len(told)]]
            if severity >= asked.whole("severity_min")
            and asked.text("text").lower() in text.lower()
            and asked.text("worker") in ("", worker)
        ]
        return shapes.Logs(lines=lines, before_ms=lines[-1].at_ms if lines else None)

    def exceptions(self, asked: Asked) -> shapes.Exceptions:
        to_ms = asked.to_ns / 1e6
        found = (
            ("shop.payments.DeclinedError", "the bank declined the card ending in 0002", 87),
            ("shop.stock.SoldOutError", "TEA-014", 16),
            ("outgrow.errors.DeadlineExceededError", "`Payments.authorize` took over 2 s", 3),
        )
        return shapes.Exceptions(
            exceptions=[
                shapes.ExceptionGroup(
                    fingerprint=f"{number + 1:016x}",
                    exception=name,
                    text=text,
                    count=count,
                    first_at_ms=to_ms - 7_400_000 / (number + 1),
                    last_at_ms=to_ms - 4000 * (number + 1) ** 3,
                    services=["Payments", "Orders"] if number != 1 else ["Stock"],
                    traceback=TRACEBACK,
                    trace_id=f"{number + 1:032x}",
                )
                for number, (name, text, count) in enumerate(found)
            ]
        )

    def statements(self, asked: Asked) -> shapes.Statements:
        shown = [each for each in SQL if asked.text("caller") in ("", *each.callers)]
        return shapes.Statements(statements=[self._statement(asked, each) for each in shown])

    def _statement(self, asked: Asked, sql: Sql) -> shapes.Statement:
        rate, rows, mean, p95, each_request = sql.times
        calls = int(rate * asked.seconds)
        return shapes.Statement(
            database=sql.database,
            fingerprint=f"{SQL.index(sql):016x}",
            text=sql.text,
            callers=sql.callers,
            reads=sql.reads,
            writes=sql.writes,
            calls=calls,
            errors=0,
            rows=int(calls * rows),
            total_ms=calls * mean,
            share_percent=100 * rate * mean / sum(each.times[0] * each.times[2] for each in SQL),
            mean_ms=mean,
            p95_ms=p95,
            calls_per_request_p95=each_request,
        )

    def databases(self, asked: Asked) -> shapes.Databases:
        def use(table: str, readers: list[str], writers: list[str], rate: float) -> shapes.TableUse:
            calls = int(rate * asked.seconds)
            return shapes.TableUse(
                table=table, readers=readers, writers=writers, calls=calls, total_ms=calls * 1.3
            )

        tables = {
            "sqlite:orders.db": [
                use("orders", ["Orders"], ["Orders"], 16.0),
                use("lines", ["Orders", "Recommendations"], ["Orders"], 31.0),
            ],
            "sqlite:stock.db": [
                use("items", ["Stock"], ["Stock"], 72.0),
                use("movements", [], ["Stock", "Orders"], 4.5),
            ],
            "sqlite:catalogue.db": [use("products", ["Catalogue"], [], 140.0)],
        }
        return shapes.Databases(
            databases=[
                shapes.DatabaseUse(
                    name=name,
                    services=sorted({one for use in uses for one in (*use.readers, *use.writers)}),
                    calls=sum(use.calls for use in uses),
                    total_ms=sum(use.total_ms for use in uses),
                    tables=uses,
                )
                for name, uses in tables.items()
            ]
        )

    def stations(self, asked: Asked) -> shapes.Stations:
        rows = [
            shapes.Station(
                worker=worker,
                name=name,
                kind=kind,
                capacity=capacity,
                busy_percent=busy,
                served_per_second=served,
                rejected=rejected,
                hold_ms=hold,
                wait_p95_ms=wait,
                queue_max=queue,
            )
            for worker, name, kind, capacity, busy, served, rejected, hold, wait, queue in STATIONS
        ]
        return shapes.Stations(stations=rows[: asked.whole("limit")])

    workers = staticmethod(workers)

    def worker_series(self, asked: Asked) -> shapes.WorkerSeries:
        return worker_series(asked, *self._steps(asked), self._marks(asked))

    def _marks(self, asked: Asked) -> list[shapes.Mark]:
        to_ms = asked.to_ns / 1e6
        found = (
            (200_000.0, "deploy", "version 3 serves, commit 9f31c02b"),
            (318_000.0, "restart", "desk/2 was started again"),
            (560_000.0, "placement", "payments moved from front to desk"),
        )
        first_ms = asked.from_ns / 1e6
        marks = [shapes.Mark(at_ms=to_ms - ago, kind=kind, text=text) for ago, kind, text in found]
        return sorted((mark for mark in marks if mark.at_ms > first_ms), key=lambda m: m.at_ms)

    def marks(self, asked: Asked) -> shapes.Marks:
        return shapes.Marks(marks=self._marks(asked))

    def objectives(self, asked: Asked) -> shapes.Objectives:
        def burns(long: float, short: float) -> list[shapes.Burn]:
            windows = (("1h / 5m", 14.4, 1.0), ("6h / 30m", 6.0, 0.8), ("3d / 6h", 1.0, 0.5))
            return [
                shapes.Burn(
                    window=window,
                    limit=limit,
                    long_rate=long * part,
                    short_rate=short * part,
                    is_burning=long * part >= limit and short * part >= limit,
                )
                for window, limit, part in windows
            ]

        return shapes.Objectives(
            objectives=[
                shapes.Objective(
                    operation="POST /orders",
                    kind="latency",
                    text="99 % within 300 ms",
                    goal_percent=99.0,
                    good_percent=98.61,
                    calls=1_190_000,
                    days=7.0,
                    budget_left_percent=-39.0,
                    burns=burns(16.2, 17.9),
                ),
                shapes.Objective(
                    operation="POST /orders",
                    kind="errors",
                    text="99 % without an error",
                    goal_percent=99.0,
                    good_percent=99.87,
                    calls=1_190_000,
                    days=7.0,
                    budget_left_percent=87.0,
                    burns=burns(0.2, 0.1),
                ),
                shapes.Objective(
                    operation="GET /products",
                    kind="latency",
                    text="95 % within 50 ms",
                    goal_percent=95.0,
                    good_percent=95.9,
                    calls=24_100_000,
                    days=7.0,
                    budget_left_percent=18.0,
                    burns=burns(1.2, 0.4),
                ),
            ]
        )

    def audit(self, asked: Asked) -> shapes.Audit:
        old = shapes.Entry(
            at_ms=asked.to_ns / 1e6 - 560_000, who="ana", text="move payments to desk: done"
        )
        return shapes.Audit(entries=[*self.entries, old][: asked.whole("limit")])

    def placement(self, asked: Asked) -> shapes.Placement:
        return shapes.Placement(
            state="running",
            may_change=asked.may_change,
            version=3,
            groups=[
                shapes.Group(
                    name=name,
                    runs=runs,
                    replicas_min=least,
                    replicas_max=most,
                    ready=most,
                    busy_percent=busy,
                )
                for name, runs, least, most, busy in GROUPS
            ],
        )

    def change(self, asked: Asked) -> shapes.Outcome:
        wish: Wish = asked.body
        self.wishes.append(wish)
        planned = [f"move `{move.replace('=', '` to `')}`" for move in wish.moves]
        if wish.is_only_shown:
            return shapes.Outcome(is_done=True, steps=planned or ["nothing changes"])
        entry = shapes.Entry(at_ms=asked.now_ns / 1e6, who=asked.who, text=f"{wish.moves}")
        self.entries.append(entry)
        return shapes.Outcome(
            is_done=True, steps=["starting desk/2", "desk/2 is ready", "front/1 drains"]
        )
