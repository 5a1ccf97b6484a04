"""What breaks first: the limits in the order in which they bind, and how much traffic they bear.

Source:
    Utilisation law, U = X D: E. Lazowska and others, Quantitative System Performance, Prentice-Hall
    1984, section 3.3: a station that serves m at once bears at most m / D calls a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.solve import solve

if TYPE_CHECKING:
    from outgrow.capacity.model import Model

Floats = NDArray[np.float64]
HALVINGS_COUNT = 11
WAITING_RATIO = 0.5
"""A station whose holders wait for so much of the time is not to blame itself ..."""
INNER_LOAD_MIN = 0.75
"""... where one within is loaded so much."""
CLOSE_RATIO = 1.2
"""A second limit nearer than this is named beside the first."""


def station_limits(model: Model) -> Floats:
    """Calls a second that each station bears, the others being unlimited; [draws, stations].

    Service is as long as it will be when that station is full: strained, its cores all busy.
    """
    demand = np.maximum(model.seconds_per_call(), 1e-15)
    room = np.empty_like(demand)
    for place, station in enumerate(model.stations):
        servers = station.capacity * station.replicas
        slower = 1 + model.strain_ratio[:, place]
        curve = model.slowdown_ratio.get(station.machine, ())
        if station.kind == "cpu" and curve:
            slower = slower * curve[-1]
        room[:, place] = (servers - model.idle_load[:, place]) / slower
    return np.maximum(room, 1e-9) / demand


def saturation(model: Model) -> Floats:
    """Calls a second at which the first station can no longer keep up; [draws].

    Stations in one another's way are counted in: a pool of two whose holders queue for a lock
    bears less than either would alone.
    """
    top = station_limits(model).min(axis=1) * 1.02
    low: Floats = np.zeros_like(top)
    high: Floats = top
    for _ in range(HALVINGS_COUNT):
        middle = (low + high) / 2
        keeps_up = solve(model, middle).load_ratio.max(axis=1) < 1
        low, high = np.where(keeps_up, middle, low), np.where(keeps_up, high, middle)
    return (low + high) / 2


def first_limits(model: Model, saturation_per_second: Floats) -> NDArray[np.int64]:
    """The station that binds first in each draw; [draws].

    It is the fullest one at saturation. Where those who hold it do little but wait for another
    within, that other is to blame, and so on inwards.
    """
    solved = solve(model, saturation_per_second)
    waiting = 1 - solved.net_seconds / np.maximum(solved.hold_seconds, 1e-300) > WAITING_RATIO
    within = _within(model)
    draws = np.arange(model.draws)
    first: NDArray[np.int64] = np.argmax(solved.load_ratio, axis=1)
    for _ in model.stations:
        inner_load = solved.load_ratio * within[draws, first]
        fullest = np.argmax(inner_load, axis=1)
        deeper = waiting[draws, first] & (inner_load[draws, fullest] > INNER_LOAD_MIN)
        first = np.where(deeper, fullest, first)
    return first


def _within(model: Model) -> NDArray[np.bool_]:
    """Which stations are used within which, directly or further in; [draws, outer, inner]."""
    found = model.inner_seconds > 0
    # The inner ones come first, so all that is within them is known already.
    for outer in range(len(model.stations)):
        for inner in range(outer):
            found[:, outer] |= found[:, outer, inner, None] & found[:, inner]
    return found
