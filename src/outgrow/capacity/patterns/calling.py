"""Patterns that call less, later, or many at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.patterns.surgery import divided, eased, lightened, part_of, spread

if TYPE_CHECKING:
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.pattern import Effort
    from outgrow.capacity.patterns.traits import Within

ROW_RATIO, ROW_RATIO_LOW, ROW_RATIO_HIGH = 0.2, 0.05, 0.5
"""Share of one of many calls that is spent on its row, and stays: seldom measured, so drawn."""


@dataclass(frozen=True, kw_only=True)
class MakeAsynchronous:
    """Operations run later, as jobs in a worker of their own: callers wait for an outbox row alone.

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
    needs: tuple[str, ...] = ("no caller uses its result at once, which only you know",)
    assumes: str = ""
    workers: int = 1

    @property
    def title(self) -> str:
        """What is done."""
        return f"run {', '.join(f'`{one}`' for one in self.operations)} as jobs"

    def applied(self, model: Model) -> Model:
        """The system in which nobody waits for them."""
        theirs = [one.name for one in model.stations if one.process == self.process]
        later = divided(model, theirs, self.operations, self.name)
        new = {f"{name} {self.name}" for name in theirs}
        awaited = {
            one.name: model.awaited.get(one.name, 1.0)
            * (1 - part_of(model, one.name, self.operations))
            for one in model.stations
        }
        classes = tuple(
            replace(one, mean_seconds=one.mean_seconds * (1 - self._time_share(model, place)))
            for place, one in enumerate(model.classes)
        )
        return replace(
            later,
            classes=classes,
            awaited={**awaited, **{name: np.zeros(len(classes)) for name in new}},
            stations=tuple(
                replace(one, process=self.name, replicas=self.workers) if one.name in new else one
                for one in later.stations
            ),
        )

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
        share: Of what the operation asks of the station, that these statements are.
        statement: Its text; empty where it is not known.
        row_ratio: Share of a statement's time that is spent on the row itself, and stays.
    """

    station: str
    operation: str
    calls: float
    share: float = 1.0
    statement: str = ""
    row_ratio: float = ROW_RATIO
    effort: Effort = "code"
    needs: tuple[str, ...] = ("the rows are known before the first is asked for",)
    assumes: str = ""
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        asked = f"for `{self.statement[:60]}` " if self.statement else ""
        return f"let `{self.operation}` ask {asked}once instead of {self.calls:.0f} times"

    def applied(self, model: Model) -> Model:
        """The system that asks once."""
        mine = part_of(model, self.station, (self.operation,)) * self.share
        once = 1 - 1 / max(self.calls, 1.0)
        rows = spread(model.draws, self.row_ratio, ROW_RATIO_LOW, ROW_RATIO_HIGH)
        # Where one use holds all of the statements, it is shorter and not rarer.
        each = model.operation_uses.get(self.station, {}).get(self.operation, 0.0)
        fewer = mine * once if each >= self.calls else np.zeros_like(mine)
        return eased(model, self.station, 1 - fewer, seconds_keep=1 - mine * once * (1 - rows))


@dataclass(frozen=True, kw_only=True)
class CallOnce:
    """One call of another operation instead of many, with all that each of them does.

    Attributes:
        caller: Calls again and again.
        callee: Is called.
        calls: In one run of the caller, now.
        within: What these calls lead to, the callee among it.
        row_ratio: Share of a call that is spent on what it is asked for, and stays.
    """

    caller: str
    callee: str
    calls: float
    within: Within
    row_ratio: float = ROW_RATIO
    effort: Effort = "code"
    needs: tuple[str, ...] = ("what is asked for is known before the first call",)
    assumes: str = ""
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        return f"let `{self.caller}` call `{self.callee}` once instead of {self.calls:.0f} times"

    def applied(self, model: Model) -> Model:
        """The system that calls once."""
        rows = spread(model.draws, self.row_ratio, ROW_RATIO_LOW, ROW_RATIO_HIGH)
        less = (1 - 1 / max(self.calls, 1.0)) * (1 - rows)
        return lightened(model, {name: share * less for name, share in self.within})


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Answers are kept and given again.

    Attributes:
        operation: Whose answers are kept.
        hit_ratio: Share of calls that find one.
        within: All that an answer takes, which a hit spares; the operation among it.
        station: Where only what is asked of one station is kept; empty for whole answers.
        entries: That are kept, where keys were seen; 0 where the hit rate was not measured and is
            what it would have to be.
    """

    operation: str
    hit_ratio: float
    within: Within = ()
    station: str = ""
    entries: int = 0
    effort: Effort = "code"
    needs: tuple[str, ...] = ("an answer may be as old as the cache keeps it",)
    workers: int = 0

    @property
    def title(self) -> str:
        """What is done."""
        what = f"what `{self.operation}` asks of `{self.station}`" if self.station else ""
        kept = f"the last {self.entries:,} " if self.entries else ""
        return f"keep {what or f'{kept}answers of `{self.operation}`'}"

    @property
    def assumes(self) -> str:
        """The hit rate that it takes, where none was measured."""
        if self.entries:
            return ""
        return f"{100 * self.hit_ratio:.0f} of 100 calls find an answer (hit rate not measured)"

    def applied(self, model: Model) -> Model:
        """The system in which so many calls find an answer kept."""
        if self.station:
            mine = part_of(model, self.station, (self.operation,))
            return eased(model, self.station, 1 - mine * self.hit_ratio)
        within = self.within or ((self.operation, 1.0),)
        return lightened(model, {name: share * self.hit_ratio for name, share in within})
