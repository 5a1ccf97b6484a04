"""Patterns that give a station more room, or keep it from being asked for more than it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from outgrow.capacity.background import CONCURRENCY, SLOTS
from outgrow.capacity.patterns.surgery import resized

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
    """Turn away what would only wait: the limit stays, and those let in are served in time.

    Attributes:
        calls_per_second: Let in; the knee by objective, as a rule.
    """

    calls_per_second: float
    effort: Effort = "setting"
    needs: tuple[str, ...] = ("callers bear to be turned away",)
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"let in {self.calls_per_second:.0f} calls a second and turn the rest away"

    def applied(self, model: Model) -> Model:
        """The same system: no limit moves."""
        return model

    def admitted_per_second(self, calls_per_second: float) -> float:
        """How many of so many get in."""
        return min(calls_per_second, self.calls_per_second)
