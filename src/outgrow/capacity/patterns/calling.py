"""Patterns that call less, later, or many at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.patterns.surgery import divided, eased, part_of

if TYPE_CHECKING:
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.pattern import Effort


@dataclass(frozen=True, kw_only=True)
class MakeAsynchronous:
    """Operations run later, as jobs in workers of their own: callers wait for an outbox row alone.

    Loop, GIL and threads are relieved of them. The database is not: what the jobs ask of it they
    ask later, and as much. That is why a plan must be solved and not guessed.

    Attributes:
        operations: Run later.
        process: Where they ran.
        name: Of the workers that run them.
    """

    operations: tuple[str, ...]
    process: str
    name: str = "jobs"
    effort: Effort = "code"
    needs: tuple[str, ...] = ("no caller uses their results",)
    workers: int = 1

    @property
    def title(self) -> str:
        """What is done."""
        return f"run {', '.join(f'`{one}`' for one in self.operations)} as jobs"

    def applied(self, model: Model) -> Model:
        """The system in which nobody waits for them."""
        theirs = [one.name for one in model.stations if one.process == self.process]
        later = divided(model, theirs, self.operations, self.name)
        classes = tuple(
            replace(one, mean_seconds=one.mean_seconds * (1 - self._time_share(model, place)))
            for place, one in enumerate(model.classes)
        )
        return replace(later, classes=classes)

    def _time_share(self, model: Model, place: int) -> float:
        """Share of the measured time of a class that nobody waits for any more."""
        own = model.own_uses()[0, :, place] / np.maximum(model.uses[0, :, place], 1e-12)
        seconds = model.seconds[0, :, place] * own
        shares = np.array(
            [part_of(model, one.name, self.operations)[place] for one in model.stations]
        )
        measured = model.classes[place].mean_seconds
        return float(np.clip((seconds * shares).sum() / max(measured, 1e-12), 0.0, 0.95))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One statement instead of many: what was asked for row by row is asked for at once.

    Attributes:
        station: Where the statements run: a pool, as a rule.
        operation: Runs them.
        calls: Of them in one run, now.
        row_ratio: Share of a statement's time that is spent on the row itself, and stays.
    """

    station: str
    operation: str
    calls: float
    row_ratio: float = 0.2
    effort: Effort = "code"
    needs: tuple[str, ...] = ("the rows are known before the first is asked for",)
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"let `{self.operation}` ask once instead of {self.calls:.0f} times"

    def applied(self, model: Model) -> Model:
        """The system that asks once."""
        mine = part_of(model, self.station, (self.operation,))
        once = 1 / max(self.calls, 1.0)
        keep = 1 - mine * (1 - once)
        seconds = 1 - mine * (1 - once) * (1 - self.row_ratio)
        return eased(model, self.station, keep, seconds_keep=seconds)


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Answers are kept and given again.

    Attributes:
        station: That need not be asked then.
        operation: Whose answers are kept.
        hit_ratio: Share of calls that find one; see `reuse.hit_ratio`.
    """

    station: str
    operation: str
    hit_ratio: float
    effort: Effort = "code"
    needs: tuple[str, ...] = ("an answer may be as old as the cache keeps it",)
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"keep answers of `{self.operation}`"

    def applied(self, model: Model) -> Model:
        """The system in which so many calls find an answer kept."""
        mine = part_of(model, self.station, (self.operation,))
        return eased(model, self.station, 1 - mine * self.hit_ratio)
