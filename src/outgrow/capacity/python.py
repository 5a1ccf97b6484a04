"""How much of what threads compute is Python, and holds the GIL, rather than native code.

Native code (numpy, compression, TLS) lets the GIL go. Nobody counts that; but a step on the loop
waits for the GIL as often as threads hold it, and is longer than its CPU time by so much. From that
wait follows a posterior over the share that is Python, from which each draw takes one.

Source:
    What is waited for is the rest of a turn under way, as often as there is one: L. Kleinrock,
    Queueing Systems I, section 5.2 (the residual life).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.solve import TURN_SECONDS
from outgrow.capacity.sums import CPU, HOLD, LOOP, RUN_QUEUE, SERVED

if TYPE_CHECKING:
    from outgrow.capacity.sums import Sums

Floats = NDArray[np.float64]
SHARES = np.linspace(0.0, 1.0, 21)
ALL_PYTHON_RATIO, ALL_NATIVE_RATIO = 0.45, 0.2
"""Believed beforehand; what is between shares the rest equally."""
FORETOLD_DEVIATION = 0.25
"""How far off the foretold wait may be of itself: how native code is cut up is not known."""
_BLOCKS_COUNT = 12


def python_shares(sums: Sums, group: str) -> Floats:
    """How probable each of `SHARES` is, for the threads of a group.

    Where loop or threads were not counted, they are taken to run Python and nothing else.
    """
    names = {one.kind: one.name for one in sums.stations.values() if one.group == group}
    surely = (SHARES == 1.0).astype(float)
    if "loop" not in names or "threads" not in names:
        return surely
    loop, threads = (sums.station[names[kind]] for kind in ("loop", "threads"))
    used = sums.process[group]
    steps, pieces = loop[:, SERVED].sum(), threads[:, SERVED].sum()
    off_loop = (used[:, CPU] - used[:, LOOP]).sum()
    if steps <= 0 or pieces <= 0 or off_loop <= 0 or loop[:, HOLD].sum() <= 0:
        return surely
    load = off_loop / sums.seconds.sum() / sums.processes[group].workers
    step = used[:, LOOP].sum() / steps
    foretold = np.array([_foretold(share, load, off_loop / pieces, step) for share in SHARES])
    # What loops waited for cores is no wait for the GIL: as often as they began a turn.
    turns = steps * (1 + step / TURN_SECONDS)
    others = pieces * (1 + off_loop / pieces / TURN_SECONDS)
    cores = used[:, RUN_QUEUE] * turns / (turns + others)
    waited = loop[:, HOLD] - used[:, LOOP] - cores
    seen, chance = _ratio(waited, loop[:, SERVED])
    deviation = np.sqrt(chance**2 + (FORETOLD_DEVIATION * foretold) ** 2 + (0.02 * step) ** 2)
    inner = (1 - ALL_PYTHON_RATIO - ALL_NATIVE_RATIO) / (len(SHARES) - 2)
    prior = np.full(len(SHARES), inner)
    prior[0], prior[-1] = ALL_NATIVE_RATIO, ALL_PYTHON_RATIO
    # More than all Python could cause is caused by something else as well.
    off = np.minimum(seen, foretold[-1]) - foretold
    logs = np.log(prior) - 0.5 * (off / deviation) ** 2 - np.log(deviation)
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def _foretold(share: float, load: float, piece_seconds: float, step_seconds: float) -> float:
    """Wait of a step on the loop for the GIL, where threads hold it for such a share."""
    busy, piece = share * load, share * piece_seconds
    turn = piece / (1 + piece / TURN_SECONDS)
    return busy / max(1 - busy, 0.05) * turn * (1 + step_seconds / TURN_SECONDS)


def _ratio(totals: Floats, counts: Floats) -> tuple[float, float]:
    """Mean of all and its standard deviation, by how blocks of windows differ."""
    mean = float(totals.sum() / counts.sum())
    blocks = min(_BLOCKS_COUNT, len(totals))
    left = np.array([part.sum() for part in np.array_split(totals - mean * counts, blocks)])
    return mean, float(np.sqrt(np.sum(left**2)) / counts.sum())


def drawn_shares(probability: Floats, draws: int, random: np.random.Generator | None) -> Floats:
    """A share for each draw; without chance, the one in the middle."""
    if random is None:
        middle = int(np.searchsorted(np.cumsum(probability), 0.5))
        return np.full(draws, SHARES[min(middle, len(SHARES) - 1)])
    return random.choice(SHARES, draws, p=probability)


def most(probability: Floats) -> float:
    """The share that 95 of 100 are below."""
    place = int(np.searchsorted(np.cumsum(probability), 0.95))
    return float(SHARES[min(place, len(SHARES) - 1)])
