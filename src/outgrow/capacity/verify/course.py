"""Which rate comes next: up to the limit that was foretold, past it until it binds, and no further.

At the rate at which less is served than is sent the load stays twice as long, so that the observer
has whole windows of it. If all is served then, it was a burst, and the course goes on. It ends once
the limit has bound, or the time is up.

Where it is asked whether so much is borne, it goes no further than that, and stays there as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.capacity.verify.driving import Step

RATIOS = (0.4, 0.6, 0.8, 0.95, 1.1, 1.3, 1.6, 2.0, 2.5)
"""Rates, as parts of the one that was foretold."""
ASKED_RATIOS = (0.5, 0.8, 1.0)
"""Rates, as parts of the one that is asked about."""
STEPS_COUNT = 10
"""Into so many steps the time is divided."""
HOLD_STEPS = 2
"""Of them, at the limit."""
SHORT_RATIO = 0.05
"""So much less served than sent, or so much of it badly, and the limit has bound ..."""
SHORT_COUNT = 5
"""... but not for fewer requests than these."""
TURNED_DOWN_RATIO = 0.2
LATE_SECONDS_MAX = 0.25
End = Literal["limit", "bound", "time", "turned down", "late"]


@dataclass
class Course:
    """The steps of one load test.

    Attributes:
        foretold_per_second: Where the limit is said to be.
        rate_max: No request more a second.
        seconds: That it may take.
        asked_per_second: The rate that is asked about; 0 where the limit is.
        steps: Done, in turn.
        end: Why it is over; None while it is not.
    """

    foretold_per_second: float
    rate_max: float
    seconds: float
    asked_per_second: float = 0.0
    steps: list[Step] = field(default_factory=list["Step"])
    end: End | None = None

    @property
    def rates(self) -> list[float]:
        """All rates that may come, the bound the last one."""
        if self.asked_per_second:
            return [ratio * self.asked_per_second for ratio in ASKED_RATIOS]
        below = [ratio * self.foretold_per_second for ratio in RATIOS]
        below = [rate for rate in below if rate < self.rate_max]
        return below if len(below) == len(RATIOS) else [*below, self.rate_max]

    @property
    def step_seconds(self) -> float:
        """Length of one step."""
        return self.seconds / STEPS_COUNT

    def rates_to_go(self) -> Iterator[tuple[float, float]]:
        """The next rate and for how long; look at `take` between two of them."""
        left = STEPS_COUNT
        for rate in self.rates:
            if left <= HOLD_STEPS:
                self.end = "time"
                return
            yield rate, self.step_seconds
            left -= 1
            is_asked = rate == self.asked_per_second
            if self.end is None and (is_asked or self._is_short()):
                yield rate, HOLD_STEPS * self.step_seconds
                left -= HOLD_STEPS
                if self.end is None and self._is_short():
                    self.end = "limit"
            if self.end is not None:
                return
        self.end = "bound"

    def take(self, step: Step) -> None:
        """Note what came of a step."""
        self.steps.append(step)
        if self.end is None and step.turned_down > TURNED_DOWN_RATIO * max(step.good, 1):
            self.end = "turned down"
        elif self.end is None and step.late_seconds > LATE_SECONDS_MAX:
            self.end = "late"

    def _is_short(self) -> bool:
        """Whether less was served in the last step than was sent."""
        step = self.steps[-1]
        before = self.steps[-2].rate_per_second if len(self.steps) > 1 else 0.0
        few = max(SHORT_RATIO * step.sent, SHORT_COUNT)
        # At a higher rate more are under way, which is no queue.
        on_the_way = (step.rate_per_second - before) * self.steps[0].p50_seconds
        return step.sent - step.good > few + on_the_way or step.bad > few
