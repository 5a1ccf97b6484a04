"""Bursts: what counts of arrivals tell of how the rate goes up and down, and how surely.

Arrivals are taken as Poisson with a rate that goes up and down. Two things of it matter to a queue:
how much the rate varies, and how long a high rate lasts. Little evidence holds few bursts, so both
are told as a posterior over a grid, from which each draw takes a pair. Counts in parts of 100 ms
speak of short bursts, counts of windows that follow one another of long ones. Both belong to the
traffic and not to its volume: at N times the traffic they stay.

Sources:
    Counts of a doubly stochastic process: D. Cox, V. Isham, Point Processes, Chapman and Hall 1980,
    section 3.3. Variance of a sample variance of what is correlated: M. Bartlett, Stochastic
    Processes, Cambridge 1955, section 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.model import Bursts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from outgrow.capacity.evidence import Window

Floats = NDArray[np.float64]
PART_SECONDS = 0.1
STRETCH_PARTS = 200
STRETCHES_MIN = 12
STEADY_RATIO = 0.8
"""Believed beforehand: that traffic has no bursts at all."""
PEAK_SHARE, PEAK_SHARES = 0.5, (0.25, 0.75)
"""Share of the time at the high rate: no evidence tells it, so each draw takes one of these."""
_PROBABLE_RATIO = 0.5
MEMORY_SECONDS, MEMORY_SPREAD = 0.7, 1.1
"""Believed beforehand of how long a high rate lasts: the middle, and its logarithm's deviation.
Parts of 100 ms hardly tell half a second from five."""
_VARIANCES = np.geomspace(0.003, 4.0, 28)
_MEMORIES = np.geomspace(0.03, 15.0, 28)
_TRIPLES_MIN = 8
_TRIPLE_VARIANCE = 3.9
"""Variance of the mean square of second differences of white noise, times their number, over its
squared mean."""


@dataclass(frozen=True)
class Guesses:
    """Pairs that the rate's variance and memory may be, and how probable each is; [pairs]."""

    variance: Floats
    memory: Floats
    probability: Floats

    def best(self, draws: int) -> Bursts:
        """The pair in the middle, for each draw; none where steady traffic is more probable."""
        seen = self.variance > 0
        weights = self.probability[seen]
        if weights.sum() <= _PROBABLE_RATIO:
            return Bursts.none(draws)
        weights = weights / weights.sum()
        return Bursts(
            rate_variance_ratio=np.full(draws, np.exp(weights @ np.log(self.variance[seen]))),
            memory_seconds=np.full(draws, np.exp(weights @ np.log(self.memory[seen]))),
            peak_share=np.full(draws, PEAK_SHARE),
        )

    def drawn(self, draws: int, random: np.random.Generator) -> Bursts:
        """One pair for each draw."""
        taken = random.choice(len(self.probability), draws, p=self.probability)
        return Bursts(
            rate_variance_ratio=self.variance[taken],
            memory_seconds=self.memory[taken],
            peak_share=random.uniform(*PEAK_SHARES, draws),
        )


def guess_bursts(windows: Iterable[Window]) -> Guesses:
    """How the rate of arrivals may go up and down.

    Slower changes than over three windows are the traffic's trend, which a queue follows.
    """
    windows = list(windows)
    variance, memory = (grid.ravel() for grid in np.meshgrid(_VARIANCES, _MEMORIES))
    variance, memory = np.append(variance, 0.0), np.append(memory, 1.0)
    prior = np.exp(-0.5 * (np.log(memory / MEMORY_SECONDS) / MEMORY_SPREAD) ** 2)
    prior *= (1 - STEADY_RATIO) / prior[:-1].sum()
    prior[-1] = STEADY_RATIO
    logs = np.log(prior) + _by_parts(windows, variance, memory)
    logs += _by_windows(windows, variance, memory)
    weights = np.exp(logs - logs.max())
    return Guesses(variance, memory, weights / weights.sum())


def _by_parts(windows: Sequence[Window], variance: Floats, memory: Floats) -> Floats:
    """Log likelihood of the variance of counts in parts, and of how neighbours are alike."""
    longest = sum(max((one.parts for one in window.arrivals), default=0) for window in windows)
    excess = shared = weight = cubes = seconds = 0.0
    length = 1.0
    for stretch in _stretches(windows, min(STRETCH_PARTS, longest // STRETCHES_MIN)):
        parts, total, squares, neighbours, pairs = stretch
        mean = total / parts
        excess += squares - parts * mean * mean - total * (1 - 1 / parts)
        shared += (neighbours - pairs * mean * mean) * parts / max(pairs, 1) + mean
        weight += parts * mean * mean
        cubes += parts * mean**3
        length = parts * PART_SECONDS
        seconds = max(seconds, longest * PART_SECONDS)
    if weight <= 0:
        return np.zeros_like(variance)
    within = _averaged(length / memory)
    expected = np.stack(
        [
            variance * (_averaged(PART_SECONDS / memory) - within),
            variance * (_next(PART_SECONDS / memory) - within),
        ]
    )
    off = np.array([excess, shared])[:, None] / weight - expected
    common = 2 * variance**2 * memory / seconds + 4 * variance * cubes / weight**2
    one, other = 2 / weight + common, 1 / weight + common
    determinant = one * other - common**2
    squared = other * off[0] ** 2 + one * off[1] ** 2 - 2 * common * off[0] * off[1]
    return -0.5 * (squared / determinant + np.log(determinant))


def _by_windows(windows: Sequence[Window], variance: Floats, memory: Floats) -> Floats:
    """Log likelihood of how counts of windows, and of pairs of them, differ from those around."""
    counts = [
        _Count(
            at_seconds=window.at_seconds,
            seconds=max((one.parts for one in window.arrivals), default=0) * PART_SECONDS,
            total=sum(one.total for one in window.arrivals),
        )
        for window in windows
    ]
    found = _by_triples(counts, variance, memory)
    pairs = [one.with_next(other) for one, other in pairwise(counts)][::2]
    return found + _by_triples(pairs, variance, memory)


@dataclass(frozen=True)
class _Count:
    """Arrivals in a stretch of time."""

    at_seconds: float
    seconds: float
    total: int

    def with_next(self, other: _Count) -> _Count:
        return _Count(self.at_seconds, self.seconds + other.seconds, self.total + other.total)


def _by_triples(counts: Sequence[_Count], variance: Floats, memory: Floats) -> Floats:
    """Log likelihood of the second differences of counts, which a trend leaves small."""
    squares: list[float] = []
    chance: list[float] = []
    lengths: list[float] = []
    for one, two, three in zip(counts, counts[1:], counts[2:], strict=False):
        length, total = two.seconds, (one.total + two.total + three.total) / 3
        follows = abs(three.at_seconds - one.at_seconds - 2 * length) < length / 2
        if total > 0 and follows and one.seconds == length == three.seconds:
            squares.append(((one.total - 2 * two.total + three.total) / total) ** 2)
            chance.append(6 / total)
            lengths.append(length)
    if len(squares) < _TRIPLES_MIN:
        return np.zeros_like(variance)
    passed = float(np.mean(lengths)) / memory
    near = _next(passed)
    alike = 6 * _averaged(passed) - 8 * near + 2 * near * np.exp(-passed)
    expected = np.mean(chance) + variance * alike
    shape = len(squares) / _TRIPLE_VARIANCE
    return -shape * (np.log(expected) + np.mean(squares) / expected)


def _averaged(passed: Floats) -> Floats:
    """Variance of the mean over a time, of a variance of 1 that is forgotten exponentially."""
    passed = np.maximum(passed, 1e-4)
    return 2 * (passed - 1 + np.exp(-passed)) / passed**2


def _next(passed: Floats) -> Floats:
    """Covariance of the means over two such times that follow one another."""
    passed = np.maximum(passed, 1e-4)
    return ((1 - np.exp(-passed)) / passed) ** 2


def _stretches(windows: Iterable[Window], parts: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Parts, arrivals, squares, products of neighbours and pairs, class by class."""
    sums: dict[str, list[int]] = {}
    for window in windows:
        for one in window.arrivals:
            row = sums.setdefault(one.operation, [0, 0, 0, 0, 0])
            added = (one.parts, one.total, one.squares, one.neighbours, max(one.parts - 1, 0))
            for place, value in enumerate(added):
                row[place] += value
            if row[0] >= max(parts, 1):
                yield tuple(sums.pop(one.operation))  # pyright: ignore[reportReturnType]
