"""Everything that can be asked below /api: paths, parameters, answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, get_args

import msgspec

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import BEFORE, HISTORY, PERIOD, Parameter, limit
from outgrow.dashboard.besides import BESIDES
from outgrow.dashboard.openapi import Route
from outgrow.placement import Wish

if TYPE_CHECKING:
    from outgrow.dashboard.asking import Asked

_STEP = Parameter(
    name="step",
    kind="number",
    text="Seconds of one step; by itself about 180 steps are answered",
    min=1,
    max=86_400,
)
_TEXT = Parameter(name="text", kind="text", text="Found in it, in any case of letters")
_NAME = Parameter(name="name", kind="text", text="Only this operation", max=400)
_CALLER = Parameter(name="caller", kind="text", text="Only what this operation ran", max=400)
_OPERATION = Parameter(name="operation", kind="text", text="Only with this operation", max=400)
_WORKER = Parameter(name="worker", kind="text", text="Only by this worker")
_TRACE = Parameter(name="trace_id", kind="hex", text="Only of this trace")
_ERROR = Parameter(
    name="error", kind="integer", text="1: only those with an error", default=0, max=1
)
_MIN_MS = Parameter(
    name="min_ms", kind="number", text="Took at least this long", default=0, max=86_400_000
)
_TIMES = Parameter(
    name="times",
    kind="number",
    text="How many times the traffic of now is asked about",
    default=10.0,
    min=0.1,
    max=1e6,
)
_ONLY_PLACEMENT = Parameter(
    name="only_placement",
    kind="integer",
    text="1: only what `outgrow apply` carries out",
    default=0,
    max=1,
)
_STATE = Parameter(
    name="state",
    kind="word",
    text="Only jobs in this state",
    default="ready",
    words=get_args(shapes.JobState),
)
_QUEUE = Parameter(name="queue", kind="text", text="Only of this queue")
_AFTER = Parameter(name="after", kind="text", text="Go on after this job; from the answer before")
_BEFORE_NUMBER = Parameter(
    name="before", kind="integer", text="Only lower numbers; from the answer before", max=1e15
)
_SEVERITY = Parameter(
    name="severity_min",
    kind="integer",
    text="As OpenTelemetry numbers it: 9 info, 13 warning, 17 error",
    default=0,
    max=24,
)


class Answering(Protocol):
    """What is known, as the API answers it; each may be asked from any thread.

    Errors: `AskingError` where something asked for is not there.
    """

    def now(self, asked: Asked, /) -> shapes.Now:
        """How the app fares now."""
        ...

    def operations(self, asked: Asked, /) -> shapes.Operations:
        """Routes and operations of a period."""
        ...

    def series(self, asked: Asked, /) -> shapes.Series:
        """An operation, or all routes, over time."""
        ...

    def heatmap(self, asked: Asked, /) -> shapes.Heatmap:
        """How often an operation took how long."""
        ...

    def traces(self, asked: Asked, /) -> shapes.Traces:
        """Kept traces."""
        ...

    def trace(self, asked: Asked, /) -> shapes.Trace:
        """One trace."""
        ...

    def logs(self, asked: Asked, /) -> shapes.Logs:
        """Lines of the log."""
        ...

    def exceptions(self, asked: Asked, /) -> shapes.Exceptions:
        """Faults, grouped."""
        ...

    def metrics(self, asked: Asked, /) -> shapes.Metrics:
        """Metrics that others sent."""
        ...

    def metric_series(self, asked: Asked, /) -> shapes.MetricSeries:
        """One of them over time."""
        ...

    def statements(self, asked: Asked, /) -> shapes.Statements:
        """SQL statements."""
        ...

    def databases(self, asked: Asked, /) -> shapes.Databases:
        """Tables and their users."""
        ...

    def stations(self, asked: Asked, /) -> shapes.Stations:
        """What has a limit."""
        ...

    def workers(self, asked: Asked, /) -> shapes.Workers:
        """Processes of the app."""
        ...

    def worker_series(self, asked: Asked, /) -> shapes.WorkerSeries:
        """Workers over time."""
        ...

    def marks(self, asked: Asked, /) -> shapes.Marks:
        """Deploys and changes."""
        ...

    def objectives(self, asked: Asked, /) -> shapes.Objectives:
        """What was promised."""
        ...

    def forecast(self, asked: Asked, /) -> shapes.Foreseen:
        """Which limit binds first."""
        ...

    def responding(self, asked: Asked, /) -> shapes.Responding:
        """How long calls would take as traffic grows."""
        ...

    def plan(self, asked: Asked, /) -> shapes.GrowthPlan:
        """What carries the app to more traffic."""
        ...

    def costs(self, asked: Asked, /) -> shapes.Costs:
        """What the app takes and costs."""
        ...

    def loads(self, asked: Asked, /) -> shapes.Loads:
        """How full each limit was."""
        ...

    def signs(self, asked: Asked, /) -> shapes.Signs:
        """Warning signs."""
        ...

    def audit(self, asked: Asked, /) -> shapes.Audit:
        """Who changed what."""
        ...

    def placement(self, asked: Asked, /) -> shapes.Placement:
        """Who runs where."""
        ...

    def change(self, asked: Asked, /) -> shapes.Outcome:
        """Carry a change out."""
        ...

    def queues(self, asked: Asked, /) -> shapes.Queues:
        """Durable work as a whole."""
        ...

    def queue_series(self, asked: Asked, /) -> shapes.QueueSeries:
        """Queues over time."""
        ...

    def jobs(self, asked: Asked, /) -> shapes.Jobs:
        """A page of jobs."""
        ...

    def job(self, asked: Asked, /) -> shapes.JobFound:
        """One job."""
        ...

    def letters(self, asked: Asked, /) -> shapes.Letters:
        """A page of dead letters."""
        ...

    def pause(self, asked: Asked, /) -> shapes.Outcome:
        """Pause a queue or a subscription, or have it go on."""
        ...

    def cancel(self, asked: Asked, /) -> shapes.Outcome:
        """End a job."""
        ...

    def clear(self, asked: Asked, /) -> shapes.Outcome:
        """Try dead letters again, or forget them."""
        ...


def routes_to(known: Answering) -> list[Route]:
    """The table of what can be asked, answered by these."""
    return [*_calls(known), *_kept(known), *_deployed(known), *_foreseen(known), *_queued(known)]


def _calls(known: Answering) -> list[Route]:
    return [
        Route(path="now", answer=shapes.Now, text="How the app fares now", call=known.now),
        Route(
            path="operations",
            answer=shapes.Operations,
            text="Routes and operations of services",
            call=known.operations,
            parameters=(*PERIOD, _NAME),
        ),
        Route(
            path="series",
            answer=shapes.Series,
            text="All routes together, over time",
            call=known.series,
            parameters=(*PERIOD, _STEP),
        ),
        Route(
            path="operations/{name}/series",
            answer=shapes.Series,
            text="An operation over time",
            call=known.series,
            parameters=(*PERIOD, _STEP),
        ),
        Route(
            path="operations/{name}/heatmap",
            answer=shapes.Heatmap,
            text="How often an operation took how long",
            call=known.heatmap,
            parameters=(*PERIOD, _STEP),
        ),
        Route(
            path="statements",
            answer=shapes.Statements,
            text="SQL statements by the time that they took",
            call=known.statements,
            parameters=(*PERIOD, _CALLER, limit()),
        ),
        Route(
            path="databases",
            answer=shapes.Databases,
            text="Tables, and the services that read and write them",
            call=known.databases,
            parameters=PERIOD,
        ),
        Route(
            path="stations",
            answer=shapes.Stations,
            text="What has a limit, the busiest first",
            call=known.stations,
            parameters=(*PERIOD, limit()),
        ),
    ]


def _kept(known: Answering) -> list[Route]:
    return [
        Route(
            path="traces",
            answer=shapes.Traces,
            text="Kept traces, newest first",
            call=known.traces,
            parameters=(*PERIOD, _OPERATION, _TEXT, _MIN_MS, _ERROR, limit(50), BEFORE),
        ),
        Route(
            path="traces/{name}",
            answer=shapes.Trace,
            text="One trace with its spans, log lines and critical path",
            call=known.trace,
            parameters=PERIOD,
        ),
        Route(
            path="logs",
            answer=shapes.Logs,
            text="Log lines, newest first",
            call=known.logs,
            parameters=(*PERIOD, _TEXT, _SEVERITY, _TRACE, _WORKER, limit(200), BEFORE),
        ),
        Route(
            path="exceptions",
            answer=shapes.Exceptions,
            text="Faults, grouped by type and lines of code",
            call=known.exceptions,
            parameters=(*PERIOD, limit()),
        ),
        Route(
            path="metrics",
            answer=shapes.Metrics,
            text="Metrics that others sent",
            call=known.metrics,
            parameters=PERIOD,
        ),
        Route(
            path="metrics/{name}",
            answer=shapes.MetricSeries,
            text="A metric that others sent over time, a line for each set of attributes",
            call=known.metric_series,
            parameters=(*PERIOD, _STEP, limit(6)),
        ),
    ]


def _deployed(known: Answering) -> list[Route]:
    return [
        Route(
            path="workers",
            answer=shapes.Workers,
            text="Processes of the app, and gaps in what is known of them",
            call=known.workers,
            parameters=PERIOD,
        ),
        Route(
            path="workers/series",
            answer=shapes.WorkerSeries,
            text="Workers over time, those that use most first",
            call=known.worker_series,
            parameters=(*PERIOD, _STEP, limit(6)),
        ),
        Route(
            path="marks",
            answer=shapes.Marks,
            text="Deploys and changes",
            call=known.marks,
            parameters=PERIOD,
        ),
        Route(
            path="objectives",
            answer=shapes.Objectives,
            text="What was promised, and how fast its budget is used",
            call=known.objectives,
            parameters=PERIOD,
        ),
        Route(
            path="audit",
            answer=shapes.Audit,
            text="Who changed what, newest first",
            call=known.audit,
            parameters=(*PERIOD, limit()),
        ),
        Route(
            path="placement",
            answer=shapes.Placement,
            text="Who runs where",
            call=known.placement,
            parameters=PERIOD,
        ),
        Route(
            path="placement",
            method="POST",
            answer=shapes.Outcome,
            text="Move, merge, resize, undo or reload; needs the role operate",
            call=known.change,
            body=Wish,
        ),
    ]


def _foreseen(known: Answering) -> list[Route]:
    return [
        Route(
            path="forecast",
            answer=shapes.Foreseen,
            text="Which limit binds first, and at how many times the traffic of now",
            call=known.forecast,
            parameters=(*HISTORY, _TIMES, *BESIDES),
        ),
        Route(
            path="forecast/response",
            answer=shapes.Responding,
            text="How long calls of a route would take as traffic grows",
            call=known.responding,
            parameters=(*HISTORY, _OPERATION, *BESIDES),
        ),
        Route(
            path="plan",
            answer=shapes.GrowthPlan,
            text="What carries the app to a multiple of the traffic of now",
            call=known.plan,
            parameters=(*HISTORY, _TIMES, *BESIDES, _ONLY_PLACEMENT),
        ),
        Route(
            path="costs",
            answer=shapes.Costs,
            text="What the app takes by request and service, and costs now and at a multiple",
            call=known.costs,
            parameters=(*HISTORY, _TIMES, *BESIDES),
        ),
        Route(
            path="loads",
            answer=shapes.Loads,
            text="How full each limit of the forecast was, the fullest first",
            call=known.loads,
            parameters=PERIOD,
        ),
        Route(
            path="signs",
            answer=shapes.Signs,
            text="Warning signs, those with the largest gain first",
            call=known.signs,
            parameters=(*HISTORY, limit()),
        ),
    ]


def _queued(known: Answering) -> list[Route]:
    return [
        Route(
            path="queues",
            answer=shapes.Queues,
            text="Queues of jobs, subscriptions to events, and dead letters by fingerprint",
            call=known.queues,
        ),
        Route(
            path="queues/series",
            answer=shapes.QueueSeries,
            text="Slots, waits and backlogs of queues and subscriptions over time",
            call=known.queue_series,
            parameters=(*PERIOD, _STEP, limit(6)),
        ),
        Route(
            path="queues",
            method="POST",
            answer=shapes.Outcome,
            text="Pause or resume a queue or a subscription; needs the role operate",
            call=known.pause,
            body=shapes.Pausing,
        ),
        Route(
            path="jobs",
            answer=shapes.Jobs,
            text="Jobs in one state, those that came first before others",
            call=known.jobs,
            parameters=(_STATE, _QUEUE, _AFTER, limit(50)),
        ),
        Route(
            path="jobs/{name}",
            answer=shapes.JobFound,
            text="One job by its id, with its progress, result and failure",
            call=known.job,
        ),
        Route(
            path="jobs",
            method="POST",
            answer=shapes.Outcome,
            text="Cancel a job; needs the role operate",
            call=known.cancel,
            body=shapes.Cancelling,
        ),
        Route(
            path="dead/{name}",
            answer=shapes.Letters,
            text="Dead letters with a fingerprint, the last first",
            call=known.letters,
            parameters=(_BEFORE_NUMBER, limit(50)),
        ),
        Route(
            path="dead",
            method="POST",
            answer=shapes.Outcome,
            text="Try dead letters again, or discard them; needs the role operate",
            call=known.clear,
            body=shapes.Clearing,
        ),
    ]


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends to sign in."""

    token: str
