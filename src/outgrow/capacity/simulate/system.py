"""What can be simulated: machines, processes, stations, and what each operation does step by step.

All times are seconds of virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.capacity.evidence import Kind


@dataclass(frozen=True, kw_only=True)
class Span:
    """A random time, gamma distributed.

    Attributes:
        cv: Its coefficient of variation: 0 for always the same, 1 for exponential.
    """

    mean_seconds: float
    cv: float = 1.0


@dataclass(frozen=True)
class Run:
    """Python on the event loop: takes the loop, the GIL and a core."""

    span: Span


@dataclass(frozen=True)
class Block:
    """A blocking call on the event loop: takes the loop, and no core."""

    span: Span


@dataclass(frozen=True)
class Rest:
    """Waits for something that has no limit."""

    span: Span


@dataclass(frozen=True)
class Compute:
    """Takes a core away from the loop: in a thread, or in another process.

    Attributes:
        process: Whose CPU time it is; empty for that of the operation.
        is_python: It takes that process's GIL as well.
    """

    span: Span
    process: str = ""
    is_python: bool = False


@dataclass(frozen=True)
class Serve:
    """Takes one slot of a station for a time."""

    station: str
    span: Span


@dataclass(frozen=True)
class Hold:
    """Takes one slot of a station while other steps are done."""

    station: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Call:
    """Calls another operation so many times, one after another."""

    operation: str
    times: int = 1


@dataclass(frozen=True)
class Perhaps:
    """Does steps with a probability."""

    ratio: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Later:
    """Enqueues an operation as a job, which nobody waits for.

    Attributes:
        station: The queue whose slots run it.
    """

    operation: str
    station: str


Step = Run | Block | Rest | Compute | Serve | Hold | Call | Perhaps | Later


@dataclass(frozen=True, kw_only=True)
class Place:
    """A station.

    Attributes:
        process: Each of its workers has one; empty where there is one for all.
        strain_ratio: By how much longer service takes when it is always in use than when it is
            idle: what no evidence from low load can show.
        queue_max: More are turned away; None for no limit.
    """

    name: str
    kind: Kind
    capacity: int = 1
    process: str = ""
    strain_ratio: float = 0.0
    queue_max: int | None = None


@dataclass(frozen=True, kw_only=True)
class Process:
    """Workers that are alike; a loop and a GIL come with each where it is Python.

    Attributes:
        idle_ratio: CPU that a worker takes without any traffic, of one core.
    """

    name: str
    machine: str = "host"
    workers: int = 1
    is_python: bool = True
    idle_ratio: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Computer:
    """A machine; `slowdown_ratio` is by the number of busy cores, from 1 on."""

    name: str = "host"
    cores: int = 2
    slowdown_ratio: tuple[float, ...] = (1.0, 1.0)
    strain_ratio: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How calls of the classes come.

    Attributes:
        mix: Share of each class.
        burst_ratio: The rate goes up and down by this share; 0 for Poisson.
        burst_seconds: Mean stay in the upper or the lower state.
        clients: Where positive, so many clients ask, think, and ask again, whatever the rate.
        think_seconds: Of those.
        attempts_max: Calls that are turned away are tried so often.
        backoff_seconds: Before each further attempt.
    """

    mix: Mapping[str, float]
    burst_ratio: float = 0.0
    burst_seconds: float = 1.0
    clients: int = 0
    think_seconds: float = 1.0
    attempts_max: int = 1
    backoff_seconds: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Task:
    """An operation: in which process it runs, and what it does."""

    name: str
    process: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A job that comes by the clock.

    Attributes:
        every_seconds: From one to the next.
    """

    job: Later
    every_seconds: float


@dataclass(frozen=True, kw_only=True)
class System:
    """Everything that is simulated."""

    tasks: tuple[Task, ...]
    traffic: Traffic
    processes: tuple[Process, ...]
    places: tuple[Place, ...] = ()
    computers: tuple[Computer, ...] = field(default_factory=lambda: (Computer(),))
    loop_strain_ratio: float = 0.0
    schedule: tuple[Tick, ...] = ()
