"""Patterns carried out in a simulated system, by changing what is simulated and not the model.

What a pattern of the model can only assume is real here: calls between processes cost CPU time on
both sides, a batch spends a part of its time on each row, a cache finds what its keys allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from outgrow.capacity import (
    Batch,
    BiggerMachine,
    BiggerPool,
    Cache,
    CallOnce,
    MakeAsynchronous,
    Merge,
    OwnDatabase,
    Pattern,
    Replicate,
    ShorterHolds,
    SplitOut,
)
from outgrow.capacity.simulate import (
    Block,
    Call,
    Compute,
    Hold,
    Perhaps,
    Process,
    Rest,
    Run,
    Serve,
    Span,
    System,
    Task,
)
from outgrow.capacity.simulate.system import Step

CROSSING = Run(Span(mean_seconds=60e-6, cv=0.5))
"""What a call between processes costs, on either side."""
Steps = tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Nature:
    """What nobody measures and only carrying a pattern out shows.

    Attributes:
        row_ratio: Share of one of many calls that is spent on its row.
        hit_ratio: Share of calls that a cache answers, where keys were seen.
    """

    row_ratio: float = 0.2
    hit_ratio: float = 0.0


def carried_out(system: System, pattern: Pattern, nature: Nature) -> System:
    """The system after a change."""
    match pattern:
        case Replicate(process=name, replicas=count):
            return _processes(system, name, workers=count)
        case BiggerPool(station=name, capacity=count):
            return _places(system, name, capacity=count)
        case BiggerMachine(station=name, cores=count):
            return _cores(system, name.removeprefix("cpu "), count)
        case SplitOut(operations=names, process=process, name=name):
            return _moved(_crossed(system, names), names, process, name)
        case MakeAsynchronous(operations=names, process=process, name=name):
            # How much is done does not depend on who waits for it.
            return _moved(system, names, process, name)
        case Merge(process=gone, into=into):
            return _merged(system, gone, into)
        case OwnDatabase(operations=names, stations=stations, name=name):
            return _owned(system, names, stations, name)
        case Batch(station=station, operation=name):
            return _tasks(system, (name,), lambda s: _batched(s, station, nature.row_ratio))
        case CallOnce(caller=caller, callee=callee, calls=calls):
            return _called_once(system, caller, callee, round(calls), nature.row_ratio)
        case Cache(operation=name, station=station):
            hits = nature.hit_ratio if pattern.entries else pattern.hit_ratio
            return _tasks(system, (name,), lambda steps: _cached(steps, station, hits))
        case ShorterHolds(station=station, keep_ratio=keep):
            every = tuple(task.name for task in system.tasks)
            return _tasks(system, every, lambda steps: _shorter(steps, station, keep))
        case _:
            raise TypeError(pattern)


def _processes(system: System, name: str, **change: int) -> System:
    made = tuple(
        replace(one, **change) if one.name == name else one  # pyright: ignore[reportArgumentType]
        for one in system.processes
    )
    return replace(system, processes=made)


def _places(system: System, name: str, **change: int) -> System:
    made = tuple(
        replace(one, **change) if one.name == name else one  # pyright: ignore[reportArgumentType]
        for one in system.places
    )
    return replace(system, places=made)


def _cores(system: System, name: str, count: int) -> System:
    made = tuple(
        replace(
            one,
            cores=count,
            slowdown_ratio=one.slowdown_ratio + one.slowdown_ratio[-1:] * (count - one.cores),
        )
        if one.name == name
        else one
        for one in system.computers
    )
    return replace(system, computers=made)


def _tasks(system: System, names: Sequence[str], change: Callable[[Steps], Steps]) -> System:
    made = tuple(
        replace(one, steps=change(one.steps)) if one.name in names else one for one in system.tasks
    )
    return replace(system, tasks=made)


def _each(steps: Steps, change: Callable[[Step], Steps]) -> Steps:
    """Change each step, the outer ones after those within."""
    found: list[Step] = []
    for step in steps:
        inner = step
        if isinstance(step, Hold | Perhaps):
            inner = replace(step, steps=_each(step.steps, change))
        found += change(inner)
    return tuple(found)


def _scaled(steps: Steps, times: float) -> Steps:
    """The same steps, so many times as long."""

    def change(step: Step) -> Steps:
        if isinstance(step, Run | Block | Rest | Compute | Serve):
            span = replace(step.span, mean_seconds=step.span.mean_seconds * times)
            return (replace(step, span=span),)
        return (step,)

    return _each(steps, change)


def _crossed(system: System, names: Sequence[str]) -> System:
    """Calls of these operations cross from process to process."""

    def change(step: Step) -> Steps:
        if isinstance(step, Call) and step.operation in names:
            return tuple(one for _ in range(step.times) for one in (CROSSING, Call(step.operation)))
        return (step,)

    others = [task.name for task in system.tasks if task.name not in names]
    called = _tasks(system, others, lambda steps: _each(steps, change))
    return _tasks(called, names, lambda steps: (CROSSING, *steps))


def _renamed(steps: Steps, names: dict[str, str]) -> Steps:
    def change(step: Step) -> Steps:
        if isinstance(step, Hold | Serve):
            return (replace(step, station=names.get(step.station, step.station)),)
        return (step,)

    return _each(steps, change)


def _moved(system: System, names: Sequence[str], process: str, to: str) -> System:
    theirs = [one for one in system.places if one.process == process]
    new = {one.name: f"{one.name} {to}" for one in theirs}
    old = next(one for one in system.processes if one.name == process)
    moved = _tasks(system, names, lambda steps: _renamed(steps, new))
    return replace(
        moved,
        tasks=tuple(replace(one, process=to) if one.name in names else one for one in moved.tasks),
        processes=(*system.processes, Process(name=to, machine=old.machine)),
        places=(
            *system.places,
            *(replace(one, name=new[one.name], process=to) for one in theirs),
        ),
    )


def _merged(system: System, gone: str, into: str) -> System:
    def change(step: Step) -> Steps:
        return () if step == CROSSING else (step,)

    def home(one: str) -> str:
        return into if one == gone else one

    every = [task.name for task in system.tasks]
    near = _tasks(system, every, lambda steps: _each(steps, change))
    return replace(
        near,
        tasks=tuple(replace(one, process=home(one.process)) for one in near.tasks),
        processes=tuple(one for one in system.processes if one.name != gone),
        places=tuple(replace(one, process=home(one.process)) for one in system.places),
    )


def _owned(system: System, names: Sequence[str], stations: Sequence[str], owner: str) -> System:
    new = {name: f"{name} {owner}" for name in stations}
    copies = tuple(
        replace(one, name=new[one.name]) for one in system.places if one.name in stations
    )
    owned = _tasks(system, names, lambda steps: _renamed(steps, new))
    return replace(owned, places=(*system.places, *copies))


def _batched(steps: Steps, station: str, row_ratio: float) -> Steps:
    """All holds of a station become the first, which takes a part of the time of each."""
    holds = [one for one in steps if isinstance(one, Hold) and one.station == station]
    times = 1 - row_ratio + row_ratio * len(holds)
    whole = replace(holds[0], steps=_scaled(holds[0].steps, times))
    first = steps.index(holds[0])
    rest = tuple(one for one in steps[first:] if one not in holds)
    return (*steps[:first], whole, *rest)


def _called_once(system: System, caller: str, callee: str, calls: int, row_ratio: float) -> System:
    together = f"{callee} of many"

    def change(step: Step) -> Steps:
        is_it = isinstance(step, Call) and step.operation == callee
        return (Call(together),) if is_it else (step,)

    one = next(task for task in system.tasks if task.name == callee)
    times = 1 - row_ratio + row_ratio * calls
    sister = Task(name=together, process=one.process, steps=_scaled(one.steps, times))
    changed = _tasks(system, (caller,), lambda steps: _each(steps, change))
    return replace(changed, tasks=(*changed.tasks, sister))


def _cached(steps: Steps, station: str, hit_ratio: float) -> Steps:
    if not station:
        return (Perhaps(1 - hit_ratio, steps),)

    def change(step: Step) -> Steps:
        is_it = isinstance(step, Hold | Serve) and step.station == station
        return (Perhaps(1 - hit_ratio, (step,)),) if is_it else (step,)

    return _each(steps, change)


def _shorter(steps: Steps, station: str, keep_ratio: float) -> Steps:
    def change(step: Step) -> Steps:
        if isinstance(step, Hold) and step.station == station:
            return (replace(step, steps=_scaled(step.steps, keep_ratio)),)
        if isinstance(step, Serve) and step.station == station:
            return _scaled((step,), keep_ratio)
        return (step,)

    return _each(steps, change)
