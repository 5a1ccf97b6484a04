"""What a forecast does not know: where time passes that no station explains, and what it never saw.

A limit that nobody measured cannot be foretold. But where it may hide can be said: in the part of
the time of calls that passes at no station, or within holds of one that are neither work nor waits
for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from outgrow.capacity.model import Model

WORTH_RATIO = 0.05
"""Of the time of calls: less is not told."""
HOLDERS = ("pool", "threads", "lock", "bulkhead", "queue", "downstream")


def unknown_parts(model: Model) -> dict[str, float]:
    """Where the time of calls passes unexplained, and which share of all of it does.

    Keys are names of stations within whose holds it does, and those of classes, for time that
    passes at no station at all; only what is worth telling.
    """
    mix = model.mix[0]
    times = mix * np.array([one.mean_seconds for one in model.classes])
    whole = float(times.sum())
    if whole <= 0:
        return {}
    found: dict[str, float] = {}
    uses = np.maximum(model.uses[0], 1e-12)
    for place, station in enumerate(model.stations):
        if station.kind in HOLDERS:
            mine = float((model.seconds[0, place] * mix).sum())
            within = float(model.inner_seconds[0, place].sum() * (uses[place] * mix).sum())
            awaited = model.awaited.get(station.name)
            share = 1.0 if awaited is None else float(awaited @ mix / max(mix.sum(), 1e-300))
            found[station.name] = max(mine - within, 0.0) * share / whole
    own = model.awaited_uses()[0] / uses
    known = (model.seconds[0] * own).sum(axis=0) * mix
    for one, spent, seen in zip(model.classes, times, known, strict=True):
        found[one.name] = max(float(spent - seen), 0.0) / whole
    return {name: ratio for name, ratio in found.items() if ratio >= WORTH_RATIO}
