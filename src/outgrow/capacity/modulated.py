"""A station under bursts: arrivals whose rate is now high, now low, by a chain of two states.

What others leave of the stations within is less while the rate is high. The queue is a birth and
death process beside that chain: a quasi-birth-death process, solved exactly. While all slots are
taken, each further one in the queue is less probable by a matrix R, whose two eigenvalues are roots
of a cubic; below that, levels are eliminated one by one.

Sources:
    M. Neuts, Matrix-Geometric Solutions in Stochastic Models, Johns Hopkins 1981, chapter 3.
    Levels with rates of their own: L. Bright, P. Taylor, Stochastic Models 11(3), 1995.
    Two states as a model of bursts: H. Heffes, D. Lucantoni, IEEE JSAC 4(6), 1986.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.flow import Flow

if TYPE_CHECKING:
    from outgrow.capacity.model import Bursts

Floats = NDArray[np.float64]
Service = tuple[Floats, Floats]
"""While the rate is high, and while it is low."""
_FULL_RATIO = 0.9999
_LOAD_RATIO_MIN = 1e-6
_VARIANCE_MIN = 1e-6
"""So that the two states differ, and the matrix has two eigenvalues."""
_ROUNDS_COUNT = 3


@dataclass(frozen=True)
class _Pair:
    """A 2 x 2 matrix for each draw: rows and columns are the high and the low rate."""

    hh: Floats
    hl: Floats
    lh: Floats
    ll: Floats

    def inverse(self) -> _Pair:
        scale = 1 / (self.hh * self.ll - self.hl * self.lh)
        return _Pair(self.ll * scale, -self.hl * scale, -self.lh * scale, self.hh * scale)

    def after(self, high: Floats, low: Floats) -> tuple[Floats, Floats]:
        """A row times this."""
        return high * self.hh + low * self.lh, high * self.hl + low * self.ll


@dataclass(frozen=True)
class _Rates:
    """Of arrivals in both states, and of leaving either."""

    high: Floats
    low: Floats
    end_high: Floats
    end_low: Floats

    def kept(self, service: Service, back: Service, down: _Pair) -> _Pair:
        """What keeps a level from being left: all rates out, less what returns from above."""
        return _Pair(
            self.high + service[0] + self.end_high - down.hh * back[0],
            -self.end_high - down.hl * back[1],
            -self.end_low - down.lh * back[0],
            self.low + service[1] + self.end_low - down.ll * back[1],
        )

    def up(self, kept: _Pair) -> _Pair:
        """How much more probable the level above is."""
        found = kept.inverse()
        return _Pair(
            self.high * found.hh, self.high * found.hl, self.low * found.lh, self.low * found.ll
        )


def rate_factors(bursts: Bursts) -> tuple[Floats, Floats]:
    """The high rate and the low one, over the mean."""
    peak, deviation = _peak_share(bursts), np.sqrt(_variance(bursts))
    return (
        1 + deviation * np.sqrt((1 - peak) / peak),
        1 - deviation * np.sqrt(peak / (1 - peak)),
    )


def through_bursts(curves: Service, arrivals_per_second: Floats, bursts: Bursts) -> Flow:
    """How a station fares under arrivals in bursts.

    Args:
        curves: Uses a second with 1, 2, ... m slots taken, while the rate is high and while it is
            low; each of shape [draws, m].
        arrivals_per_second: Their mean; shape [draws].
        bursts: Of each draw.
    """
    slots = curves[0].shape[1]
    # Who is hardly ever asked makes nobody wait: far from that, numbers get too small to be told.
    ceiling = np.maximum(arrivals_per_second, 1e-9)[:, None] / _LOAD_RATIO_MIN
    high, low = (np.minimum(curve, ceiling) for curve in curves)
    peak = _peak_share(bursts)
    most = peak * high[:, -1] + (1 - peak) * low[:, -1]
    full = arrivals_per_second >= most * _FULL_RATIO
    rate = np.minimum(np.maximum(arrivals_per_second, most * _LOAD_RATIO_MIN), most * _FULL_RATIO)
    rates = _rates(rate, bursts)
    more = _more(rates, (high[:, -1], low[:, -1]))
    served = [(high[:, number], low[:, number]) for number in range(slots)]
    levels = [more]
    for number in reversed(range(slots - 1)):
        levels.insert(0, rates.up(rates.kept(served[number], served[number + 1], levels[0])))
    nothing = np.zeros_like(rate)
    start = rates.kept((nothing, nothing), served[0], levels[0])
    return _summed(rates, rate, start, levels, served[-1], full)


def _summed(
    rates: _Rates,
    rate: Floats,
    start: _Pair,
    levels: list[_Pair],
    served: Service,
    full: NDArray[np.bool_],
) -> Flow:
    """Waits and holds, from how much more probable each level is than the one below."""
    # Level 0 is left as often as it is entered, from either state.
    high, low = -start.lh / (start.hh - start.lh), start.hh / (start.hh - start.lh)
    total, held = high + low, np.zeros_like(rate)
    for number, level in enumerate(levels[:-1], start=1):
        high, low = level.after(high, low)
        total = total + high + low
        held = held + number * (high + low)
    more = levels[-1]
    beyond = _Pair(1 - more.hh, -more.hl, -more.lh, 1 - more.ll).inverse()
    once = beyond.after(*more.after(high, low))
    twice = beyond.after(*once)
    thrice = beyond.after(*twice)
    total, held = total + sum(once), held + len(levels) * sum(once)
    quick = (once[0] * served[0] + once[1] * served[1]) / sum(once)

    def met(share: tuple[Floats, Floats]) -> Floats:
        """By those who arrive."""
        return (share[0] * rates.high + share[1] * rates.low) / (rate * total)

    # Who comes as the k-th in the queue waits for k to be served.
    return Flow(
        wait_ratio=np.where(full, 1.0, met(once)),
        wait_seconds=np.where(full, np.inf, met(twice) / quick),
        wait_squared_s2=np.where(full, np.inf, 2 * met(thrice) / quick**2),
        hold_seconds=held / total / rate,
        busy_ratio=np.where(full, 1.0, held / total / len(levels)),
    )


def _variance(bursts: Bursts) -> Floats:
    return np.maximum(bursts.rate_variance_ratio, _VARIANCE_MIN)


def _peak_share(bursts: Bursts) -> Floats:
    """A rate is never negative: where it varies so much, the peak has to be rarer."""
    return np.minimum(bursts.peak_share, 0.98 / (0.98 + _variance(bursts)))


def _rates(rate: Floats, bursts: Bursts) -> _Rates:
    """A high and a low rate with the variance, the memory and the share of peaks that is asked."""
    high, low = rate_factors(bursts)
    peak, memory = _peak_share(bursts), np.maximum(bursts.memory_seconds, 1e-3)
    return _Rates(
        high=rate * high, low=rate * low, end_high=(1 - peak) / memory, end_low=peak / memory
    )


def _more(rates: _Rates, served: Service) -> _Pair:
    """R: how much more probable one more in the queue is, while all slots are taken."""
    high, low = rates.high / served[0], rates.low / served[1]
    end_high, end_low = rates.end_high / served[0], rates.end_low / served[1]
    one, other = _roots(high, low, end_high, end_low)

    def vector(root: Floats) -> tuple[Floats, Floats]:
        back = rates.end_low / served[0]
        return root * back, root * end_high - (root - 1) * (root - high)

    left, right = vector(one), vector(other)
    back = _Pair(*left, *right).inverse()
    scaled = _Pair(one * left[0], one * left[1], other * right[0], other * right[1])
    return _Pair(*scaled.after(back.hh, back.hl), *scaled.after(back.lh, back.ll))


def _roots(high: Floats, low: Floats, end_high: Floats, end_low: Floats) -> tuple[Floats, Floats]:
    """The two roots below 1 of (z-1)(z-h)(z-l) = z (b(z-h) + a(z-l)), all of which are real."""
    ends = end_high + end_low
    two = -(1 + high + low + ends)
    one = high + low + high * low + end_low * high + end_high * low
    none = -high * low
    centre = -two / 3
    bend = np.maximum(centre**2 - one / 3, 1e-300)
    offset = (2 * two**3 / 27 - two * one / 3 + none) / 2
    angle = np.arccos(np.clip(-offset / bend**1.5, -1.0, 1.0))
    found: list[Floats] = []
    for turn in (2, 1):
        root = centre + 2 * np.sqrt(bend) * np.cos((angle + 2 * np.pi * turn) / 3)
        for _ in range(_ROUNDS_COUNT):
            value = ((root + two) * root + one) * root + none
            slope = (3 * root + 2 * two) * root + one
            root = root - value / np.where(np.abs(slope) > 1e-14, slope, 1e300)
        found.append(np.clip(root, 0.0, 1 - 1e-12))
    return found[0], found[1]
