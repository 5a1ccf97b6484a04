"""Foresees: asks the model what the archive's windows mean, in a thread, and keeps the answer.

The model needs numpy and scipy, of the extra `foresee`. They are imported when somebody asks: an
observer that nobody asks stays small.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.dashboard import shapes
from outgrow.dashboard.besides import (
    TRAFFIC_ALONE,
    Besides,
    growth_of,
    with_statements,
)
from outgrow.dashboard.costing import costs_of
from outgrow.dashboard.growing import (
    operations_of,
    planned,
    responding,
)
from outgrow.dashboard.history import history_in
from outgrow.dashboard.learning import applied_in, compared, keep_applied
from outgrow.dashboard.outcomes import kept_in
from outgrow.dashboard.record import lessons_of
from outgrow.dashboard.silencing import sorted_out
from outgrow.dashboard.spotting import TRACES_MAX, seen_in
from outgrow.dashboard.telling import Told, answered, foreseen_in, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from outgrow.capacity import (
        Forecast,
        Growth,
        History,
        Looked,
        Objective,
        Prices,
        Recorded,
        Refusal,
    )
    from outgrow.dashboard.objectives import Promise
    from outgrow.dashboard.silencing import Silence
    from outgrow.dashboard.spotting import Windows
    from outgrow.telemetry import Backlog, MarkSum, StatementTotals, WindowSum

KEPT_SECONDS = 60.0
REFUSED_SECONDS = 2.0
"""Who waits for enough traffic must hear of it soon."""
KEPT_MAX = 3
SENTENCE_SECONDS = 60.0
DAYS_KEPT_SECONDS = 600.0
DAY_NS = 86_400 * 10**9
HISTORY_SECONDS = 3600
SECONDS_MAX = 6 * 3600
TIMES = 10.0
RECORD_SHOWN = 10
PLANS_MAX = 16
APPLIED_SHOWN = 3
BESIDES_MAX = 8
WINDOW_NS = 10 * 10**9
_NEEDED = ("numpy", "scipy")

_log = logging.getLogger(__name__)


class Foresight:
    """Forecasts of one app; each method may be called from any thread.

    Args:
        source: Has the windows.
        promises: Objectives; those on latency are foreseen.
        groups: Says who runs where now.
        silences: Signs that are not wanted.
        clock: Says what day it is; seconds since 1970.
        record: Load tests, whose traffic is no evidence; the latest first.
        backlogs: What waited in queues in a period, oldest first.
        prices: What things cost, see `pricing`; none where nobody said any.
        folder: Has the plans that were carried out; None where nobody does that.
        statements: What statements did in a period, by the beginning of each window.
        marks: What was marked in a period, oldest first.
        slowdowns: How the cores of each machine slow one another down, where that was measured.
    """

    def __init__(
        self,
        source: Windows,
        promises: Sequence[Promise] = (),
        groups: Callable[[], Sequence[shapes.Group]] = list[shapes.Group],
        silences: Sequence[Silence] = (),
        clock: Callable[[], float] = time.time,
        record: Callable[[], Sequence[shapes.Verified]] = list[shapes.Verified],
        backlogs: Callable[[int, int], Sequence[Backlog]] = lambda _from_ns, _to_ns: (),
        prices: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        statements: Callable[[int, int], Mapping[int, Sequence[StatementTotals]]] = (
            lambda _from_ns, _to_ns: {}
        ),
        marks: Callable[[int, int], Sequence[MarkSum]] = lambda _from_ns, _to_ns: (),
        slowdowns: Callable[[], Mapping[str, tuple[float, ...]]] = dict[str, "tuple[float, ...]"],
    ) -> None:
        self._source = source
        self._promises = promises
        self._groups = groups
        self._silences = silences
        self._clock = clock
        self._record = record
        self._backlogs = backlogs
        self._prices = prices
        self._folder = folder
        self._statements = statements
        self._marks = marks
        self._slowdowns = slowdowns
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._sentence: str | None = None
        self._due_at = 0.0
        self._kept: dict[tuple[object, ...], tuple[float, Told]] = {}
        self._days: tuple[int, float, History] | None = None

    @property
    def lacks(self) -> str:
        """What is not installed; empty where all is."""
        return ", ".join(name for name in _NEEDED if find_spec(name) is None)

    def told(self, from_ns: int, to_ns: int) -> Told:
        """The forecast from what was measured in a period, and that.

        Those who ask for nearly the same within a minute get the same answer.
        """
        from outgrow.capacity import Refusal, attributed, observed, statements_of, traits_of

        from_ns = max(from_ns, to_ns - SECONDS_MAX * 10**9)
        kept_ns = int(KEPT_SECONDS * 1e9)
        slowdowns = self._slowdowns()
        key = (from_ns // kept_ns, to_ns // kept_ns, *slowdowns.items())
        with self._asking:
            known = self._kept.pop(key, None)
            if known is not None and time.monotonic() < known[0]:
                self._kept[key] = known
                return known[1]
            groups = self._groups()
            windows = self._source.windows(from_ns, to_ns)
            evidence = observed(
                without_tests(windows, self._record()),
                self._source.workers(from_ns, to_ns),
                {group.name: group.runs for group in groups},
                slowdowns,
                self._backlogs(from_ns, to_ns),
            )
            statements = statements_of(self._source.statements(from_ns, to_ns))
            evidence = attributed(evidence, statements)
            history = self._history(to_ns, groups, evidence)
            found = self._forecast(evidence, history)
            traits = traits_of(evidence.windows(), statements)
            told = Told(evidence, found, groups, traits, statements, history)
            kept_seconds = REFUSED_SECONDS if isinstance(found, Refusal) else KEPT_SECONDS
            while len(self._kept) >= KEPT_MAX:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = (time.monotonic() + kept_seconds, told)
            return told

    def _history(self, to_ns: int, groups: Sequence[shapes.Group], evidence: Recorded) -> History:
        """The days before; those who hold the lock may ask."""
        today, known = to_ns // DAY_NS, self._days
        if known is not None and known[0] == today and time.monotonic() < known[1]:
            return known[2]
        runs = {group.name: group.runs for group in groups}
        found = history_in(self._source, to_ns, self._record(), runs, evidence)
        self._days = (today, time.monotonic() + DAYS_KEPT_SECONDS, found)
        return found

    def _grown(self, told: Told, besides: Besides, from_ns: int, to_ns: int) -> Told:
        """The forecast from the same evidence, where something grows besides the traffic."""
        growth = growth_of(besides, told.evidence)
        with self._asking:
            found = told.besides.get(besides)
            if found is None:
                if len(told.besides) >= BESIDES_MAX:
                    told.besides.clear()
                evidence = told.evidence
                if growth.data_ratio != 1:
                    from_ns = max(from_ns, to_ns - SECONDS_MAX * 10**9)
                    steps = partial(self._statements, from_ns, to_ns)
                    evidence = with_statements(evidence, steps)
                answer = self._forecast(evidence, told.history, growth)
                # What was asked of the other one is no answer of this one.
                kept = (told.groups, told.traits, told.statements, told.history)
                found = Told(evidence, answer, *kept, growth=growth)
                told.besides[besides] = found
        return found

    def _forecast(
        self, evidence: Recorded, history: History, growth: Growth | None = None
    ) -> Forecast | Refusal:
        from outgrow.capacity import forecast

        return forecast(
            evidence,
            objectives=self._objectives(),
            lessons=lessons_of(self._record(), 1e3 * self._clock()),
            growth=growth,
            history=history,
        )

    def _objectives(self) -> list[Objective]:
        from outgrow.capacity import Objective

        return [
            Objective(
                operation=each.operation,
                seconds=each.latency_ms / 1e3,
                ratio=each.goal_percent / 100,
            )
            for each in self._promises
            if each.latency_ms is not None and each.operation
        ]

    def sentence(self, now_ns: int) -> str | None:
        """What the page's first line says; None until it is known.

        It is a minute old at most. Nobody waits for it: a thread of its own finds the next one.
        """
        if self.lacks:
            return None
        with self._lock:
            is_due = time.monotonic() >= self._due_at
            if is_due:
                self._due_at = time.monotonic() + SENTENCE_SECONDS
        if is_due:
            threading.Thread(target=self._find_sentence, args=(now_ns,), daemon=True).start()
        return self._sentence

    def _find_sentence(self, now_ns: int) -> None:
        try:
            self._sentence = self.foreseen(now_ns - HISTORY_SECONDS * 10**9, now_ns, TIMES).sentence
        except Exception:
            _log.exception("no forecast could be made")
            self._sentence = None

    def foreseen(
        self, from_ns: int, to_ns: int, times: float, besides: Besides = TRAFFIC_ALONE
    ) -> shapes.Foreseen:
        """The forecast for a multiple of today's traffic."""
        told, refusal = self._carried(from_ns, to_ns, besides)
        if told is None:
            return shapes.Foreseen(sentence=refused(refusal), refusal=refusal, times=times)
        return msgspec.structs.replace(
            foreseen_in(told, times), record=list(self._record()[:RECORD_SHOWN])
        )

    def loads(self, from_ns: int, to_ns: int) -> shapes.Loads:
        """How full each limit was in a period."""
        if self.lacks:
            return shapes.Loads(windows=0, loads=[])
        from outgrow.capacity import loads_of, observed

        windows = self._source.windows(from_ns, to_ns)
        workers = self._source.workers(from_ns, to_ns)
        runs = {group.name: group.runs for group in self._groups()}
        backlogs = self._backlogs(from_ns, to_ns)
        evidence = observed(windows, workers, runs, backlogs=backlogs)
        found = [
            shapes.LimitLoad(station=name, kind=kind, load_percent=100 * load)
            for name, (kind, load) in loads_of(evidence).items()
        ]
        found.sort(key=lambda one: -one.load_percent)
        return shapes.Loads(windows=len(windows), loads=found)

    def responding(
        self, from_ns: int, to_ns: int, operation: str, besides: Besides = TRAFFIC_ALONE
    ) -> shapes.Responding:
        """How long calls of a route would take as traffic grows.

        Args:
            from_ns: Of what was measured.
            to_ns: Likewise.
            operation: The route; where it is empty or not known, that which takes most of the
                first limit.
            besides: What else grows.
        """
        told, _ = self._carried(from_ns, to_ns, besides)
        if told is None:
            return shapes.Responding()
        from outgrow.capacity import response_curve

        forecast = answered(told)
        known = operations_of(forecast)
        operation = operation if operation in known else known[0]
        with self._asking:
            points = told.curves.get(operation)
            if points is None:
                points = told.curves[operation] = response_curve(forecast, operation)
        return responding(forecast, operation, points)

    def planned(
        self,
        from_ns: int,
        to_ns: int,
        times: float,
        *,
        only_placement: bool,
        besides: Besides = TRAFFIC_ALONE,
    ) -> shapes.GrowthPlan:
        """Steps that carry the app to a multiple of today's traffic."""
        told, refusal = self._carried(from_ns, to_ns, besides)
        applied = [] if self.lacks else self._applied(to_ns)
        if told is None:
            sentence = refused(refusal)
            return shapes.GrowthPlan(
                sentence=sentence, refusal=refusal, times=times, applied=applied
            )
        key = (times, only_placement)
        with self._asking:
            found = told.plans.get(key)
            if found is None:
                if len(told.plans) >= PLANS_MAX:
                    told.plans.clear()
                found = told.plans[key] = planned(
                    answered(told),
                    times,
                    told.groups,
                    only_placement=only_placement,
                    traits=told.traits,
                    prices=self._prices_known(),
                    worker_memory_bytes=_worker_memory_bytes(told.evidence),
                )
        return msgspec.structs.replace(found, applied=applied)

    def _applied(self, now_ns: int) -> list[shapes.Applied]:
        """The last plans that were carried out, and what came of each."""
        if self._folder is None:
            return []
        groups, record = self._groups(), self._record()
        found: list[shapes.Applied] = []
        for one in applied_in(self._folder)[:APPLIED_SHOWN]:
            told = compared(one, now_ns / 1e6, groups, record, partial(self._since, now_ns))
            if told.measured is not None and told.measured != one.measured:
                keep_applied(self._folder, told)
            found.append(told)
        return found

    def _since(self, now_ns: int, at_ms: float) -> tuple[Forecast | Refusal, int]:
        """What is foreseen from what was measured since a moment, and in how many windows."""
        told = self.told(int(at_ms * 1e6), now_ns)
        return told.found, sum(one.is_whole for one in told.evidence.windows())

    def costs(
        self, from_ns: int, to_ns: int, times: float, besides: Besides = TRAFFIC_ALONE
    ) -> shapes.Costs:
        """What the app takes and costs, now and at a multiple of today's traffic."""
        told, refusal = self._carried(from_ns, to_ns, besides)
        if told is None:
            return shapes.Costs(times=times, refusal=refusal)
        with self._asking:
            return costs_of(
                *(answered(told), told.evidence, told.statements, times, told.groups),
                traits=told.traits,
                prices=self._prices_known(),
                worker_memory_bytes=_worker_memory_bytes(told.evidence),
            )

    def _prices_known(self) -> Prices | None:
        from outgrow.capacity import Prices

        return Prices(**self._prices) if self._prices else None

    def _carried(
        self, from_ns: int, to_ns: int, besides: Besides = TRAFFIC_ALONE
    ) -> tuple[Told | None, shapes.Problem]:
        """A forecast, or why there is none."""
        if self.lacks:
            return None, shapes.Problem(
                text=f"{self.lacks} is not installed, which forecasts need",
                hint="Run `pip install 'outgrow[foresee]'`",
            )
        told = self.told(from_ns, to_ns)
        from outgrow.capacity import Refusal

        if not besides.is_none and not isinstance(told.found, Refusal):
            told = self._grown(told, besides, from_ns, to_ns)
        if isinstance(told.found, Refusal):
            return None, shapes.Problem(text=told.found.text, hint=told.found.hint)
        return told, shapes.Problem(text="", hint="")

    def signs(self, from_ns: int, to_ns: int, limit: int) -> shapes.Signs:
        """The signs of a period."""
        if self.lacks:
            needs = f"{self.lacks}, of the extra `foresee`"
            return shapes.Signs(signs=[], missing=[shapes.SignMissing(sign="all", needs=needs)])
        looked = self._looked(self.told(from_ns, to_ns), from_ns, to_ns)
        today = datetime.datetime.fromtimestamp(self._clock()).date()
        told_of, silenced = sorted_out(looked.findings, self._silences, today)
        return shapes.Signs(
            signs=told_of[:limit],
            missing=[
                shapes.SignMissing(sign=sign, needs=needs)
                for sign, needs in sorted(looked.missing.items())
            ],
            silenced=silenced[:limit],
        )

    def _looked(self, told: Told, from_ns: int, to_ns: int) -> Looked:
        from outgrow.capacity import look_for_signs

        with self._asking:
            if not told.looked:
                begin_ns = max(from_ns, to_ns - SECONDS_MAX * 10**9)
                seen = seen_in(
                    told,
                    spans=self._source.newest_spans(begin_ns, to_ns, TRACES_MAX),
                    objectives=kept_in(self._source, self._promises, to_ns),
                    marks=self._marks(from_ns, to_ns),
                )
                told.looked.append(look_for_signs(seen))
            return told.looked[0]


def without_tests(
    windows: Sequence[WindowSum], record: Sequence[shapes.Verified]
) -> list[WindowSum]:
    """Windows that no load test has touched: what it sent was not the traffic of users."""
    spans = [(one.from_ms * 1e6 - WINDOW_NS, one.to_ms * 1e6) for one in record]
    return [
        window
        for window in windows
        if not any(begins <= window.at_ns <= ends for begins, ends in spans)
    ]


def _worker_memory_bytes(evidence: Recorded) -> int:
    """That one worker takes in the last window that knows; 0 where none does."""
    for window in reversed(evidence.windows()):
        workers = sum(one.workers for one in window.processes)
        memory_bytes = sum(one.memory_bytes for one in window.processes)
        if workers and memory_bytes:
            return memory_bytes // workers
    return 0
