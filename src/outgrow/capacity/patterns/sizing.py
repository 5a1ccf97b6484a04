"""Patterns that give a station more room, or keep it from being asked for more than it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.background import CONCURRENCY, SLOTS
from outgrow.capacity.patterns.surgery import eased, resized

if TYPE_CHECKING:
    from outgrow.capacity.model import Model, Station
    from outgrow.capacity.patterns.pattern import Effort


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """More equal workers of a group: more loops, GILs, pools and threads; no more cores.

    Attributes:
        process: The group.
        replicas: After the change.
        before: Now.
    """

    process: str
    replicas: int
    before: int = 1
    effort: Effort = "placement"
    needs: tuple[str, ...] = (
        "no state is kept in a worker's memory",
        "the database allows the connections of all pools together",
    )
    assumes: str = ""

    @property
    def title(self) -> str:
        """What is done."""
        return f"run `{self.process}` {self.replicas} times instead of {self.before}"

    @property
    def workers(self) -> int:
        """Added."""
        return self.replicas - self.before

    def applied(self, model: Model) -> Model:
        """The system with so many workers."""

        def change(one: Station) -> Station:
            if one.process != self.process or one.kind == "cpu":
                return one
            return replace(one, replicas=self.replicas)

        return resized(model, change)


@dataclass(frozen=True, kw_only=True)
class BiggerPool:
    """More slots: connections, threads, calls at once to others, or jobs at once."""

    station: str
    capacity: int
    effort: Effort = "setting"
    needs: tuple[str, ...] = ("what is behind it bears so many at once",)
    assumes: str = ""
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        queue, bound, _ = self.station.partition(CONCURRENCY)
        if bound:
            return f"let `{queue}` run {self.capacity} at once over all workers"
        name = self.station.replace(SLOTS, "")  # `queue mail: slots of work` is of `queue mail`
        return f"give `{name}` {self.capacity} slots"

    def applied(self, model: Model) -> Model:
        """The system with so many slots."""

        def change(one: Station) -> Station:
            return replace(one, capacity=self.capacity) if one.name == self.station else one

        return resized(model, change)


@dataclass(frozen=True, kw_only=True)
class BiggerMachine:
    """More cores, in the same machine or by moving to another."""

    station: str
    cores: int
    before: int = 1
    effort: Effort = "data"
    needs: tuple[str, ...] = ("what runs on it may be moved to a larger one",)
    assumes: str = ""
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"give the machine of `{self.station}` {self.cores} cores instead of {self.before}"

    def applied(self, model: Model) -> Model:
        """The system on so many cores."""
        machine = next(one.machine for one in model.stations if one.name == self.station)
        curve = model.slowdown_ratio.get(machine, ())
        # What more cores slow one another down was not measured: as the last ones do.
        longer = curve + curve[-1:] * (self.cores - len(curve)) if curve else curve

        def change(one: Station) -> Station:
            return replace(one, capacity=self.cores) if one.name == self.station else one

        wide = resized(model, change)
        return replace(wide, slowdown_ratio={**model.slowdown_ratio, machine: longer})


@dataclass(frozen=True, kw_only=True)
class AdmissionLimit:
    """Turn away what would only wait: no limit moves, and those let in are served in time.

    Attributes:
        calls_per_second: Let in; the knee by objective, as a rule.
        in_flight: Calls at once, in one worker, that let in so many.
        process: The group whose workers turn away.
    """

    calls_per_second: float
    in_flight: int
    process: str
    effort: Effort = "setting"
    needs: tuple[str, ...] = ("callers bear to be turned away, and come back later",)
    assumes: str = ""
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"let in {self.calls_per_second:,.0f} calls a second and turn the rest away"

    def applied(self, model: Model) -> Model:
        """The same system: no limit moves."""
        return model


@dataclass(frozen=True, kw_only=True)
class ShorterHolds:
    """A lock, or a slot, is held for less: what need not be done meanwhile is done before or after.

    Attributes:
        station: Held for less.
        keep_ratio: Of the time in service that remains.
        before_seconds: Of one hold, now.
    """

    station: str
    keep_ratio: float
    before_seconds: float
    effort: Effort = "code"
    needs: tuple[str, ...] = ("so much of what is done meanwhile can be done before or after",)
    workers: int = 0

    @property
    def assumes(self) -> str:
        """How long it must be held at most."""
        return f"each hold takes {self.keep_ratio * self.before_seconds * 1e3:.2g} ms at most"

    @property
    def title(self) -> str:
        """What is done."""
        now, then = self.before_seconds * 1e3, self.keep_ratio * self.before_seconds * 1e3
        return f"hold `{self.station}` for {then:.2g} ms at a time instead of {now:.2g}"

    def applied(self, model: Model) -> Model:
        """The system with shorter holds."""
        same = np.ones(len(model.classes))
        return eased(model, self.station, same, seconds_keep=same * self.keep_ratio)
