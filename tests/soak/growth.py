"""Whether what was sampled grew: a slope that single peaks do not move, and its bounds.

The slope is the median of the slopes between all pairs of samples (Theil and Sen), so it takes a
change of nearly a third of all samples to move it. Only processes that lived through the whole
span are judged: those that the unrest restarts begin anew.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.soak.samples import Sample

MB = 1e6
SAMPLES_MIN = 8
POINTS_MAX = 400
EDGE_RATIO = 0.1
FLOOR_SAMPLES = 4

Reading = Callable[[Sample], float]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """How much something may grow over a span.

    Attributes:
        what: In words.
        read: Takes it from a sample, in the unit of `most`.
        most: The growth that is still none.
        is_floor: Judge the least of each few samples: what comes and goes with the load is above.
    """

    what: str
    read: Reading
    most: float
    is_floor: bool = False


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How much something grew in one process.

    Attributes:
        who: The process, in words.
        first: Its median over the first tenth of the span.
        last: Its median over the last tenth.
        grown: The robust slope, times the length of the span.
    """

    who: str
    bound: Bound
    first: float
    last: float
    grown: float

    @property
    def is_kept(self) -> bool:
        """Whether it is within its bound."""
        return self.grown <= self.bound.most


def memory(most_mb: float) -> Bound:
    """Memory, in MB."""
    return Bound(what="memory, MB", read=lambda each: each.rss_bytes / MB, most=most_mb)


def descriptors(most: float) -> Bound:
    """Open files, sockets and pipes; clients hold more of them while the machine is busy."""
    return Bound(what="descriptors", read=lambda each: each.descriptors, most=most, is_floor=True)


def threads(most: float) -> Bound:
    """Threads."""
    return Bound(what="threads", read=lambda each: each.threads, most=most)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs of points; times must differ."""
    step = -(-len(points) // POINTS_MAX)  # their number grows with the square
    kept = points[::step]
    return statistics.median(
        (later - earlier) / (then - now)
        for number, (now, earlier) in enumerate(kept)
        for then, later in kept[number + 1 :]
    )


def lived_through(samples: Sequence[Sample], since: float, until: float) -> list[list[Sample]]:
    """The samples of this span, by process, of those that are in (nearly) each moment of it."""
    inside = [each for each in samples if since <= each.seconds <= until]
    moments = len({each.seconds for each in inside})
    by_pid: dict[int, list[Sample]] = {}
    for each in inside:
        by_pid.setdefault(each.pid, []).append(each)
    return [found for found in by_pid.values() if len(found) >= max(SAMPLES_MIN, 0.95 * moments)]


def growth(samples: Sequence[Sample], bound: Bound, *, note: str = "") -> Growth:
    """How much one process grew from the first of its samples to the last."""
    points = [(each.seconds, bound.read(each)) for each in samples]
    if bound.is_floor:
        few = (points[at : at + FLOOR_SAMPLES] for at in range(0, len(points), FLOOR_SAMPLES))
        points = [min(each, key=lambda point: point[1]) for each in few]
    edge = max(1, int(len(points) * EDGE_RATIO))
    return Growth(
        who=f"{samples[0].role} ({samples[0].pid}){note}",
        bound=bound,
        first=statistics.median(value for _, value in points[:edge]),
        last=statistics.median(value for _, value in points[-edge:]),
        grown=slope(points) * (points[-1][0] - points[0][0]),
    )


def table(found: Sequence[Growth]) -> str:
    """A line for each."""
    heads = ("process", "of it", "first", "last", "grown", "bound")
    lines = [_line(*heads, "")]
    for each in found:
        numbers = [f"{value:.2f}" for value in (each.first, each.last, each.grown, each.bound.most)]
        lines.append(_line(each.who, each.bound.what, *numbers, "" if each.is_kept else "TOO MUCH"))
    return "\n".join(lines)


def _line(who: str, what: str, *cells: str) -> str:
    *numbers, verdict = cells
    return f"  {who:38}{what:14}" + "".join(f"{one:>10}" for one in numbers) + f"  {verdict}"
