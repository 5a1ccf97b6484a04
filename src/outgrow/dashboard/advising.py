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
        sizes: Likewise: `GROUP=N`, or `GROUP=MIN:MAX`.
        by: Who does it: `outgrow apply`, people, or the supervisor unasked.
    """

    how: str
    by: Literal["apply", "hand", "itself"] = "hand"
    moves: tuple[str, ...] = ()
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
        """Whether it can be done here at all: only a service that has a home can be moved."""
        from outgrow.capacity import SplitOut

        return not isinstance(pattern, SplitOut) or self._service(pattern.name) is not None

    def of(self, pattern: Pattern) -> Advice:
        """How one is carried out, those before it being done."""
        from outgrow.capacity import BiggerMachine, BiggerPool, Replicate, SplitOut

        if isinstance(pattern, Replicate):
            return self._replicated(pattern)
        if isinstance(pattern, SplitOut):
            return self._split(pattern)
        if isinstance(pattern, BiggerPool):
            return Advice(slots_in_words(pattern.station, pattern.capacity))
        if isinstance(pattern, BiggerMachine):
            return Advice(f"run it on a machine with {pattern.cores} cores")
        return Advice(pattern.title)

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
