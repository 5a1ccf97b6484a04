"""Foresees: asks the model what the archive's windows mean, in a thread, and keeps the answer.

The model needs numpy and scipy, of the extra `foresee`. They are imported when somebody asks: an
observer that nobody asks stays small.
"""

from __future__ import annotations

import logging
import threading
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from outgrow.dashboard import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from outgrow.capacity import Forecast, Interval, Objective, Recorded, Refusal
    from outgrow.dashboard.objectives import Promise
    from outgrow.telemetry import WindowSum, WorkerSum

KEPT_SECONDS = 15.0
SENTENCE_SECONDS = 60.0
HISTORY_SECONDS = 3600
SECONDS_MAX = 6 * 3600
TIMES = 10.0
_NEEDED = ("numpy", "scipy")

_log = logging.getLogger(__name__)


class Windows(Protocol):
    """Where windows come from: the archive."""

    def windows(self, from_ns: int, to_ns: int, /) -> Sequence[WindowSum]:
        """Windows of 10 s, oldest first."""
        ...

    def workers(self, from_ns: int, to_ns: int, /) -> Sequence[WorkerSum]:
        """Processes."""
        ...


class Foresight:
    """Forecasts of one app; each method may be called from any thread.

    Args:
        source: Has the windows.
        promises: Objectives; those on latency are foreseen.
        runs: The services of each group now.
    """

    def __init__(
        self,
        source: Windows,
        promises: Sequence[Promise] = (),
        runs: Callable[[], Mapping[str, Sequence[str]]] = dict[str, list[str]],
    ) -> None:
        self._source = source
        self._promises = promises
        self._runs = runs
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._sentence: str | None = None
        self._due_at = 0.0
        self._kept: dict[tuple[int, int], tuple[float, Recorded, Forecast | Refusal]] = {}

    @property
    def lacks(self) -> str:
        """What is not installed; empty where all is."""
        return ", ".join(name for name in _NEEDED if find_spec(name) is None)

    def told(self, from_ns: int, to_ns: int) -> tuple[Recorded, Forecast | Refusal]:
        """The forecast from what was measured in a period, and that.

        Two who ask for nearly the same within seconds get the same answer.
        """
        from outgrow.capacity import forecast, observed

        from_ns = max(from_ns, to_ns - SECONDS_MAX * 10**9)
        key = (from_ns // (10 * 10**9), to_ns // (10 * 10**9))
        with self._asking:
            known = self._kept.get(key)
            if known is not None and time.monotonic() - known[0] < KEPT_SECONDS:
                return known[1], known[2]
            evidence = observed(
                self._source.windows(from_ns, to_ns),
                self._source.workers(from_ns, to_ns),
                self._runs(),
            )
            found = forecast(evidence, objectives=self._objectives())
            self._kept = {key: (time.monotonic(), evidence, found)}
            return evidence, found

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

    def foreseen(self, from_ns: int, to_ns: int, times: float) -> shapes.Foreseen:
        """The forecast for a multiple of today's traffic."""
        if self.lacks:
            refusal = shapes.Problem(
                text=f"{self.lacks} is not installed, which forecasts need",
                hint="Run `pip install 'outgrow[foresee]'`",
            )
            return shapes.Foreseen(sentence=refusal.text, refusal=refusal, times=times)
        evidence, found = self.told(from_ns, to_ns)
        from outgrow.capacity import Refusal

        if isinstance(found, Refusal):
            refusal = shapes.Problem(text=found.text, hint=found.hint)
            return shapes.Foreseen(
                sentence=f"No forecast: {found.text}.", refusal=refusal, times=times
            )
        whole = [window for window in evidence.windows() if window.is_whole]
        return _foreseen(found, times, whole[0].at_seconds, whole[-1].at_seconds, len(whole))

    def signs(self, from_ns: int, to_ns: int, limit: int) -> shapes.Signs:
        """The signs of a period."""
        if self.lacks:
            needs = f"{self.lacks}, of the extra `foresee`"
            return shapes.Signs(signs=[], missing=[shapes.SignMissing(sign="all", needs=needs)])
        evidence, found = self.told(from_ns, to_ns)
        from outgrow.capacity import Refusal, Seen, look_for_signs

        looked = look_for_signs(
            Seen(
                windows=tuple(evidence.windows()),
                told=None if isinstance(found, Refusal) else found,
                objectives=tuple(self._objectives()),
                service_of={
                    one.name: one.name.partition(".")[0]
                    for window in evidence.windows()
                    for one in window.operations
                    if not one.is_entry
                },
            )
        )
        return shapes.Signs(
            signs=[
                shapes.SignSeen(
                    sign=one.sign,
                    subject=one.subject,
                    severity=one.severity,
                    text=one.text,
                    value=one.value,
                    threshold=one.threshold,
                    gain=one.gain_ratio,
                    share_percent=None if one.share_ratio is None else 100 * one.share_ratio,
                )
                for one in looked.findings[:limit]
            ],
            missing=[
                shapes.SignMissing(sign=sign, needs=needs)
                for sign, needs in sorted(looked.missing.items())
            ],
        )


def _between(one: Interval) -> shapes.Between:
    return shapes.Between(best=one.best, low=one.low, high=one.high)


def _foreseen(
    told: Forecast, times: float, from_seconds: float, to_seconds: float, windows: int
) -> shapes.Foreseen:
    broken, knee = told.broken_objective, told.knee_by_objective_per_second
    return shapes.Foreseen(
        sentence=_sentence(told),
        times=times,
        from_ms=from_seconds * 1e3,
        to_ms=to_seconds * 1e3,
        windows=windows,
        now_per_second=told.now_per_second,
        headroom=_between(told.headroom),
        saturation_per_second=_between(told.saturation_per_second),
        knee_by_doubling_per_second=_between(told.knee_by_doubling_per_second),
        knee_by_objective_per_second=None if knee is None else _between(knee),
        objective=None
        if broken is None
        else f"{100 * broken.ratio:g} % of `{broken.operation}` within {broken.seconds * 1e3:g} ms",
        first=list(told.first),
        ladder=[
            shapes.LimitAhead(
                station=rung.station,
                kind=rung.kind,
                calls_per_second=_between(rung.calls_per_second),
                headroom=_between(rung.headroom),
                first_percent=100 * rung.first_ratio,
                binds=rung.headroom.best < times,
            )
            for rung in told.ladder
        ],
        unmeasured_percent=100 * told.unmeasured_ratio,
    )


def _sentence(told: Forecast) -> str:
    first = " or ".join(f"`{name}`" for name in told.first)
    headroom = told.headroom
    return (
        f"{first} is the first limit: at {headroom.best:.1f} times the traffic of now "
        f"({headroom.low:.1f} to {headroom.high:.1f}), which is "
        f"{told.saturation_per_second.best:,.0f} requests a second."
    )
