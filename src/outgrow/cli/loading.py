"""A load test of a running app: its course, what the observer saw meanwhile, and its score."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from outgrow.cli import bystanders
from outgrow.cli.verdict import is_disturbed

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from outgrow.capacity import Course, Driver, Score, Step
    from outgrow.cli.mixing import Source
    from outgrow.placement import ApiClient

SEEN_SECONDS_MAX = 30.0
"""Workers tell the observer what was in a window of 10 s once it is over."""
_LOOK_SECONDS = 1.0
_SAME_RATIO = 0.05
"""Fewer requests of others than this share are an error of counting."""
OTHER_MIX_RATIO = 0.2
"""More than this sent to other routes than now, and the forecast is of another mix."""


@dataclass(frozen=True)
class Found:
    """What came of a load test.

    Attributes:
        told: As the API tells load tests.
        end: Why it ended.
        steps: In turn.
    """

    told: dict[str, Any]
    end: str
    steps: Sequence[Step]


@dataclass(frozen=True)
class Around:
    """What else there was.

    Attributes:
        others_per_second: Requests that others sent.
        others_cores: Cores that others used.
        driver_cores: Cores that this process used.
        span_ms: When it began and ended.
    """

    others_per_second: float
    others_cores: float
    driver_cores: float
    span_ms: tuple[float, float]


@dataclass
class LoadTest:
    """One load test.

    Attributes:
        api: Of the observer.
        source: Says what is sent.
        chance: Draws the pauses between requests.
        told: The forecast, as the API tells it.
        curve: What was foretold of the times of the first of the routes, by load.
        folder: Where the result is kept.
    """

    api: ApiClient
    source: Source
    chance: random.Random
    told: dict[str, Any]
    curve: Sequence[dict[str, Any]]
    folder: Path

    async def run(self, course: Course, say: Callable[[str], None]) -> Found:
        """Run it, wait for what the observer saw of it, and keep it.

        Raises:
            OutgrowError: The observer does not answer, or it cannot be kept.
        """
        from outgrow.capacity import Driver

        driver = Driver(self.source.draw, len(self.source.routes), self.chance)
        began_ms = time.time() * 1e3
        before = bystanders.look()
        try:
            bound_ms = await self._drive(course, driver, say)
        finally:
            # Kept at once, also if somebody stops it: what was sent must not become evidence.
            after, ended_ms = bystanders.look(), time.time() * 1e3
            self.source.close()
            if course.steps:
                around = Around(0.0, 0.0, 0.0, (began_ms, ended_ms))
                self._keep(self._found(course, {}, around))
        if course.end == "limit":
            say("waiting for the observer's last windows of it")
        loads = await self._loads(bound_ms, ended_ms) if course.end == "limit" else {}
        others = await asyncio.to_thread(self._others, course.steps, began_ms, ended_ms)
        app_cores = await asyncio.to_thread(self._app_cores, began_ms, ended_ms)
        around = Around(
            others_per_second=others,
            others_cores=before.others_cores(after, app_cores),
            driver_cores=before.own_cores(after),
            span_ms=(began_ms, ended_ms),
        )
        found = self._found(course, loads, around)
        self._keep(found)
        return found

    async def _drive(self, course: Course, driver: Driver, say: Callable[[str], None]) -> float:
        """Go through the course; returns since when the limit has bound (ms)."""
        since_ms, before = time.time() * 1e3, 0.0
        for rate, seconds in course.rates_to_go():
            if rate != before:
                since_ms, before = time.time() * 1e3, rate
            say(f"sending {rate:,.1f} requests/s for {seconds:.0f} s")
            step = await driver.step(rate, seconds)
            course.take(step)
            say(
                f"  served {step.good_per_second:,.1f}/s, {step.bad} badly, "
                f"p99 {step.p99_seconds * 1e3:,.0f} ms"
            )
        await driver.end()
        return since_ms

    async def _loads(self, from_ms: float, to_ms: float) -> dict[str, tuple[str, float]]:
        """How full each limit was, as soon as the observer has a window of it."""
        query = urlencode({"from": f"{from_ms:.0f}", "to": f"{to_ms:.0f}"})
        loop = asyncio.get_running_loop()
        give_up = loop.time() + SEEN_SECONDS_MAX
        found: dict[str, Any] = {"windows": 0, "loads": []}
        while loop.time() < give_up:
            last, found = found, await asyncio.to_thread(self.api.get, f"loads?{query}")
            if found["windows"] and found == last:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return {one["station"]: (one["kind"], one["load_percent"] / 100) for one in found["loads"]}

    def _others(self, steps: Sequence[Step], from_ms: float, to_ms: float) -> float:
        """Requests a second that others sent meanwhile."""
        query = urlencode({"from": f"{from_ms:.0f}", "to": f"{to_ms:.0f}"})
        called = self.api.get(f"operations?{query}")["operations"]
        seen = sum(one["calls"] for one in called if one["kind"] == "route")
        ours = sum(step.rate_per_second * step.seconds for step in steps)
        seconds = (to_ms - from_ms) / 1e3
        # Of each step a part was not counted, but sent.
        ours *= seconds / max(sum(step.seconds for step in steps), 1e-9)
        return (seen - ours) / seconds if seen > (1 + _SAME_RATIO) * ours else 0.0

    def _app_cores(self, from_ms: float, to_ms: float) -> float:
        """Cores that the app used meanwhile."""
        query = urlencode({"from": f"{from_ms:.0f}", "to": f"{to_ms:.0f}"})
        workers = self.api.get(f"workers?{query}")["workers"]
        return sum(one["cpu_percent"] or 0.0 for one in workers) / 100

    def _found(
        self,
        course: Course,
        loads: dict[str, tuple[str, float]],
        around: Around,
    ) -> Found:
        from outgrow.capacity import Interval, first_of, score

        found = score(
            Interval(**self.told["saturation_per_second"]),
            self.told["first"],
            course.steps,
            is_reached=course.end == "limit",
            first_measured=first_of(loads),
            others_per_second=around.others_per_second,
            is_disturbed=is_disturbed(around.others_cores),
            is_other_mix=self.source.off_ratio > OTHER_MIX_RATIO,
        )
        told = {
            "from_ms": around.span_ms[0],
            "to_ms": around.span_ms[1],
            "foretold": self.told["saturation_per_second"],
            "measured": {
                "best": found.measured.best,
                "low": found.measured.low,
                "high": found.measured.high,
            },
            "is_reached": found.is_reached,
            "error_percent": 100 * found.error_ratio,
            "first_foretold": list(found.first_foretold),
            "first_measured": found.first_measured,
            "is_held": found.is_held,
            "route": self.source.routes[0],
            "steps": [
                {
                    "sent_per_second": step.sent_per_second,
                    "good_per_second": step.good_per_second,
                    "bad_percent": 100 * step.bad / max(step.good + step.bad, 1),
                    "p99_ms": 1e3 * step.quantile_seconds(0, 0.99),
                    "foretold_p99_ms": at_rate(
                        self.curve, step.sent_per_second + around.others_per_second
                    ),
                }
                for step in course.steps
            ],
            "others_cores": around.others_cores,
            "driver_cores": around.driver_cores,
            "mix_off_percent": 100 * self.source.off_ratio,
            **self._lesson(found, around),
        }
        return Found(told, course.end or "", course.steps)

    def _lesson(self, found: Score, around: Around) -> dict[str, Any]:
        """What later forecasts learn from: where the model alone said that this limit binds.

        Nothing where that says more of the test than of the model: another limit was full than was
        foretold, and which of two is to blame is not as sure as how much was served; others kept
        the machine busy; or the cores were full and the test used some of them itself.
        """
        full = found.first_measured if found.first_measured in found.first_foretold else ""
        rung = next((one for one in self.told["ladder"] if one["station"] == full), None)
        if rung is None or self.source.off_ratio > OTHER_MIX_RATIO:
            return {}
        cores_missing = around.others_cores + around.driver_cores * (rung["kind"] == "cpu")
        if is_disturbed(cores_missing):
            return {}
        shift_percent = rung["learned"]["shift_percent"] if rung["learned"] else 0.0
        alone = self.told["saturation_per_second"]["best"] / (1 + shift_percent / 100)
        return {"limit_foretold_per_second": alone, "limit_kind": rung["kind"]}

    def _keep(self, found: Found) -> None:
        """Keep it where the observer finds it."""
        from outgrow.dashboard import Verified, keep_verified

        keep_verified(self.folder, msgspec.convert(found.told, Verified))


def at_rate(curve: Sequence[dict[str, Any]], rate: float) -> dict[str, float] | None:
    """What a curve says of p99 at a rate; None beyond its end."""
    for left, right in pairwise(curve):
        if left["calls_per_second"] <= rate <= right["calls_per_second"]:
            span = right["calls_per_second"] - left["calls_per_second"]
            part = (rate - left["calls_per_second"]) / span if span else 0.0
            return {
                name: (1 - part) * left["p99_ms"][name] + part * right["p99_ms"][name]
                for name in ("best", "low", "high")
            }
    return None
