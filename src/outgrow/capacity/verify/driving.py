"""Sends requests at a rate that does not depend on how soon they are answered, and counts.

An open loop: each request has a moment at which it is due, drawn beforehand as strangers come
(exponential pauses), and its time counts from then, whether or not it could be sent then. Who waits
for answers before sending the next, as closed loops do, never sees a queue grow.

Source:
    G. Tene, How NOT to Measure Latency, 2015: coordinated omission. B. Schroeder, A. Wierman and
    M. Harchol-Balter, Open Versus Closed: A Cautionary Tale, NSDI 2006.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

IN_FLIGHT_MAX = 1000
"""Requests under way; one more is not sent, and counts as failed."""
PATIENCE_SECONDS = 10.0
SETTLING_RATIO = 0.2
"""The first part of a step is of the one before, and not counted."""
_OVERLOADED = 429
_FAULT = 500
_REFUSED = 400


@dataclass(frozen=True)
class Sending:
    """A request that is to be sent now.

    Attributes:
        kind: Its place in the mix.
        send: Sends it; gives the status of the answer, 0 where there was none.
    """

    kind: int
    send: Callable[[], Awaitable[int]]


Draw = Callable[[], Sending]
"""Says what is sent next."""


@dataclass(frozen=True)
class Ended:
    """One request.

    Attributes:
        kind: Its place in the mix.
        due: When it was to be sent, by the loop's clock.
        late_seconds: How much later it was sent.
        seconds: From when it was due until its answer was there.
        status: Of HTTP; 0 for none.
    """

    kind: int
    due: float
    late_seconds: float
    seconds: float
    status: int

    @property
    def is_good(self) -> bool:
        """Whether it was served: what was refused for load, failed or never answered was not."""
        return 0 < self.status < _FAULT and self.status != _OVERLOADED


@dataclass(frozen=True, kw_only=True)
class Step:
    """What became of one rate; of its first part nothing is counted.

    Attributes:
        rate_per_second: That was aimed at.
        seconds: That are counted.
        sent: Requests that were due.
        good: Answers that were served.
        bad: Those that were refused for load, failed, or never came.
        turned_down: Of the good ones, those of status 4xx: the app does not take what is sent.
        late_seconds: By how much 1 in 100 was sent too late.
        p50_seconds: Of answers that were served; 0 where there were none.
        sent_by_kind: Requests that were due, by kind; empty where that is not told.
        good_by_kind: Answers that were served, likewise.
        seconds_by_kind: All times of those answers in their order, by kind.
    """

    rate_per_second: float
    seconds: float
    sent: int
    good: int
    bad: int
    turned_down: int
    late_seconds: float
    p50_seconds: float
    p99_seconds: float
    sent_by_kind: tuple[int, ...] = ()
    good_by_kind: tuple[int, ...] = ()
    seconds_by_kind: tuple[tuple[float, ...], ...] = ()

    @property
    def sent_per_second(self) -> float:
        """Requests that were due."""
        return self.sent / self.seconds

    @property
    def good_per_second(self) -> float:
        """Answers that were served."""
        return self.good / self.seconds

    def quantile_seconds(self, kind: int, ratio: float) -> float:
        """Of the times of one kind; 0 where there were none."""
        return quantile(self.seconds_by_kind[kind], ratio)


@dataclass
class Driver:
    """Drives a system, one step after the other.

    Attributes:
        draw: Says what is sent next.
        kinds: How many there are.
        chance: Draws pauses.
    """

    draw: Draw
    kinds: int
    chance: random.Random
    _ended: list[Ended] = field(default_factory=list[Ended])
    _under_way: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def step(self, rate_per_second: float, seconds: float) -> Step:
        """Send at one rate for so long. What is under way at its end goes on into the next."""
        loop = asyncio.get_running_loop()
        began = due = loop.time()
        self._ended = []
        dues: list[tuple[float, int]] = []
        while (due := due + self.chance.expovariate(rate_per_second)) < began + seconds:
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            dues.append((due, self._begin(due, loop.time())))
        if (pause := began + seconds - loop.time()) > 0:
            await asyncio.sleep(pause)
        from_time = began + SETTLING_RATIO * seconds
        counted = [one for one in self._ended if one.due + one.seconds >= from_time]
        sent = Counter(kind for due, kind in dues if due >= from_time)
        return self._counted(counted, sent, rate_per_second, loop.time() - from_time)

    def _begin(self, due: float, now: float) -> int:
        """Send what is drawn, if not too many are under way; its kind."""
        drawn = self.draw()
        if len(self._under_way) >= IN_FLIGHT_MAX:
            self._ended.append(Ended(drawn.kind, due, now - due, now - due, 0))
            return drawn.kind
        task = asyncio.create_task(self._one(drawn, due, now - due))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return drawn.kind

    async def _one(self, drawn: Sending, due: float, late_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        status = 0
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await drawn.send()
        except (OSError, TimeoutError, EOFError):
            status = 0
        self._ended.append(Ended(drawn.kind, due, late_seconds, loop.time() - due, status))

    def _counted(
        self, ended: Sequence[Ended], sent: Counter[int], rate_per_second: float, seconds: float
    ) -> Step:
        good = [one for one in ended if one.is_good]
        times = sorted(one.seconds for one in good)
        by_kind: list[list[float]] = [[] for _ in range(self.kinds)]
        for one in good:
            by_kind[one.kind].append(one.seconds)
        return Step(
            rate_per_second=rate_per_second,
            seconds=seconds,
            sent=sent.total(),
            good=len(good),
            bad=len(ended) - len(good),
            turned_down=sum(one.status >= _REFUSED for one in good),
            late_seconds=quantile(sorted(one.late_seconds for one in ended), 0.99),
            p50_seconds=quantile(times, 0.5),
            p99_seconds=quantile(times, 0.99),
            sent_by_kind=tuple(sent[kind] for kind in range(self.kinds)),
            good_by_kind=tuple(len(each) for each in by_kind),
            seconds_by_kind=tuple(tuple(sorted(each)) for each in by_kind),
        )

    async def end(self) -> None:
        """Wait for nothing any more."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


def quantile(ordered: Sequence[float], ratio: float) -> float:
    """Of numbers in order; 0 where there are none."""
    return ordered[min(int(ratio * len(ordered)), len(ordered) - 1)] if ordered else 0.0
