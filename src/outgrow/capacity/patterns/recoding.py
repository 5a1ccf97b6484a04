"""Patterns that touch code or data, or undo a split, where what was seen speaks for them.

What only people know (whether somebody uses an answer, how old one may be) stands in `needs`. What
nobody measured (a hit rate, how short a hold can be) is never guessed: the pattern says what it
would have to be, in `assumes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.attributing import is_database, kind_and_name
from outgrow.capacity.patterns.calling import Batch, Cache, CallOnce, MakeAsynchronous
from outgrow.capacity.patterns.moving import Merge, OwnDatabase
from outgrow.capacity.patterns.sizing import ShorterHolds
from outgrow.capacity.patterns.surgery import seconds_part_of
from outgrow.capacity.patterns.traits import databases_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outgrow.capacity.model import Model, Station
    from outgrow.capacity.patterns.pattern import Pattern
    from outgrow.capacity.patterns.traits import Traits, Within

TIMES_MIN = 5.0
"""Fewer calls in one run are no repetition; as for the sign `repeated statement`."""
SHARE_MIN, SHARE_MAX = 0.1, 0.9
"""What takes less of a station relieves it too little; an owner of more leaves nothing behind."""
EACH_MAX = 3
"""So many of a kind, those first that take most."""
CACHE_ENTRIES = 1_000
HIT_RATIO_MAX = 0.95
"""No cache is asked to answer more ..."""
SHORTER_RATIO_MIN = 0.25
"""... and no hold to be shorter than this share of now."""
_OF_PROCESS = ("loop", "gil", "threads")
_OF_DATABASE = ("pool", "lock")


def recoded(model: Model, one: Station, times: float, traits: Traits) -> Iterator[Pattern]:
    """Those that may have a station bear so many times as much."""
    if one.kind in _OF_PROCESS and one.process:
        yield from _later(model, one, traits)
    if one.kind != "lock":
        yield from _called_once(model, one, traits)
    if one.kind in _OF_DATABASE:
        yield from _asked_once(model, one, traits)
        yield from _owned(model, one)
    if one.kind == "lock":
        yield from _shorter(model, one, times)
    else:
        yield from _cached(model, one, times, traits)
    if one.kind == "cpu":
        yield from _merged(model, one, traits)
        yield from _within(model, one, times, traits)


def _within(model: Model, cpu: Station, times: float, traits: Traits) -> Iterator[Pattern]:
    """What relieves a database's cores: its pools are asked for less."""
    place = model.index(cpu.name)
    for number, one in enumerate(model.stations):
        if one.kind == "pool" and model.inner_seconds[0, number, place] > 0:
            yield from _asked_once(model, one, traits)
            yield from _cached(model, one, times, traits)


def part_of_mean(model: Model, station: str, within: Within) -> float:
    """Share of a station's seconds of a mean call that some runs of some operations take."""
    seconds = model.seconds[0, model.index(station)] * model.mix[0]
    total = float(seconds.sum())
    if total <= 0:
        return 0.0
    mine = sum(
        float((seconds_part_of(model, station, (name,)) * seconds).sum()) * share
        for name, share in within
    )
    return mine / total


def _largest(found: Iterable[tuple[float, Pattern]]) -> Iterator[Pattern]:
    order = sorted(found, key=lambda pair: -pair[0])
    yield from (pattern for share, pattern in order[:EACH_MAX] if share >= SHARE_MIN)


def _later(model: Model, one: Station, traits: Traits) -> Iterator[Pattern]:
    """Operations that others call and that could run as jobs."""
    callees = sorted({callee for _, callee in traits.called} - traits.jobs)
    yield from _largest(
        (
            part_of_mean(model, one.name, ((name, 1.0),)),
            MakeAsynchronous(operations=(name,), process=one.process, name=f"jobs {name}"),
        )
        for name in callees
    )


def _called_once(model: Model, one: Station, traits: Traits) -> Iterator[Pattern]:
    """Operations that one run of another calls again and again."""
    yield from _largest(
        (
            part_of_mean(model, one.name, within := traits.under(caller, callee)),
            CallOnce(caller=caller, callee=callee, calls=many, within=within),
        )
        for (caller, callee), many in traits.called.items()
        if many >= TIMES_MIN
    )


def _asked_once(model: Model, one: Station, traits: Traits) -> Iterator[Pattern]:
    """Statements that one run of their caller repeats."""
    _, name = kind_and_name(one.name)
    yield from _largest(
        (
            part_of_mean(model, one.name, ((each.caller, each.share),)),
            Batch(
                station=one.name,
                operation=each.caller,
                calls=each.times,
                share=each.share,
                statement=each.text,
            ),
        )
        for each in traits.repeated(TIMES_MIN)
        if is_database(name, each.database)
    )


def _owned(model: Model, one: Station) -> Iterator[Pattern]:
    """Services that share a database with others, and could have one of their own."""
    by_service: dict[str, list[str]] = {}
    for name in model.operation_uses.get(one.name, {}):
        by_service.setdefault(service_of(name) or name, []).append(name)
    stations = databases_of(model.stations, one.name)
    yield from _largest(
        (share, OwnDatabase(operations=tuple(sorted(names)), stations=stations, name=service))
        for service, names in by_service.items()
        if (share := part_of_mean(model, one.name, tuple((each, 1.0) for each in names)))
        <= SHARE_MAX
    )


def _shorter(model: Model, one: Station, times: float) -> Iterator[Pattern]:
    keep = 1 / times
    uses = float(model.uses_per_call()[0, model.index(one.name)])
    if keep >= SHORTER_RATIO_MIN and uses > 0:
        seconds = float(model.seconds_per_call()[0, model.index(one.name)]) / uses
        yield ShorterHolds(station=one.name, keep_ratio=keep, before_seconds=seconds)


def _cached(model: Model, one: Station, times: float, traits: Traits) -> Iterator[Pattern]:
    """Operations that only read, with the hit rate that keys show, or the one that it takes."""
    station = one.name if one.kind in ("pool", "downstream") else ""
    found: list[tuple[float, Pattern]] = []
    for name in model.operation_uses.get(one.name, {}) if station else list(traits.runs):
        if not traits.only_reads(name):
            continue
        within = ((name, 1.0),) if station else traits.under(name)
        share = part_of_mean(model, one.name, within)
        seen = traits.reuse.get(name)
        wanted = (1 - 1 / times) / max(share, 1e-9)
        hit_ratio = seen.hit_ratio(CACHE_ENTRIES) if seen else min(wanted, HIT_RATIO_MAX)
        entries = CACHE_ENTRIES if seen else 0
        cache = Cache(
            operation=name, hit_ratio=hit_ratio, within=within, station=station, entries=entries
        )
        found.append((share, cache))
    yield from _largest(found)


def _merged(model: Model, cpu: Station, traits: Traits) -> Iterator[Pattern]:
    """Groups on the same cores that call one another."""
    loops = [one for one in model.stations if one.kind == "loop" and one.machine == cpu.machine]
    homes = {name: one.process for one in loops for name in model.operation_uses.get(one.name, {})}
    across: dict[tuple[str, str], dict[str, float]] = {}
    for (caller, callee), many in traits.called.items():
        pair = (homes.get(callee, ""), homes.get(caller, ""))
        if all(pair) and pair[0] != pair[1]:
            share = many * traits.runs[caller] / traits.runs[callee]
            by_callee = across.setdefault(pair, {})
            by_callee[callee] = by_callee.get(callee, 0.0) + share
    before = {one.process: one.replicas for one in loops}
    for (process, into), calls in sorted(across.items()):
        yield Merge(
            process=process,
            into=into,
            across=tuple((name, min(share, 1.0)) for name, share in sorted(calls.items())),
            before=before[process],
        )


def service_of(operation: str) -> str:
    """The class of an operation's service; empty for a route."""
    return "" if " " in operation else operation.partition(".")[0]
