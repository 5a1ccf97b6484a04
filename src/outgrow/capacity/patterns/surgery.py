"""Cuts and joints of a model: what all patterns are made of.

Each returns a new model; what is nested in a station goes with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from outgrow.capacity.model import Model, Station

Floats = NDArray[np.float64]
_GOLDEN_RATIO = 0.6180339887


def resized(model: Model, change: Callable[[Station], Station]) -> Model:
    """The model with other capacities or replicas."""
    return replace(model, stations=tuple(change(one) for one in model.stations))


def spread(draws: int, best: float, low: float, high: float) -> Floats:
    """A number that nobody measured, for each draw: the first has the best guess; [draws, 1].

    The others are spread evenly over the range, in an order that agrees with no other one.
    """
    values = np.asarray((np.arange(draws) * _GOLDEN_RATIO) % 1.0, dtype=np.float64)
    values = np.asarray(low + values * (high - low), dtype=np.float64)
    values[:1] = best
    return values[:, None]


def eased(model: Model, station: str, keep: Floats, *, seconds_keep: Floats | None = None) -> Model:
    """The model where classes use a station less.

    Args:
        model: As it is.
        station: Used less.
        keep: Share of its uses that remains; [classes], or [draws, classes].
        seconds_keep: Share of its seconds that remains; as `keep` if not given.
    """
    gone, gone_seconds = np.zeros_like(model.uses), np.zeros_like(model.seconds)
    place = model.index(station)
    stay = keep if seconds_keep is None else seconds_keep
    gone[:, place] = model.uses[:, place] * (1 - keep)
    gone_seconds[:, place] = model.seconds[:, place] * (1 - stay)
    worth = np.maximum(model.uses[:, place] * (1 - stay), 0.0)
    # From the outermost inwards; what is within goes in proportion to the seconds.
    carried = np.zeros_like(gone)
    carried[:, place] = worth
    for outer in reversed(range(place + 1)):
        for inner in range(outer):
            share = model.inner_uses[:, outer, inner][:, None]
            carried[:, inner] += share * carried[:, outer]
            gone[:, inner] += share * carried[:, outer]
            taken = model.inner_seconds[:, outer, inner][:, None] * carried[:, outer]
            gone_seconds[:, inner] += taken
    return _shorter_around(_without(model, gone, gone_seconds, (place,)), model, place)


def _shorter_around(after: Model, before: Model, place: int) -> Model:
    """The model where what holds a station, that is used less now, is held for less too."""
    uses, seconds = after.uses_per_call()[:, place], after.seconds_per_call()[:, place]
    was_uses, was_seconds = (
        np.maximum(array[:, place], 1e-300)
        for array in (before.uses_per_call(), before.seconds_per_call())
    )
    inner_uses, inner_seconds = after.inner_uses.copy(), after.inner_seconds.copy()
    whole = after.seconds.copy()
    lost = np.zeros((before.draws, len(before.stations)))
    for outer in range(place + 1, len(before.stations)):
        rest = seconds / was_seconds
        lost[:, outer] = inner_seconds[:, outer, place] * (1 - rest)
        lost[:, outer] += (before.inner_uses[:, outer] * lost).sum(axis=1)
        inner_seconds[:, outer] -= before.inner_uses[:, outer] * lost
        inner_seconds[:, outer, place] *= rest
        inner_uses[:, outer, place] *= uses / was_uses
        whole[:, outer] -= lost[:, outer, None] * after.uses[:, outer]
    return replace(
        after,
        seconds=np.maximum(whole, 0.0),
        inner_uses=inner_uses,
        inner_seconds=np.maximum(inner_seconds, 0.0),
    )


def _without(model: Model, gone: Floats, gone_seconds: Floats, places: Iterable[int]) -> Model:
    """The model with less of uses and seconds; what is within some stations keeps its part."""
    after = replace(
        model,
        uses=np.maximum(model.uses - gone, 0.0),
        seconds=np.maximum(model.seconds - gone_seconds, 0.0),
        inner_seconds=model.inner_seconds.copy(),
    )
    before = _net_seconds(model)
    for place in places:
        _stretch_nested(after, place, before[:, place])
    return after


def lightened(model: Model, less: Mapping[str, Floats | float]) -> Model:
    """The model in which operations do less of all that they do, wherever that was counted.

    Args:
        model: As it is.
        less: Share of the runs of each operation that goes: one number, or [draws, 1].
    """
    gone, gone_seconds = np.zeros_like(model.uses), np.zeros_like(model.seconds)
    net = np.maximum(_net_seconds(model), 1e-300)
    for place, station in reversed(list(enumerate(model.stations))):
        if station.is_shared_out:
            # Cores and GILs are used within what is counted by operation, and go with it.
            part = model.inner_seconds[:, :, place] / net
            gone[:, place] = np.einsum("bk,bkc->bc", model.inner_uses[:, :, place], gone)
            gone_seconds[:, place] = np.einsum("bk,bkc->bc", part, gone_seconds)
            continue
        for name, share in less.items():
            gone[:, place] += part_of(model, station.name, (name,)) * share
            gone_seconds[:, place] += seconds_part_of(model, station.name, (name,)) * share
        gone[:, place] *= model.uses[:, place]
        gone_seconds[:, place] *= model.seconds[:, place]
    return _without(model, gone, gone_seconds, range(len(model.stations)))


def added(model: Model, station: str, more_seconds: Floats) -> Model:
    """The model where each class takes so many more seconds of a station, or less.

    Args:
        model: As it is.
        station: Used more.
        more_seconds: [classes], or [draws, classes].
    """
    place, none = model.index(station), np.zeros_like(model.seconds)
    less = none.copy()
    less[:, place] -= more_seconds
    return _without(model, none, less, (place,))


def part_of(model: Model, station: str, operations: Collection[str]) -> Floats:
    """Share of the uses of a station by each class that some operations make; [classes]."""
    by_operation = model.operation_uses.get(station, {})
    shares: list[float] = []
    for one in model.classes:
        found = {name: by_operation.get(name, 0.0) * many for name, many in one.visits.items()}
        total = sum(found.values())
        mine = sum(uses for name, uses in found.items() if name in operations)
        shares.append(mine / total if total > 0 else 0.0)
    return np.array(shares)


def seconds_part_of(model: Model, station: str, operations: Collection[str]) -> Floats:
    """Share of the seconds of a station by each class that some operations take; [classes].

    By the step meter where it saw all that use the station, by uses else.
    """
    metered = model.operation_seconds.get(station, {})
    if not metered or model.operation_uses.get(station, {}).keys() - metered.keys():
        return part_of(model, station, operations)
    return part_of(replace(model, operation_uses={station: metered}), station, operations)


def divided(
    model: Model, stations: Sequence[str], operations: Collection[str], suffix: str
) -> Model:
    """The model in which some operations have stations of their own.

    Args:
        model: As it is.
        stations: Each is divided in two of the same capacity.
        operations: Use the new ones.
        suffix: The new ones are called as the old ones, a blank, and this.
    """
    places = sorted(model.index(name) for name in stations)
    count = len(model.stations)
    # Where each old station and each new one comes to lie; a new one follows its old one.
    old = [place + sum(other < place for other in places) for place in range(count)]
    new = {place: old[place] + 1 for place in places}
    shares = {place: part_of(model, model.stations[place].name, operations) for place in places}
    times = {
        place: seconds_part_of(model, model.stations[place].name, operations) for place in places
    }
    uses, seconds = _spread(model.uses, old, new), _spread(model.seconds, old, new)
    idle, strain = _spread(model.idle_load, old, new), _spread(model.strain_ratio, old, new)
    for place, share in shares.items():
        uses[:, new[place]] = model.uses[:, place] * share
        uses[:, old[place]] = model.uses[:, place] * (1 - share)
        seconds[:, new[place]] = model.seconds[:, place] * times[place]
        seconds[:, old[place]] = model.seconds[:, place] * (1 - times[place])
        idle[:, new[place]] = 0.0
        strain[:, new[place]] = model.strain_ratio[:, place]
    kept: list[Station] = []
    for place, one in enumerate(model.stations):
        kept.append(one)
        if place in new:
            kept.append(replace(one, name=f"{one.name} {suffix}"))
    after = replace(
        model,
        stations=tuple(kept),
        uses=uses,
        seconds=seconds,
        idle_load=idle,
        strain_ratio=strain,
        inner_uses=_nested(model, model.inner_uses, old, new, shares),
        inner_seconds=_nested(model, model.inner_seconds, old, new, shares),
        operation_uses=_told(model.operation_uses, stations, operations, suffix),
        operation_seconds=_told(model.operation_seconds, stations, operations, suffix),
    )
    before = _net_seconds(model)
    for place in places:
        for row in (old[place], new[place]):
            _stretch_nested(after, row, before[:, place])
    return after


def _net_seconds(model: Model) -> Floats:
    """Seconds of one use of each station; [draws, stations]."""
    return model.seconds_per_call() / np.maximum(model.uses_per_call(), 1e-12)


def _stretch_nested(model: Model, place: int, before: Floats) -> None:
    """Let what is within a station be as much longer or shorter as its own use has become."""
    ratio = _net_seconds(model)[:, place] / np.maximum(before, 1e-300)
    model.inner_seconds[:, place] *= ratio[:, None]


def _spread(array: Floats, old: list[int], new: dict[int, int]) -> Floats:
    shape = (array.shape[0], array.shape[1] + len(new), *array.shape[2:])
    wide = np.zeros(shape)
    wide[:, old] = array
    return wide


def _nested(
    model: Model,
    array: Floats,
    old: list[int],
    new: dict[int, int],
    shares: dict[int, Floats],
) -> Floats:
    """What is within what: new within new, old within old; by share where one stays whole."""
    count = len(old) + len(new)
    wide = np.zeros((model.draws, count, count))
    for outer, row in enumerate(old):
        for inner, column in enumerate(old):
            value = array[:, outer, inner]
            if inner not in new:
                wide[:, row, column] = value
                if outer in new:
                    wide[:, new[outer], column] = value
            elif outer in new:
                wide[:, row, column] = value
                wide[:, new[outer], new[inner]] = value
            else:
                weight = model.uses[:, inner] * model.mix
                share = (weight * shares[inner]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
                wide[:, row, column] = value * (1 - share)
                wide[:, row, new[inner]] = value * share
    return wide


def _told(
    told: Mapping[str, dict[str, float]],
    stations: Sequence[str],
    operations: Collection[str],
    suffix: str,
) -> dict[str, dict[str, float]]:
    """What operations ask of stations, those that are divided taken apart."""
    found = dict(told)
    for name in stations:
        by = told.get(name, {})
        found[f"{name} {suffix}"] = {one: uses for one, uses in by.items() if one in operations}
        found[name] = {one: uses for one, uses in by.items() if one not in operations}
    return found


def _told_together(
    told: Mapping[str, dict[str, float]], station: str, into: str
) -> dict[str, dict[str, float]]:
    """The same where one station has taken over another's work."""
    found = dict(told)
    gone = found.pop(station, {})
    found[into] = {**gone, **found.get(into, {})}
    return found


def joined(model: Model, station: str, into: str) -> Model:
    """The model in which one station does the work of two of its kind."""
    gone, stays = model.index(station), model.index(into)
    uses, seconds = model.uses.copy(), model.seconds.copy()
    uses[:, stays] += uses[:, gone]
    seconds[:, stays] += seconds[:, gone]
    idle = model.idle_load.copy()
    idle[:, stays] += idle[:, gone]
    within, lasting = model.inner_uses.copy(), model.inner_seconds.copy()
    weight = model.uses_per_call()
    share = weight[:, gone] / np.maximum(weight[:, gone] + weight[:, stays], 1e-12)
    for array in (within, lasting):
        array[:, stays] = (1 - share)[:, None] * array[:, stays] + share[:, None] * array[:, gone]
        array[:, :, stays] += array[:, :, gone]
    keep = [place for place in range(len(model.stations)) if place != gone]
    return replace(
        model,
        stations=tuple(model.stations[place] for place in keep),
        uses=uses[:, keep],
        seconds=seconds[:, keep],
        idle_load=idle[:, keep],
        strain_ratio=model.strain_ratio[:, keep],
        inner_uses=within[:, keep][:, :, keep],
        inner_seconds=lasting[:, keep][:, :, keep],
        operation_uses=_told_together(model.operation_uses, station, into),
        operation_seconds=_told_together(model.operation_seconds, station, into),
    )
