"""Answers everything that the API can be asked, from a source of telemetry and a supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.dashboard import calls, kept, received, shapes, slots, working
from outgrow.dashboard.asking import AskingError
from outgrow.dashboard.besides import Besides
from outgrow.dashboard.outcomes import kept_in
from outgrow.dashboard.tending import Tending
from outgrow.placement import AUDIT
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.foresight import Foresight
    from outgrow.dashboard.objectives import Promise
    from outgrow.dashboard.placing import Supervision
    from outgrow.dashboard.source import Source, StationSum, WorkerSum
    from outgrow.placement import Wish

RUNS_SECONDS = 5


class Answers:
    """What is known of one app.

    Args:
        source: Telemetry.
        app: Its name.
        supervision: Who runs where; None where no supervisor is near.
        promises: Objectives.
        foresight: Foresees limits; None where nothing can.
        tending: Durable work; None where nobody here knows where it is kept.
    """

    def __init__(
        self,
        source: Source,
        *,
        app: str,
        supervision: Supervision | None = None,
        promises: tuple[Promise, ...] = (),
        foresight: Foresight | None = None,
        tending: Tending | None = None,
    ) -> None:
        self._source = source
        self._app = app
        self._supervision = supervision
        self._promises = promises
        self._foresight = foresight
        self._tending = tending or Tending(None)
        self._runs: dict[str, list[str]] = {}
        self._runs_at_ns = 0

    def now(self, asked: Asked) -> shapes.Now:
        """How the app fares now."""
        sentence = self._foresight.sentence(asked.now_ns) if self._foresight else None
        if self._supervision and asked.now_ns - self._runs_at_ns > RUNS_SECONDS * 10**9:
            self._runs_at_ns = asked.now_ns
            placement = self._supervision.placement(may_change=False)
            self._runs = {group.name: group.runs for group in placement.groups}
        return calls.now(self._source, asked, self._app, self._runs, sentence)

    def operations(self, asked: Asked) -> shapes.Operations:
        """Routes and operations of a period."""
        return calls.operations(self._source, asked)

    def series(self, asked: Asked) -> shapes.Series:
        """An operation, or all routes, over time."""
        return calls.series(self._source, asked)

    def heatmap(self, asked: Asked) -> shapes.Heatmap:
        """How often an operation took how long."""
        return calls.heatmap(self._source, asked)

    def traces(self, asked: Asked) -> shapes.Traces:
        """Kept traces."""
        return kept.traces(self._source, asked)

    def trace(self, asked: Asked) -> shapes.Trace:
        """One trace."""
        return kept.trace(self._source, asked)

    def logs(self, asked: Asked) -> shapes.Logs:
        """Lines of the log."""
        return kept.logs(self._source, asked)

    def exceptions(self, asked: Asked) -> shapes.Exceptions:
        """Faults, grouped."""
        return kept.exceptions(self._source, asked)

    def metrics(self, asked: Asked) -> shapes.Metrics:
        """Metrics that others sent."""
        return received.metrics(self._source, asked)

    def metric_series(self, asked: Asked) -> shapes.MetricSeries:
        """One of them over time."""
        return received.series(self._source, asked)

    def statements(self, asked: Asked) -> shapes.Statements:
        """SQL statements."""
        return kept.statements(self._source, asked)

    def databases(self, asked: Asked) -> shapes.Databases:
        """Tables and their users."""
        return kept.databases(self._source, asked)

    def stations(self, asked: Asked) -> shapes.Stations:
        """What has a limit, the busiest first."""
        found = [_station(one) for one in self._source.stations(asked.from_ns, asked.to_ns)]
        found.sort(key=lambda one: (-one.busy_percent, one.worker, one.name))
        return shapes.Stations(stations=found[: asked.whole("limit")])

    def workers(self, asked: Asked) -> shapes.Workers:
        """Processes of the app, those that report first."""
        found = [_worker(one) for one in self._source.workers(asked.from_ns, asked.to_ns)]
        found.sort(key=lambda one: (one.state != "reporting", one.name, -one.began_at_ms))
        gaps = self._source.gaps(asked.from_ns, asked.to_ns)
        return shapes.Workers(
            workers=found,
            gaps=[
                shapes.Gap(
                    worker=one.worker,
                    from_ms=one.from_ns / 1e6,
                    to_ms=one.to_ns / 1e6,
                    is_counted=one.is_counted,
                )
                for one in gaps
            ],
            lost=dict(self._source.lost(asked.from_ns, asked.to_ns)),
        )

    def worker_series(self, asked: Asked) -> shapes.WorkerSeries:
        """Workers over time."""
        return working.series(self._source, asked)

    def marks(self, asked: Asked) -> shapes.Marks:
        """Deploys and changes."""
        return shapes.Marks(marks=calls.marks_in(self._source, asked))

    def objectives(self, asked: Asked) -> shapes.Objectives:
        """What was promised. Moments are this one, whatever period is asked for."""
        found = kept_in(self._source, self._promises, asked.now_ns)
        return shapes.Objectives(objectives=found)

    def forecast(self, asked: Asked) -> shapes.Foreseen:
        """Which limit binds first, and at how much traffic."""
        return self._known.foreseen(
            asked.from_ns, asked.to_ns, asked.number("times"), _besides(asked)
        )

    def responding(self, asked: Asked) -> shapes.Responding:
        """How long calls of a route would take as traffic grows."""
        return self._known.responding(
            asked.from_ns, asked.to_ns, asked.text("operation"), _besides(asked)
        )

    def plan(self, asked: Asked) -> shapes.GrowthPlan:
        """What carries the app to a multiple of today's traffic."""
        return self._known.planned(
            asked.from_ns,
            asked.to_ns,
            asked.number("times"),
            only_placement=bool(asked.whole("only_placement")),
            besides=_besides(asked),
        )

    def costs(self, asked: Asked) -> shapes.Costs:
        """What the app takes and costs."""
        return self._known.costs(asked.from_ns, asked.to_ns, asked.number("times"), _besides(asked))

    def loads(self, asked: Asked) -> shapes.Loads:
        """How full each limit was in a period."""
        return self._known.loads(asked.from_ns, asked.to_ns)

    def signs(self, asked: Asked) -> shapes.Signs:
        """Warning signs."""
        return self._known.signs(asked.from_ns, asked.to_ns, asked.whole("limit"))

    @property
    def _known(self) -> Foresight:
        if self._foresight is None:
            raise AskingError("nothing is foreseen here", "Ask an observer of a running app")
        return self._foresight

    def audit(self, asked: Asked) -> shapes.Audit:
        """Who changed what, newest first."""
        found = self._source.marks(asked.from_ns, asked.to_ns)
        changes = [one for one in found if one.kind == AUDIT][::-1]
        entries: list[shapes.Entry] = []
        for one in changes[: asked.whole("limit")]:
            who, _, text = one.text.partition(": ")
            entries.append(shapes.Entry(at_ms=one.at_ns / 1e6, who=who, text=text))
        return shapes.Audit(entries=entries)

    def placement(self, asked: Asked) -> shapes.Placement:
        """Who runs where."""
        if self._supervision is None:
            return shapes.Placement(state="none", may_change=False)
        return self._supervision.placement(may_change=asked.may_change)

    def change(self, asked: Asked) -> shapes.Outcome:
        """Have the supervisor carry a change out, and write down who asked for it."""
        wish: Wish = asked.body
        if self._supervision is None:
            problem = shapes.Problem(
                text="no supervisor is near this observer", hint="Use `outgrow apply` there"
            )
            return shapes.Outcome(is_done=False, steps=[], problem=problem)
        outcome = self._supervision.change(wish)
        if not wish.is_only_shown:
            problem = outcome.problem.text if outcome.problem else None
            self._source.mark(asked.now_ns, AUDIT, wish.entry(asked.who, problem))
        return outcome

    def queues(self, asked: Asked) -> shapes.Queues:
        """Durable work as a whole."""
        return self._tending.queues(asked)

    def queue_series(self, asked: Asked) -> shapes.QueueSeries:
        """Queues over time."""
        return slots.series(self._source, asked)

    def jobs(self, asked: Asked) -> shapes.Jobs:
        """A page of jobs."""
        return self._tending.jobs(asked)

    def job(self, asked: Asked) -> shapes.JobFound:
        """One job."""
        return self._tending.job(asked)

    def letters(self, asked: Asked) -> shapes.Letters:
        """A page of dead letters."""
        return self._tending.letters(asked)

    def pause(self, asked: Asked) -> shapes.Outcome:
        """Pause a queue or a subscription, or have it go on."""
        return self._tended(asked, *self._tending.pause(asked.body))

    def cancel(self, asked: Asked) -> shapes.Outcome:
        """End a job."""
        return self._tended(asked, *self._tending.cancel(asked.body))

    def clear(self, asked: Asked) -> shapes.Outcome:
        """Try dead letters again, or forget them."""
        return self._tended(asked, *self._tending.clear(asked.body))

    def _tended(self, asked: Asked, what: str, outcome: shapes.Outcome) -> shapes.Outcome:
        """Write down who asked for what, and what came of it."""
        problem = outcome.problem
        end = f"refused, {problem.text}" if problem else "; ".join(outcome.steps)
        self._source.mark(asked.now_ns, AUDIT, f"{asked.who}: {what}: {end}")
        return outcome


def _besides(asked: Asked) -> Besides:
    return Besides(mix=asked.text("mix"), data_ratio=asked.number("data"))


def _station(one: StationSum) -> shapes.Station:
    used = one.used
    capacity = max(1, used.capacity)
    return shapes.Station(
        worker=one.worker,
        name=used.name,
        kind=used.kind,
        capacity=used.capacity,
        busy_percent=100 * used.busy_ns / 1e9 / one.seconds / capacity if one.seconds else 0.0,
        served_per_second=used.served / one.seconds if one.seconds else 0.0,
        rejected=used.rejected,
        hold_ms=used.hold_ns / used.served / 1e6 if used.served and used.hold_ns else None,
        wait_p95_ms=quantile_ms(used.waits, 0.95),
        queue_max=used.queue_max,
    )


def _worker(one: WorkerSum) -> shapes.Worker:
    used = one.used

    def percent(duration_ns: int) -> float | None:
        return duration_ns / 1e7 / one.seconds if one.seconds else None

    return shapes.Worker(
        name=one.name,
        group=one.group,
        state=one.state,
        version=one.version,
        machine=one.machine,
        pid=one.pid,
        began_at_ms=one.began_ns / 1e6,
        seen_at_ms=one.seen_ns / 1e6,
        commit=one.commit,
        busy_percent=used.busy_percent if one.state == "reporting" else None,
        cpu_percent=percent(used.user_ns + used.system_ns),
        loop_lag_p99_ms=quantile_ms(used.loop_lags, 0.99),
        gil_wait_p99_ms=quantile_ms(used.gil_waits, 0.99),
        run_queue_percent=percent(used.run_queue_ns),
        gc_percent=percent(used.gc_ns),
        steal_percent=percent(used.steal_ns),
        cpu_stall_percent=percent(used.cpu_stall_ns),
        io_stall_percent=percent(used.io_stall_ns),
        memory_stall_percent=percent(used.memory_stall_ns),
        memory_bytes=used.memory_bytes,
        threads=used.threads,
        in_flight=used.in_flight,
    )
