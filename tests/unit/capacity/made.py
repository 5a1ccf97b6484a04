"""Evidence made by hand, for tests that need to know every number."""

from __future__ import annotations

from outgrow.capacity import (
    LinkWindow,
    Machine,
    OperationWindow,
    ProcessWindow,
    Recorded,
    StationWindow,
    Window,
)
from outgrow.telemetry import bucket_of

SECONDS = 10.0


def buckets(seconds: float, count: int) -> dict[int, int]:
    return {bucket_of(int(seconds * 1e9)): count}


def window(
    number: int,
    calls: int = 100,
    *,
    loop_seconds: float = 0.004,
    duration_seconds: float = 0.02,
    **more: object,
) -> Window:
    """Ten seconds of `GET /`, each call so long on the loop of `web`."""
    busy = calls * loop_seconds
    made = Window(
        at_seconds=1_700_000_000 + number * SECONDS,
        seconds=SECONDS,
        operations=(
            OperationWindow(
                name="GET /",
                calls=calls,
                duration_seconds=calls * duration_seconds,
                buckets=buckets(duration_seconds, calls),
                metered=calls,
                loop_seconds=busy,
            ),
        ),
        stations=(
            StationWindow(
                name="loop web",
                kind="loop",
                group="web",
                served=calls,
                busy_seconds=busy,
                hold_seconds=busy,
                hold_squared_s2=2 * calls * loop_seconds**2,
                by_operation={"GET /": calls},
            ),
        ),
        processes=(
            ProcessWindow(
                group="web", machine="host", cpu_seconds=busy, loop_cpu_seconds=busy, workers=1
            ),
        ),
    )
    return replaced(made, more)


def replaced(made: Window, more: dict[str, object]) -> Window:
    from dataclasses import replace

    return replace(made, **more)  # pyright: ignore[reportArgumentType]


def evidence(*windows: Window, cores: int = 4) -> Recorded:
    machine = Machine(name="host", cores=cores, slowdown_ratio=(1.0,) * cores)
    return Recorded(recorded=windows, machines=(machine,))


def steady(count: int = 24, **more: object) -> Recorded:
    """Windows that differ a little, as they do."""
    return evidence(*(window(n, 90 + (n * 7) % 21, **more) for n in range(count)))  # pyright: ignore


def link(caller: str, callee: str, **more: object) -> LinkWindow:
    return LinkWindow(caller=caller, callee=callee, **more)  # pyright: ignore[reportArgumentType]
