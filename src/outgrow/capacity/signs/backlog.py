"""W11: more comes into a queue than is worked off.

Formula: with rate in l, servers c and work rate m: l / (c m) above 0.9, by more than its error; or
a depth that rises over five minutes, by more than three times what chance makes of as many arrivals
and departures. Time to drain is depth / (c m - l). Thresholds: 60 s to drain, severe from 15 min,
or for good where it never drains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.capacity.background import SLOTS
from outgrow.capacity.signs.adding import gain_of_easing
from outgrow.capacity.signs.sign import Finding, Missing, Seen
from outgrow.capacity.slopes import slope_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity.evidence import QueueWindow, Window

NAME = "backlog grows"
LOAD = 0.9
WARN_SECONDS, SEVERE_SECONDS = 60.0, 900.0
RISE_SECONDS_MIN = 300.0
CHANCE_FACTOR = 3.0
"""A queue whose rates are equal wanders by the root of arrivals and departures together."""


def look(seen: Seen) -> list[Finding] | Missing:
    """Each queue that fills up."""
    if not any(window.queues for window in seen.windows):
        return Missing("queues of jobs or subscriptions")
    found: list[Finding] = []
    for name in sorted({one.name for window in seen.windows for one in window.queues}):
        queue = _queue([(w, one) for w in seen.windows for one in w.queues if one.name == name])
        if queue.is_filling:
            found.append(_finding(seen, name, queue))
    return found


@dataclass(frozen=True)
class _Queue:
    """What a queue got and did over all windows.

    Attributes:
        arriving: Jobs a second.
        able: Jobs a second that it can do; infinite where none was seen.
        came: Jobs.
        depth: That wait now.
        grown_ratio: Of the jobs that came, those by which the depth rose.
        rises: It has risen by more than chance has it rise.
    """

    arriving: float
    able: float
    came: int
    depth: int
    oldest_seconds: float
    grown_ratio: float
    rises: bool

    @property
    def load(self) -> float:
        if self.able:
            return self.arriving / self.able
        return math.inf if self.depth else 0.0

    @property
    def drain_seconds(self) -> float:
        if not self.depth and self.load <= 1:
            return 0.0
        return self.depth / (self.able - self.arriving) if self.able > self.arriving else math.inf

    @property
    def is_filling(self) -> bool:
        """Arrivals and times of service both come by chance: the load is known the worse for it."""
        sure = self.load * (1 - 2 * math.sqrt(2 / self.came)) if self.came else self.load
        return self.rises or sure > LOAD or self.drain_seconds >= WARN_SECONDS


def _queue(rows: Sequence[tuple[Window, QueueWindow]]) -> _Queue:
    seconds = sum(window.seconds for window, _ in rows)
    came, ended = sum(one.enqueued for _, one in rows), sum(one.ended for _, one in rows)
    work_seconds = sum(one.service_seconds for _, one in rows)
    sounded = [(window.at_seconds, one) for window, one in rows if one.is_sounded]
    last = sounded[-1][1] if sounded else rows[-1][1]
    depths = [float(one.depth) for _, one in sounded]
    grown = depths[-1] - depths[0] if depths else 0.0
    slope = slope_of([at for at, _ in sounded], depths)
    chance = CHANCE_FACTOR * math.sqrt(max(came + ended, 1))
    rises = slope is not None and slope.low > 0 and seconds >= RISE_SECONDS_MIN and grown > chance
    servers = max(one.servers for _, one in rows)
    stands = not ended and last.depth > 0 and last.oldest_seconds >= WARN_SECONDS
    able = servers * ended / work_seconds if work_seconds else 0.0 if stands else math.inf
    return _Queue(
        arriving=came / seconds,
        able=able,
        came=came,
        depth=last.depth,
        oldest_seconds=last.oldest_seconds,
        grown_ratio=min(max(grown, 0.0) / max(came, 1), 1.0),
        rises=rises,
    )


def _finding(seen: Seen, name: str, queue: _Queue) -> Finding:
    drain, load = queue.drain_seconds, queue.load
    shown = "never" if math.isinf(drain) else f"in {drain:.0f} s"
    does = "nothing of it ends" if not queue.able else f"can do {queue.able:.2f}"
    if math.isinf(queue.able):
        does = "nothing is known of what it can do"
    return Finding(
        sign=NAME,
        severity="severe" if drain >= SEVERE_SECONDS or load >= 1 else "warn",
        subject=name,
        value=load,
        threshold=LOAD,
        text=f"`{name}` gets {queue.arriving:.2f} a second and {does};"
        f" the {queue.depth} that wait are done {shown}",
        share_ratio=queue.grown_ratio,
        gain_ratio=gain_of_easing(seen.told, name + SLOTS, 0.5),
        numbers={
            "waiting_count": queue.depth,
            "oldest_seconds": queue.oldest_seconds,
            **({} if math.isinf(drain) else {"drain_seconds": drain}),
        },
    )
