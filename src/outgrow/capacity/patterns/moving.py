"""Patterns that move operations: to a process of their own, back, or to a database of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.patterns.surgery import added, divided, joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.pattern import Effort

CROSSING_SECONDS = 60e-6
"""CPU time that a call between processes takes, on either side: 25-100 us were measured."""


def _crossing_calls(model: Model, operations: tuple[str, ...]) -> NDArray[np.float64]:
    """Calls of these operations that one call of each class leads to; [classes]."""
    return np.array(
        [sum(one.visits.get(name, 0.0) for name in operations) for one in model.classes]
    )


def _of(model: Model, process: str, kind: str) -> list[str]:
    """Names of the stations of one kind that a process has."""
    return [one.name for one in model.stations if (one.process, one.kind) == (process, kind)]


@dataclass(frozen=True, kw_only=True)
class SplitOut:
    """Operations run in a process of their own, with its own loop, GIL, pools and threads.

    Attributes:
        operations: Those of the service that moves.
        process: Where they run now.
        name: Of the new process.
    """

    operations: tuple[str, ...]
    process: str
    name: str
    crossing_seconds: float = CROSSING_SECONDS
    effort: Effort = "placement"
    needs: tuple[str, ...] = ("arguments and results of its operations can be sent",)
    workers: int = 1

    @property
    def title(self) -> str:
        """What is done."""
        return f"run `{self.name}` in workers of its own"

    def applied(self, model: Model) -> Model:
        """The system with one more process."""
        theirs = [one.name for one in model.stations if one.process == self.process]
        split = divided(model, theirs, self.operations, self.name)
        more = _crossing_calls(model, self.operations) * self.crossing_seconds
        for one in model.stations:
            if one.name in theirs and one.kind in ("loop", "gil"):
                split = added(added(split, one.name, more), f"{one.name} {self.name}", more)
        for one in model.stations:
            if one.kind == "cpu" and any(other.machine == one.machine for other in model.stations):
                split = added(split, one.name, 2 * more)
                break
        stations = tuple(
            replace(one, process=self.name) if one.name.endswith(f" {self.name}") else one
            for one in split.stations
        )
        return replace(split, stations=stations)


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Two processes become one: fewer calls between them, and one loop for both.

    Attributes:
        process: Goes.
        into: Stays.
        operations: Those called across until now.
    """

    process: str
    into: str
    operations: tuple[str, ...] = ()
    crossing_seconds: float = CROSSING_SECONDS
    effort: Effort = "placement"
    needs: tuple[str, ...] = ()
    workers: int = -1

    @property
    def title(self) -> str:
        """What is done."""
        return f"run `{self.process}` within the workers of `{self.into}`"

    def applied(self, model: Model) -> Model:
        """The system with one process less."""
        stations = tuple(
            replace(one, process=self.into) if one.process == self.process else one
            for one in model.stations
        )
        merged = replace(model, stations=stations)
        less = -2 * _crossing_calls(model, self.operations) * self.crossing_seconds
        for kind in ("loop", "gil"):
            gone = _of(model, self.process, kind)
            stays = _of(model, self.into, kind)
            if gone and stays:
                merged = added(joined(merged, gone[0], stays[0]), stays[0], less)
        return replace(merged, seconds=np.maximum(merged.seconds, 0.0))


@dataclass(frozen=True, kw_only=True)
class OwnDatabase:
    """The tables of some operations move to a database of their own.

    Attributes:
        operations: Of the owner.
        stations: Of the shared database: its pool, its write lock, its cores.
        name: Of the owner.
    """

    operations: tuple[str, ...]
    stations: tuple[str, ...]
    name: str
    effort: Effort = "data"
    needs: tuple[str, ...] = ("no statement joins its tables with those of others",)
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"give `{self.name}` a database of its own"

    def applied(self, model: Model) -> Model:
        """The system with one more database."""
        return divided(model, self.stations, self.operations, self.name)
