"""Solves a model for a load: how busy each station is, and how long calls wait there.

Stations are taken from the innermost to the outermost. One that holds others while it is held (a
pool whose holders queue for a lock) becomes a flow-equivalent station, see `flow`: its throughput
with n holders is that of n customers who go round among the stations within, which others load as
well. So a pool that is full of waiters is slow because of what they wait for, and not by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.closed import CUSTOMERS_MAX, Round, throughput_curve
from outgrow.capacity.flow import Flow, through
from outgrow.capacity.host import experienced_slowdown
from outgrow.capacity.modulated import rate_factors, through_bursts
from outgrow.capacity.queueing import erlang_c

if TYPE_CHECKING:
    from outgrow.capacity.model import Model

Floats = NDArray[np.float64]
_LOAD_MAX = 0.995
_CURVE_MIN = 1e-3
"""While the rate is high, a station is never slower than this share of what it is on average."""
_WAIT_SECONDS_MAX = 1e9
"""What takes longer is endless."""
TURN_SECONDS = 0.004
"""How long one keeps a core (3 ms) or the GIL (5 ms) while others wait for it."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A model under one load; each of shape [draws, stations].

    Attributes:
        load_ratio: Share of the capacity in use; above 1 where it cannot keep up.
        wait_ratio: Share of uses that wait for a slot.
        wait_seconds: Mean wait for one.
        wait_squared_s2: Mean of its square.
        hold_seconds: Mean time a slot is held, waits within included.
        net_seconds: The same without waits.
    """

    load_ratio: Floats
    wait_ratio: Floats
    wait_seconds: Floats
    wait_squared_s2: Floats
    hold_seconds: Floats
    net_seconds: Floats


def solve(model: Model, calls_per_second: Floats) -> Solution:
    """How the stations fare under a load of all classes together; [draws]."""
    return _Pass(model, calls_per_second).answer()


class _Pass:
    """One way through the stations, innermost first."""

    def __init__(self, model: Model, calls_per_second: Floats) -> None:
        self.model = model
        self.calls = calls_per_second
        shape = (model.draws, len(model.stations))
        self.replicas = np.array([one.replicas for one in model.stations], dtype=np.float64)
        self.servers = np.array([one.capacity for one in model.stations])
        uses = np.maximum(model.uses_per_call(), 1e-12)
        demand = model.seconds_per_call()
        self.net = demand / uses
        self.arrivals = calls_per_second[:, None] * uses / self.replicas
        self.idle = model.idle_load / self.replicas
        self.offered = calls_per_second[:, None] * demand / self.replicas + self.idle
        self.stretch = np.ones(shape)
        self.load_ratio = np.zeros(shape)
        self.wait_ratio, self.wait = np.zeros(shape), np.zeros(shape)
        self.wait_squared = np.zeros(shape)
        self.has_bursts = bool(model.bursts.rate_variance_ratio.any())
        self.factors = rate_factors(model.bursts)
        self.hold = self.net.copy()
        self.turned, self.turns = np.zeros(shape), np.zeros_like(calls_per_second)

    def answer(self) -> Solution:
        for number in range(len(self.model.stations)):
            self._stretch(number)
            self._station(number)
        return Solution(
            load_ratio=self.load_ratio,
            wait_ratio=self.wait_ratio,
            wait_seconds=self.wait,
            wait_squared_s2=self.wait_squared,
            hold_seconds=self.hold,
            net_seconds=self.net,
        )

    def _stretch(self, number: int) -> None:
        """Set by how much service is longer than now, by strain and by busy cores."""
        station = self.model.stations[number]
        share = np.minimum(self.offered[:, number] / self.servers[number], 1.0)
        ratio = 1 + self.model.strain_ratio[:, number] * share
        if station.kind == "cpu":
            curve = self.model.slowdown_ratio.get(station.machine, ())
            ratio = ratio * experienced_slowdown(curve, self.offered[:, number] * ratio)
        self.stretch[:, number] = ratio

    def _station(self, number: int) -> None:
        inner = np.flatnonzero(self.model.inner_seconds[:, number].max(axis=0) > 0)
        net = self.net[:, number]
        nested = self.model.inner_seconds[:, number][:, inner]
        # What is within takes at least its own time, however little is left for the rest.
        net = self.net[:, number] = np.maximum(net, nested.sum(axis=1))
        own = net - nested.sum(axis=1)
        self.turns = np.zeros_like(own)
        curve = self._curve(number, inner, nested, own)
        flow = through(curve, self.arrivals[:, number])
        curves = (curve, curve)
        if self.has_bursts and len(inner):
            turns = self.turns
            high, low = (
                np.maximum(self._curve(number, inner, nested, own, factor), _CURVE_MIN * curve)
                for factor in self.factors
            )
            curves, self.turns = (high, low), turns
        self._note(number, flow, curve, curves)

    def _curve(
        self,
        number: int,
        inner: NDArray[np.int64],
        nested: Floats,
        own: Floats,
        factor: Floats | float = 1.0,
    ) -> Floats:
        """Uses a second with 1, 2, ... slots taken, with so many times the traffic around."""
        quick = np.zeros_like(nested)
        think = own.copy()
        stretch = self.stretch[:, number]
        for place, within in enumerate(inner):
            seen, alone = self._seen_from(number, int(within), nested[:, place], factor)
            quick[:, place] = np.minimum(alone, seen)
            think += seen - quick[:, place]
        way = Round(
            think_seconds=think * stretch,
            demand_seconds=quick * stretch[:, None],
            servers=np.ones(len(inner), dtype=np.int64),
            variability=np.array([self.model.stations[int(i)].variability for i in inner]),
        )
        slots = min(int(self.servers[number]), CUSTOMERS_MAX)
        return np.maximum(throughput_curve(way, slots), 1e-12)

    def _seen_from(
        self, outer: int, inner: int, seconds: Floats, factor: Floats | float
    ) -> tuple[Floats, Floats]:
        """Time at `inner` of one use of `outer`, where nobody else holds `outer`.

        The others who use `inner` are in the way; those within the same `outer` are counted by its
        own throughput curve.

        Returns:
            The whole time, and the part of it for which nobody else of the same `outer` could be
            served: others leave so many servers to it.
        """
        station, model = self.model.stations[inner], self.model
        servers = int(self.servers[inner])
        stretch = self.stretch[:, inner]
        # Other replicas of `outer` are among the others where they share `inner`.
        spread = max(self.replicas[inner] / self.replicas[outer], 1.0)
        own = self.arrivals[:, outer] * seconds / spread
        if station.is_shared_out:
            # Turns go round: whoever comes gets one, however much others want.
            factor = 1.0
        idle = self.idle[:, inner]
        others = (np.maximum(self.offered[:, inner] - own - idle, 0.0) * factor + idle) * stretch
        others = np.minimum(others, servers * _LOAD_MAX)
        uses = np.maximum(model.inner_uses[:, outer, inner], 1e-12)
        # Turns that were waited for within a GIL are turns of those who hold it, too.
        turned = self.turned[:, inner] if station.is_shared_out else 0.0
        self.turns = self.turns + uses * turned
        held = (self.hold[:, inner] - turned) / np.maximum(self.net[:, inner], 1e-12)
        service = seconds * np.maximum(held, stretch)
        waits = erlang_c(servers, others) / (servers - others)
        mean = self.net[:, inner] * stretch
        if station.is_shared_out:
            waited = service * waits
            # Turns are taken: a short piece waits for one turn of those before it, a long one as
            # often as it needs a turn. It costs time and no throughput, see `_note`.
            turn = mean / (1 + mean / TURN_SECONDS)
            turns = uses * turn * (1 + service / uses / TURN_SECONDS) * waits
            self.turns += np.maximum(turns - waited, 0.0)
        else:
            waited = uses * mean * waits * (1 + station.variability) / 2
        return service + waited, service / (servers - others)

    def _note(self, number: int, flow: Flow, curve: Floats, curves: tuple[Floats, Floats]) -> None:
        station = self.model.stations[number]
        full = curve[:, -1] * (1 - self.idle[:, number] / station.capacity)
        load = self.arrivals[:, number] / np.maximum(full, 1e-12)
        if station.kind == "cpu":
            load = self.offered[:, number] * self.stretch[:, number] / station.capacity
        self.load_ratio[:, number] = load
        self.wait_ratio[:, number] = flow.wait_ratio
        # Whoever waits for a turn keeps others from nothing: the core is in use meanwhile.
        self.turned[:, number] = self.turns * np.clip(1 - load, 0.0, 1.0)
        held = flow.hold_seconds + self.turned[:, number]
        self.hold[:, number] = held
        wait, squared = flow.wait_seconds, flow.wait_squared_s2
        spread = np.minimum(wait, _WAIT_SECONDS_MAX) * (station.variability - 1) / 2
        if self.has_bursts:
            met = through_bursts(curves, self.arrivals[:, number], self.model.bursts)
            bursty = self.model.bursts.rate_variance_ratio > 0
            wait = np.where(bursty, met.wait_seconds, wait)
            squared = np.where(bursty, met.wait_squared_s2, squared)
            self.wait_ratio[:, number] = np.where(bursty, met.wait_ratio, flow.wait_ratio)
        longer = held / np.maximum(flow.hold_seconds, 1e-300)
        longer = longer * self.model.wait_error_ratio * self._evened(number, load)
        whole = (np.minimum(wait, _WAIT_SECONDS_MAX) + spread) * longer
        ratio = whole / np.maximum(np.minimum(wait, _WAIT_SECONDS_MAX), 1e-300)
        endless = wait > _WAIT_SECONDS_MAX
        self.wait[:, number] = np.where(endless, np.inf, whole)
        self.wait_squared[:, number] = np.where(
            endless, np.inf, np.minimum(squared, _WAIT_SECONDS_MAX**2) * ratio**2
        )

    def _evened(self, number: int, load: Floats) -> Floats:
        """By how much waits are shorter for calls being spread evenly over equal replicas.

        Between a line for each of them and one line for all: which it is was not counted.
        """
        replicas = int(self.replicas[number])
        if replicas == 1:
            return np.ones_like(load)
        servers = int(self.servers[number])
        offered = np.minimum(load, _LOAD_MAX) * servers
        one_line = erlang_c(servers * replicas, offered * replicas) / replicas
        ratio = one_line / np.maximum(erlang_c(servers, offered), 1e-300)
        return np.maximum(ratio, 1e-3) ** self.model.evenness_ratio
