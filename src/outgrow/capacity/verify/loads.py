"""How full each limit was: shares in use, waits for others within left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.signs.adding import own_load, stations_of
from outgrow.capacity.stations import CPU_PREFIX

if TYPE_CHECKING:
    from outgrow.capacity.evidence import Evidence


def loads_of(evidence: Evidence) -> dict[str, tuple[str, float]]:
    """Kind and mean share in use of each station and of each machine's cores."""
    windows = evidence.windows()
    seconds = sum(window.seconds for window in windows)
    found = {one.name: (one.kind, own_load(one, seconds)) for one in stations_of(windows).values()}
    used: dict[str, float] = {}
    for one in (one for window in windows for one in window.processes):
        used[one.machine] = used.get(one.machine, 0.0) + one.cpu_seconds
    for machine in evidence.machines:
        if machine.name in used and seconds:
            share = used[machine.name] / (seconds * machine.cores)
            found[CPU_PREFIX + machine.name] = ("cpu", share)
    return {name: (str(kind), load) for name, (kind, load) in found.items()}
