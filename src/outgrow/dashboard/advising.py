"""How a pattern is carried out: by which option of `outgrow apply`, or what to write where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity import Pattern, Replicate, SplitOut
    from outgrow.dashboard.shapes import Group

EDGE = "web"
_SAFE = 32


@dataclass(frozen=True)
class Advice:
    """How a pattern is carried out.

    Attributes:
        how: In words; code between backticks.
        moves: For `outgrow apply`: `SERVICE=GROUP`.
        merges: Likewise: `GROUP=INTO`.
        sizes: Likewise: `GROUP=N`, or `GROUP=MIN:MAX`.
        by: Who does it: `outgrow apply`, people, or the supervisor unasked.
    """

    how: str
    by: Literal["apply", "hand", "itself"] = "hand"
    moves: tuple[str, ...] = ()
    merges: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()


@dataclass
class Adviser:
    """Knows who runs where, and what patterns before have changed of it.

    Attributes:
        groups: As the supervisor has them; none where it is not known.
    """

    groups: Sequence[Group]
    _new: dict[str, str] = field(default_factory=dict[str, str])

    def allows(self, pattern: Pattern) -> bool:
        """Whether it can be done here at all: only what has a home can be moved or merged."""
        from outgrow.capacity import Merge, SplitOut

        if isinstance(pattern, SplitOut):
            return self._service(pattern.name) is not None
        if isinstance(pattern, Merge):
            runs = {group.name: group.runs for group in self.groups}
            return EDGE not in runs.get(pattern.process, [EDGE]) and pattern.into in runs
        return True

    def of(self, pattern: Pattern) -> Advice:
        """How one is carried out, those before it being done."""
        from outgrow.capacity import Merge, Replicate, SplitOut

        if isinstance(pattern, Replicate):
            return self._replicated(pattern)
        if isinstance(pattern, SplitOut):
            return self._split(pattern)
        if isinstance(pattern, Merge):
            merge = f"{pattern.process}={pattern.into}"
            return Advice(f"`outgrow apply --merge {merge}`", "apply", merges=(merge,))
        return Advice(how_in_words(pattern))

    def _replicated(self, pattern: Replicate) -> Advice:
        name, count = self._new.get(pattern.process, pattern.process), pattern.replicas
        group = next((one for one in self.groups if one.name == name), None)
        if group is None and name not in self._new.values():
            return Advice(f"run {count} workers of `{name}`: `outgrow run --workers {count}`")
        size = f"{name}={count}"
        if group is not None and group.replicas_min < group.replicas_max:
            if count <= group.replicas_max:
                return Advice(f"`{name}` grows up to {group.replicas_max} workers", "itself")
            size = f"{name}={group.replicas_min}:{count}"
        return Advice(f"`outgrow apply --workers {size}`", "apply", sizes=(size,))

    def _split(self, pattern: SplitOut) -> Advice:
        service = self._service(pattern.name)
        if service is None:
            return Advice(f"run `{pattern.name}` in workers of its own")
        taken = {group.name for group in self.groups}
        name = service if service not in taken else f"{service[: _SAFE - 8]}-workers"
        self._new[pattern.name] = name
        move = f"{service}={name}"
        return Advice(f"`outgrow apply --move {move}`", "apply", moves=(move,))

    def _service(self, shown: str) -> str | None:
        """The service of a class, by its name in the placement."""
        return next(
            (
                service
                for group in self.groups
                for service in group.runs
                if service != EDGE and service.replace("_", "").lower() == shown.lower()
            ),
            None,
        )


def how_in_words(pattern: Pattern) -> str:
    """What people do to carry a pattern out: one thing, in one sentence."""
    from outgrow import capacity as known

    match pattern:
        case known.BiggerPool(station=station, capacity=count):
            return slots_in_words(station, count)
        case known.BiggerMachine(cores=count):
            return f"run it on a machine with {count} cores"
        case known.MakeAsynchronous(operations=names):
            return (
                f"mark `{names[0]}` as `@job`, have callers `enqueue` it, and run its queue in a"
                " group of its own"
            )
        case known.Batch(operation=name):
            return f"fetch all rows in one statement, or load them together, in `{name}`"
        case known.CallOnce(callee=name):
            return f"give `{name}` a sister that takes a list, and call that"
        case known.Cache(operation=name):
            return f"keep answers of `{name}` in a cache with an age limit, by its arguments"
        case known.OwnDatabase(name=name):
            return f"give `{name}` a `Database` field of its own, and move its tables there"
        case known.AdmissionLimit(in_flight=count):
            return f"set `concurrency_max = {count}` under [run] of outgrow.toml, and start anew"
        case known.ShorterHolds():
            return "compute before it begins, call others outside of it, write many rows at once"
        case _:
            return pattern.title


def slots_in_words(station: str, capacity: int) -> str:
    """Where the number of slots of a station is written."""
    kind, _, name = station.partition(" of ")[0].partition(" ")
    if kind == "bulkhead":
        mark = "@operation" if "." in name else "@service"
        return f"write `{mark}(concurrent_calls_max={capacity})` at `{name}`, and reload"
    if kind == "queue":
        queue, _, limit = name.rpartition(": ")
        return (
            f'write `queue = ["{queue}: {limit}={capacity}"]` in outgrow.toml, beside what else'
            " bounds it, and start anew"
        )
    if station == "threads wsgi":
        return f"set `threads = {capacity}` under [run] of outgrow.toml, and start anew"
    if kind == "threads":
        return f"write `@service(threads_max={capacity})` at `{name}`, and reload"
    if kind in ("pool", "readers"):
        return (
            f"give each worker {capacity} connections to `{name}`: `connections_max` of"
            " `database(...)`, or `pool_size` of your own engine; and reload"
        )
    return f"let {capacity} at once use `{station}`"
