"""Patterns that move operations: to a process of their own, back, or to a database of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.patterns.surgery import added, divided, joined, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.pattern import Effort

CROSSING_SECONDS = 60e-6
"""CPU time that a call between processes takes, on either side ..."""
CROSSING_RANGE = (25 / 60, 100 / 60)
"""... and what was measured, 25 to 100 us, over that."""


def _crossing_calls(model: Model, across: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
    """Calls between two processes that one call of each class leads to; [classes].

    Args:
        model: With the classes.
        across: Operations, each with the share of its calls that cross.
    """
    return np.array(
        [sum(one.visits.get(name, 0.0) * share for name, share in across) for one in model.classes]
    )


def _crossing(model: Model, best_seconds: float) -> NDArray[np.float64]:
    """CPU time of a crossing in each draw, on either side; [draws, 1]."""
    low, high = (ratio * best_seconds for ratio in CROSSING_RANGE)
    return spread(model.draws, best_seconds, low, high)


def _named(model: Model, process: str, kind: str) -> str:
    """The station of one kind that a process has; empty where it has none."""
    return next(
        (one.name for one in model.stations if (one.process, one.kind) == (process, kind)), ""
    )


def _cores_of(model: Model, process: str) -> str:
    """The cores that a process runs on; empty where that is not known."""
    machine = next((one.machine for one in model.stations if one.process == process), "")
    return next(
        (one.name for one in model.stations if one.kind == "cpu" and one.machine == machine), ""
    )


def _charged(model: Model, names: Sequence[str], seconds: NDArray[np.float64]) -> Model:
    """The model with so much more on each of some stations, or less."""
    for name in names:
        if name:
            model = added(model, name, seconds)
    return model


@dataclass(frozen=True, kw_only=True)
class SplitOut:
    """Operations run in a process of their own, with its own loop, GIL, pools and threads.

    Attributes:
        operations: Those of the service that moves.
        process: Where they run now.
        name: Of the new process.
        workers: That it has.
    """

    operations: tuple[str, ...]
    process: str
    name: str
    crossing_seconds: float = CROSSING_SECONDS
    effort: Effort = "placement"
    needs: tuple[str, ...] = ("arguments and results of its operations can be sent",)
    assumes: str = ""
    workers: int = 1

    @property
    def title(self) -> str:
        """What is done."""
        return f"run `{self.name}` in workers of its own"

    def applied(self, model: Model) -> Model:
        """The system with one more process."""
        theirs = [one.name for one in model.stations if one.process == self.process]
        split = divided(model, theirs, self.operations, self.name)
        calls = _crossing_calls(model, [(name, 1.0) for name in self.operations])
        more = calls * _crossing(model, self.crossing_seconds)
        for kind in ("loop", "gil"):
            name = _named(model, self.process, kind)
            split = _charged(split, [name, name and f"{name} {self.name}"], more)
        split = _charged(split, [_cores_of(model, self.process)], 2 * more)
        new = {f"{name} {self.name}" for name in theirs}
        stations = tuple(
            replace(one, process=self.name, replicas=self.workers) if one.name in new else one
            for one in split.stations
        )
        return replace(split, stations=stations)


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Two processes become one: no calls between them, and one loop for both.

    Attributes:
        process: Goes, with its workers.
        into: Stays.
        across: Operations that are called across, each with the share of its calls that cross.
        before: Workers that go.
    """

    process: str
    into: str
    across: tuple[tuple[str, float], ...] = ()
    before: int = 1
    crossing_seconds: float = CROSSING_SECONDS
    effort: Effort = "placement"
    needs: tuple[str, ...] = ()
    assumes: str = ""

    @property
    def title(self) -> str:
        """What is done."""
        return f"run what `{self.process}` runs within the workers of `{self.into}`"

    @property
    def workers(self) -> int:
        """Added: none; those of the process go."""
        return -self.before

    def applied(self, model: Model) -> Model:
        """The system with one process less."""
        loop = _named(model, self.into, "loop")
        replicas = next((one.replicas for one in model.stations if one.name == loop), 1)
        cores = _cores_of(model, self.process)
        merged = replace(
            model,
            stations=tuple(
                replace(one, process=self.into, replicas=replicas)
                if one.process == self.process
                else one
                for one in model.stations
            ),
        )
        less = -_crossing_calls(model, self.across) * _crossing(model, self.crossing_seconds)
        for kind in ("loop", "gil"):
            gone, stays = _named(model, self.process, kind), _named(model, self.into, kind)
            if gone and stays:
                merged = _charged(joined(merged, gone, stays), [stays], 2 * less)
        return _charged(merged, [cores], 2 * less)


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
    assumes: str = ""
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"give `{self.name}` a database of its own"

    def applied(self, model: Model) -> Model:
        """The system with one more database."""
        return divided(model, self.stations, self.operations, self.name)
