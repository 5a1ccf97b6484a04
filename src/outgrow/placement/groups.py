"""The groups of a plan while they run, and what it takes to go from one plan to another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.errors import RefusedError
from outgrow.placement.scale import Scaler
from outgrow.placement.unchanged import reasons_to_restart

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Sequence

    from outgrow.placement.crew import Load, Worker
    from outgrow.placement.plan import Group, Plan

SCALE_SECONDS = 1.0


@dataclass(eq=False)
class Deployment:
    """A version of the app, placed by a plan: what serves, or is about to.

    Attributes:
        load: The version.
        plan: Who runs what; of all services once the app is imported.
        is_applied: The plan is of another version, which may have had services that are gone.
    """

    load: Load
    plan: Plan
    is_applied: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RefusedError: The services of a queue would run in several groups.
        """
        queues = self.load.loaded.shared_queues if self.load.loaded is not None else {}
        for queue, services in queues.items():
            groups = [one for one in self.plan.groups if {*services} & {*one.runs}]
            if len(groups) > 1:
                names = " and ".join(f"`{one.name}`" for one in groups)
                raise RefusedError(
                    f"the queue `{queue}` holds jobs of {', '.join(services)}, which would run in "
                    f"the groups {names}: each would be given jobs of the other",
                    hint="Run them in one group, or give some another queue: `@job(queue=...)`",
                )

    def complete(self, services: Iterable[str]) -> None:
        """Have the plan name all services of the app.

        Raises:
            RefusedError: It names one that the app does not have, or cannot work.
        """
        self.plan = self.plan.completed(services, drops_others=self.is_applied)
        self.__post_init__()

    def take_over_from(self, before: Deployment | None) -> list[str]:
        """Take over the workers of groups that a new version has not changed; says which, and why.

        Args:
            before: What serves.
        """
        load = self.load
        if before is None or before.load is load or not self.plan.is_split or load.restarts_all:
            return []
        lines: list[str] = []
        for name, reason in reasons_to_restart(before, self).items():
            if not reason:
                load.kept[name] = before.load.kept.get(name, frozenset[int]()) | {
                    before.load.version
                }
            what = f"is started anew: {reason}" if reason else "is left alone: nothing has changed"
            lines.append(f"version {load.version}: group `{name}` {what}")
        return lines

    def keeps(self, group: Group, other: Deployment) -> bool:
        """Whether the workers of a group are those of another deployment."""
        there = other.plan.group(group.name)
        is_same = there is not None and there.runs == group.runs
        return is_same and self.load.accepts(group.name, other.load)

    def fits(self, worker: Worker) -> bool:
        """Whether a worker is what this needs."""
        if not worker.serves(self.load):
            return False
        group = self.plan.group(worker.group)
        return group is not None and group.runs == worker.runs

    def members(self, workers: Iterable[Worker], group: Group) -> list[Worker]:
        """The workers of a group that fit and stay."""
        return [
            worker
            for worker in workers
            if worker.group == group.name and not worker.drain_at and self.fits(worker)
        ]


@dataclass(eq=False)
class Change:
    """A change of version or plan under way.

    Attributes:
        target: What is to come.
        done: Set once it serves; or the error why it never will.
    """

    target: Deployment
    done: asyncio.Future[None]


@dataclass(eq=False)
class Size:
    """How many workers a group has, and how that changes.

    Attributes:
        scaler: Decides.
        wanted: How many should serve.
    """

    scaler: Scaler
    wanted: int
    _looked_at: float = field(default=0.0)

    @classmethod
    def of(cls, group: Group) -> Size:
        """The least that a group may have."""
        return cls(Scaler(group.replicas, group.busy_percent), group.replicas.min)

    def names(self, group: Group) -> list[str]:
        """What its workers are called."""
        return [f"{group.name}/{number}" for number in range(1, self.wanted + 1)]

    def take(self, group: Group) -> None:
        """Keep to other bounds from now on."""
        if (group.replicas, group.busy_percent) != (self.scaler.replicas, self.scaler.busy_percent):
            self.scaler = Scaler(group.replicas, group.busy_percent)
        self.wanted = min(max(self.wanted, group.replicas.min), group.replicas.max)

    def scaled(self, now: float, busy_percents: Sequence[float]) -> int | None:
        """Another number of workers that the load needs; None where none is better."""
        if now - self._looked_at < SCALE_SECONDS:
            return None
        self._looked_at = now
        wanted = self.scaler.wanted(now, self.wanted, busy_percents)
        return wanted if wanted != self.wanted else None


def too_many(ready: Sequence[Worker], wanted: int) -> list[Worker]:
    """The workers of a group that can leave: those with the highest numbers, and worn ones."""
    fresh = [worker for worker in ready if not worker.is_worn]
    worn = [worker for worker in ready if worker.is_worn]
    surplus = sorted(fresh, key=_number)[wanted:]
    return surplus + (worn if len(fresh) >= wanted else [])


def _number(worker: Worker) -> int:
    return int(worker.name.rpartition("/")[2])


def is_called_by_leaving(worker: Worker, workers: Iterable[Worker]) -> bool:
    """Whether edges of a version that leaves may still need what one of its workers runs.

    One with an edge of its own stays for those that were told to leave before, by another plan.
    """
    edges = [each for each in workers if each.has_edge and worker.serves(each.load)]
    if not worker.has_edge:
        return bool(edges)
    return any(each.drain_at and not {*worker.runs} <= {*each.runs} for each in edges)
