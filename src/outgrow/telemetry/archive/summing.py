"""Answers that are sums: calls, steps, statements, stations, workers, arrivals, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from outgrow.telemetry.archive.answers import (
    ArrivalSum,
    CallSum,
    ProcessStep,
    ProcessSum,
    StationStep,
    StationSum,
    StepSum,
    WindowSum,
    WorkerSum,
)
from outgrow.telemetry.archive.kinds import (
    ARRIVALS,
    CALLS,
    LOSSES,
    PROCESSES,
    STATEMENTS,
    STATIONS,
    Count,
    Kind,
)
from outgrow.telemetry.records import Origin, ProcessTotals, StatementTotals, StationTotals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from outgrow.telemetry.archive.reading import Reader
    from outgrow.telemetry.archive.totals import Epoch, State

FOREVER_NS = (1 << 63) - 1
_decode_origin = msgspec.msgpack.Decoder(Origin).decode
_decode_used = msgspec.msgpack.Decoder(tuple[list[str], list[str]]).decode

Texts = dict[tuple[str, str], tuple[str, bytes]]


def fields_of(kind: Kind, count: Count) -> dict[str, Any]:
    """A count by the names of its kind."""
    return {
        **dict(zip(kind.numbers, count.numbers, strict=True)),
        **dict(zip(kind.histograms, count.histograms, strict=True)),
        **dict(zip(kind.latest, count.latest, strict=True)),
    }


def calls(reader: Reader, from_ns: int, to_ns: int) -> list[CallSum]:
    """All calls, by caller and callee."""
    found = reader.sums(CALLS, from_ns, to_ns)
    return [
        CallSum(caller=caller, callee=callee, **fields_of(CALLS, count))
        for (caller, callee), count in found.items()
    ]


def steps(reader: Reader, callee: str, from_ns: int, to_ns: int, step_ns: int) -> list[StepSum]:
    """One callee over time; all routes where it is empty."""
    # What strangers call has no caller.
    where = {"callee": callee} if callee else {"caller": ""}
    found = reader.steps(CALLS, from_ns, to_ns, step_ns, where)
    names = ("calls", "errors", "duration_ns")
    places = [CALLS.numbers.index(name) for name in names]
    return [
        StepSum(
            at_ns=at_ns,
            buckets=count.histograms[0],
            **{name: int(count.numbers[at]) for name, at in zip(names, places, strict=True)},
        )
        for at_ns, count in sorted(found.items())
    ]


def statements(reader: Reader, texts: Texts, from_ns: int, to_ns: int) -> list[StatementTotals]:
    """SQL statements, by database, fingerprint and caller."""
    found = reader.sums(STATEMENTS, from_ns, to_ns)
    known = _known_texts(reader, texts, found, from_ns, to_ns)
    return [_statement(key, known, count) for key, count in found.items()]


def statement_steps(
    reader: Reader,
    texts: Texts,
    fingerprints: Sequence[str],
    from_ns: int,
    to_ns: int,
    step_ns: int,
) -> dict[int, list[StatementTotals]]:
    """What statements of these fingerprints did in each step, by its beginning."""
    if not fingerprints:
        return {}
    wanted = {"fingerprint": fingerprints}
    found = reader.steps_by_key(STATEMENTS, from_ns, to_ns, step_ns, wanted)
    known = _known_texts(reader, texts, [key for key, _ in found], from_ns, to_ns)
    steps: dict[int, list[StatementTotals]] = {}
    for (key, at_ns), count in found.items():
        steps.setdefault(at_ns, []).append(_statement(key, known, count))
    return steps


def _statement(key: tuple[str, ...], texts: Texts, count: Count) -> StatementTotals:
    database, fingerprint, caller = key
    text, used = texts.get((database, fingerprint), ("", b""))
    reads, writes = _decode_used(used) if used else ([], [])
    return StatementTotals(
        database, fingerprint, text, caller, reads, writes, **fields_of(STATEMENTS, count)
    )


def _known_texts(
    reader: Reader, texts: Texts, keys: Iterable[tuple[str, ...]], from_ns: int, to_ns: int
) -> Texts:
    """The texts that are at hand, with those of files where one is missing."""
    if all(key[:2] in texts for key in keys):
        return texts
    return {**_texts(reader, from_ns, to_ns), **texts}


def _texts(reader: Reader, from_ns: int, to_ns: int) -> Texts:
    def read(cursor: duckdb.DuckDBPyConnection) -> Texts:
        sql = reader.each(
            from_ns, to_ns, "SELECT database, fingerprint, text, used FROM {day}.texts"
        )
        rows = cursor.execute(sql).fetchall() if sql else []
        return {(database, fingerprint): (text, used) for database, fingerprint, text, used in rows}

    return reader.asked(read)


def stations(reader: Reader, from_ns: int, to_ns: int) -> list[StationSum]:
    """Stations, by worker; `seconds` are those in which there was a worker of that name."""
    seconds: dict[str, float] = {}
    for (worker, _), count in reader.sums(PROCESSES, from_ns, to_ns, is_whole=False).items():
        seconds[worker] = seconds.get(worker, 0.0) + count.numbers[0] / 1e9
    period = (to_ns - from_ns) / 1e9
    found: list[StationSum] = []
    for (worker, name, kind), count in reader.sums(STATIONS, from_ns, to_ns).items():
        used = station(name, kind, count)
        found.append(
            StationSum(worker=worker, seconds=min(period, seconds.get(worker, 0.0)), used=used)
        )
    return found


def station_steps(
    reader: Reader, kind: str, from_ns: int, to_ns: int, step_ns: int
) -> list[StationStep]:
    """Stations of one kind over time, oldest first; a step in which one did nothing is missing."""
    found = reader.steps_by_key(STATIONS, from_ns, to_ns, step_ns, {"kind": [kind]})
    steps = [
        StationStep(worker=worker, at_ns=at_ns, used=station(name, kind, count))
        for ((worker, name, kind), at_ns), count in found.items()
    ]
    return sorted(steps, key=lambda one: (one.at_ns, one.worker, one.used.name))


def station(name: str, kind: str, count: Count) -> StationTotals:
    """How a station was used."""
    fields = fields_of(STATIONS, count)
    for latest in STATIONS.latest:
        fields[latest] = int(fields[latest] or 0)
    return StationTotals(name, kind, **fields)


def workers(
    reader: Reader, epochs: Mapping[str, Epoch], from_ns: int, to_ns: int
) -> list[WorkerSum]:
    """Processes that reported in a period.

    Args:
        reader: Reads the files.
        epochs: What is known now of processes by name.
        from_ns: The period's beginning.
        to_ns: Its end.
    """
    found = reader.sums(PROCESSES, from_ns, to_ns)
    is_old = any(epoch not in epochs for _, epoch in found)
    written = _origins(reader, from_ns) if is_old else {}
    sums: list[WorkerSum] = []
    for (worker, name), count in found.items():
        now = epochs.get(name)
        if now is not None:
            origin, state, began_ns, seen_ns = now.origin, now.state, now.began_ns, now.seen_ns
        else:
            blank = (Origin("", worker, name), "lost", from_ns, to_ns)
            origin, state, began_ns, seen_ns = written.get(name, blank)
        seconds = min(count.numbers[0] / 1e9, (to_ns - from_ns) / 1e9)
        sums.append(_worker(origin, cast("State", state), began_ns, seen_ns, seconds, count))
    return sums


def processes(
    reader: Reader, names: Sequence[str], from_ns: int, to_ns: int, step_ns: int
) -> list[ProcessStep]:
    """Processes of workers of these names over time, oldest first."""
    if not names:
        return []
    workers = {"worker": names}
    loops = {"worker": names, "name": ["loop"], "kind": ["loop"]}
    used = reader.steps_by_key(PROCESSES, from_ns, to_ns, step_ns, workers)
    busy = reader.steps_by_key(STATIONS, from_ns, to_ns, step_ns, loops, is_whole=False)
    covered_ns: dict[tuple[str, int], float] = {}
    for ((worker, _), at_ns), count in used.items():
        covered_ns[worker, at_ns] = covered_ns.get((worker, at_ns), 0) + count.numbers[0]
    place = STATIONS.numbers.index("busy_ns")
    busy_ns = {(key[0], at_ns): count.numbers[place] for (key, at_ns), count in busy.items()}
    found: list[ProcessStep] = []
    for ((worker, epoch), at_ns), count in used.items():
        whole_ns = covered_ns[worker, at_ns]
        share = busy_ns.get((worker, at_ns), 0) / whole_ns if whole_ns else 0.0
        found.append(
            ProcessStep(
                worker=worker,
                epoch=epoch,
                at_ns=at_ns,
                seconds=count.numbers[0] / 1e9,
                loop_busy_ns=round(share * count.numbers[0]),
                used=process(count),
            )
        )
    return sorted(found, key=lambda one: (one.at_ns, one.worker, one.epoch))


def _worker(
    origin: Origin, state: State, began_ns: int, seen_ns: int, seconds: float, count: Count
) -> WorkerSum:
    return WorkerSum(
        name=origin.worker,
        app=origin.app,
        epoch=origin.epoch,
        group=origin.group,
        version=origin.version,
        machine=origin.machine,
        pid=origin.pid,
        began_ns=began_ns,
        seen_ns=seen_ns,
        seconds=seconds,
        state=state,
        commit=origin.labels.get("commit", ""),
        labels=origin.labels,
        used=process(count),
    )


def process(count: Count) -> ProcessTotals:
    """What a process used."""
    fields = fields_of(PROCESSES, count)
    del fields["covered_ns"]
    for name in PROCESSES.latest[1:]:
        fields[name] = int(fields[name] or 0)
    return ProcessTotals(**fields)


def _origins(reader: Reader, from_ns: int) -> dict[str, tuple[Origin, str, int, int]]:
    """What the files say of processes: those of later days know how it went on."""

    def read(cursor: duckdb.DuckDBPyConnection) -> dict[str, tuple[Origin, str, int, int]]:
        rows = reader.each(from_ns, FOREVER_NS, "SELECT * FROM {day}.origins")
        if not rows:
            return {}
        sql = (
            "SELECT epoch, arg_max(origin, at_ns), arg_max(state, (at_ns, state <> 'reporting')), "
            f"max(began_ns), max(at_ns) FROM ({rows}) GROUP BY epoch"
        )
        return {
            epoch: (_decode_origin(origin), state, began_ns, seen_ns)
            for epoch, origin, state, began_ns, seen_ns in cursor.execute(sql).fetchall()
        }

    return reader.asked(read)


def windows(reader: Reader, from_ns: int, to_ns: int) -> list[WindowSum]:
    """Windows of 10 s one by one, oldest first; those in which nothing was told are missing."""
    calls, stations = (reader.windows(kind, from_ns, to_ns) for kind in (CALLS, STATIONS))
    processes, arrivals = (reader.windows(kind, from_ns, to_ns) for kind in (PROCESSES, ARRIVALS))
    found: list[WindowSum] = []
    for at_ns, used in sorted(processes.items()):
        found.append(
            WindowSum(
                at_ns=at_ns,
                calls=[
                    CallSum(caller=caller, callee=callee, **fields_of(CALLS, count))
                    for (caller, callee), count in calls.get(at_ns, {}).items()
                ],
                stations=[
                    StationSum(worker=worker, seconds=0.0, used=station(name, kind, count))
                    for (worker, name, kind), count in stations.get(at_ns, {}).items()
                ],
                processes=[
                    ProcessSum(epoch=epoch, seconds=count.numbers[0] / 1e9, used=process(count))
                    for (_, epoch), count in used.items()
                ],
                arrivals=[
                    ArrivalSum(operation=operation, **fields_of(ARRIVALS, count))
                    for (operation,), count in arrivals.get(at_ns, {}).items()
                ],
            )
        )
    return found


def arrivals(reader: Reader, from_ns: int, to_ns: int) -> list[ArrivalSum]:
    """How evenly requests came, by operation."""
    found = reader.sums(ARRIVALS, from_ns, to_ns)
    return [
        ArrivalSum(operation=operation, **fields_of(ARRIVALS, count))
        for (operation,), count in found.items()
    ]


def lost(reader: Reader, from_ns: int, to_ns: int) -> dict[str, int]:
    """What could not be kept, by workers or here."""
    return {
        kind: int(count.numbers[0])
        for (kind,), count in reader.sums(LOSSES, from_ns, to_ns).items()
    }


def began_ns(reader: Reader, day: int) -> int | None:
    """The first moment that a day's file counts calls of; None without any."""

    def read(cursor: duckdb.DuckDBPyConnection) -> int | None:
        day_ns = day * 86_400 * 10**9
        sql = reader.each(day_ns, day_ns + 1, "SELECT min(at_ns) FROM {day}.calls_10")
        found = cursor.execute(sql).fetchone() if sql else None
        return found[0] if found else None

    return reader.asked(read)
