"""Counts in files: written as windows of 10 s, summed up into longer ones, read as sums."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from outgrow.telemetry.archive.days import DAY_NS
from outgrow.telemetry.archive.kinds import KINDS, Count, Key, Kind
from outgrow.telemetry.archive.slots import add_to
from outgrow.telemetry.archive.tables import HISTOGRAM_BITS, LEVELS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

    from outgrow.telemetry.archive.slots import Counts

FOREVER_NS = 1 << 62
_SECOND_NS = 10**9
_STEPS_AT_ONCE = 120
# Of a period: its ends are told apart by windows of such a part of it.
_FINE = 500
# So many rows are summed here.
_FEW = 400
_FEW_STEPS = 1500
_BIGINT_MAX = (1 << 63) - 1
_BUCKET = (1 << HISTOGRAM_BITS) - 1

_Place = TypeVar("_Place")
# Until when each length of windows, in seconds, is summed up in a file.
Summed = dict[int, int]
# A table, and the period that is read from it.
Part = tuple[str, int, int]
# A condition on keys, which begins with AND, and its parameters.
Where = tuple[str, Sequence[str]]


def summed_until(cursor: duckdb.DuckDBPyConnection, database: str) -> Summed:
    """What is summed up in a file."""
    sql = f"SELECT seconds, max(until_ns) FROM {database}.summed GROUP BY seconds"
    return dict(cursor.execute(sql).fetchall())


def write_windows(
    cursor: duckdb.DuckDBPyConnection, database: str, windows: dict[int, Counts], summed: Summed
) -> None:
    """Write windows; those that come after longer ones were summed up are added there as well."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for window_ns, counts in windows.items():
        for seconds in LEVELS_SECONDS:
            if seconds != LEVELS_SECONDS[0] and summed.get(seconds, 0) <= window_ns:
                continue
            at_ns = window_ns // (seconds * _SECOND_NS) * seconds * _SECOND_NS
            for name, known in counts.items():
                rows = tables.setdefault(f"{name}_{seconds}", [])
                rows += [_row(at_ns, key, count) for key, count in known.items()]
    append(cursor, database, tables)


def append(
    cursor: duckdb.DuckDBPyConnection, database: str, tables: dict[str, list[tuple[Any, ...]]]
) -> None:
    """Append rows to tables of a file."""
    for table, rows in tables.items():
        if rows:
            appender = cursor.appender(f"{database}.{table}")
            try:
                appender.append_rows(rows)
                appender.flush()
            except BaseException:
                # The rows before the bad one shall not be written when this is forgotten.
                appender.clear()
                raise


def _row(at_ns: int, key: Key, count: Count) -> tuple[Any, ...]:
    numbers = [min(number, _BIGINT_MAX) for number in count.numbers]
    if not count.histograms:
        return (at_ns, *key, *numbers, *count.latest)
    buckets, counts = list[int](), list[int]()
    for place, histogram in enumerate(count.histograms):
        first = place << HISTOGRAM_BITS
        buckets += [first + bucket for bucket in histogram] if place else histogram
        counts += [min(n, _BIGINT_MAX) for n in histogram.values()]
    return (at_ns, *key, *numbers, buckets, counts, *count.latest)


def sum_up(
    cursor: duckdb.DuckDBPyConnection, database: str, summed: Summed, closed_ns: int
) -> None:
    """Sum windows up into longer ones, as far as these are over.

    Args:
        cursor: To write with.
        database: The day's.
        summed: Until when they are; is brought up to date.
        closed_ns: Nothing is added to windows before it; `FOREVER_NS` for a day that is over.
    """
    for shorter, longer in pairwise(LEVELS_SECONDS):
        length_ns = longer * _SECOND_NS
        while True:
            from_ns = summed.get(longer, 0)
            to_ns = min(closed_ns, summed.get(shorter, FOREVER_NS)) // length_ns * length_ns
            if closed_ns == FOREVER_NS:
                to_ns = FOREVER_NS
            if from_ns >= to_ns:
                break
            first_ns, last_ns = _extent(cursor, database, shorter, from_ns, to_ns)
            if first_ns is not None and last_ns is not None:
                begin_ns = first_ns // length_ns * length_ns
                if begin_ns + _STEPS_AT_ONCE * length_ns <= last_ns:
                    to_ns = begin_ns + _STEPS_AT_ONCE * length_ns
            _sum_up_part(cursor, database, shorter, longer, from_ns, to_ns)
            summed[longer] = to_ns


def _extent(
    cursor: duckdb.DuckDBPyConnection, database: str, seconds: int, from_ns: int, to_ns: int
) -> tuple[int | None, int | None]:
    tables = " UNION ALL ".join(
        f"SELECT at_ns FROM {database}.{name}_{seconds} "
        f"WHERE at_ns >= {from_ns} AND at_ns < {to_ns}"
        for name in KINDS
    )
    found = cursor.execute(f"SELECT min(at_ns), max(at_ns) FROM ({tables})").fetchone()
    return found or (None, None)


def _sum_up_part(
    cursor: duckdb.DuckDBPyConnection,
    database: str,
    shorter: int,
    longer: int,
    from_ns: int,
    to_ns: int,
) -> None:
    length_ns = longer * _SECOND_NS
    sums: dict[int, Counts] = {}
    for kind in KINDS.values():
        cursor.execute(
            f"SELECT * FROM {database}.{kind.name}_{shorter} "
            f"WHERE at_ns >= {from_ns} AND at_ns < {to_ns} ORDER BY at_ns"
        )
        while rows := cursor.fetchmany(4096):
            for row in rows:
                slot = sums.setdefault(row[0] // length_ns * length_ns, {})
                add_to(slot, kind, *_key_and_count(kind, row[1:]))
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for at_ns, counts in sorted(sums.items()):
        for name, known in counts.items():
            rows = tables.setdefault(f"{name}_{longer}", [])
            rows += [_row(at_ns, key, count) for key, count in known.items()]
    cursor.execute("BEGIN")
    append(cursor, database, tables)
    cursor.execute(f"INSERT INTO {database}.summed VALUES ({longer}, {to_ns})")
    cursor.execute("COMMIT")


def _key_and_count(kind: Kind, row: Sequence[Any]) -> tuple[Key, Count]:
    return tuple(row[: len(kind.keys)]), _count_of(kind, [row])


def _count_of(kind: Kind, rows: Sequence[Sequence[Any]]) -> Count:
    """The sum of some rows, the latest of which comes last; they begin with the key."""
    keys_end = len(kind.keys)
    end = keys_end + len(kind.numbers)
    if not kind.histograms:
        return Count(_summed(rows, keys_end, end), [], list(rows[-1][end:]))
    if len(rows) == 1:
        buckets = dict(zip(rows[0][end], rows[0][end + 1], strict=True))
    else:
        buckets: dict[int, int] = {}
        for row in rows:
            for bucket, n in zip(row[end], row[end + 1], strict=True):
                buckets[bucket] = buckets.get(bucket, 0) + n
    histograms = [buckets]
    if len(kind.histograms) > 1:
        histograms = [
            {one & _BUCKET: n for one, n in buckets.items() if one >> HISTOGRAM_BITS == place}
            for place in range(len(kind.histograms))
        ]
    return Count(_summed(rows, keys_end, end), histograms, list(rows[-1][end + 2 :]))


def _summed(rows: Sequence[Sequence[Any]], begin: int, end: int) -> list[int | float]:
    if len(rows) == 1:
        return list(rows[0][begin:end])
    return [sum(column) for column in zip(*(row[begin:end] for row in rows), strict=True)]


def read_windows(
    cursor: duckdb.DuckDBPyConnection,
    databases: Sequence[str],
    kind: Kind,
    from_ns: int,
    to_ns: int,
) -> Iterator[tuple[int, Key, Count]]:
    """The counts of all windows of 10 s that begin in a period, in no order."""
    for database in databases:
        cursor.execute(
            f"SELECT * FROM {database}.{kind.name}_{LEVELS_SECONDS[0]} "
            f"WHERE at_ns >= {from_ns} AND at_ns < {to_ns}"
        )
        while rows := cursor.fetchmany(4096):
            for row in rows:
                yield row[0], *_key_and_count(kind, row[1:])


def parts_of(
    database: str, kind: Kind, from_ns: int, to_ns: int, summed: Summed, step_ns: int | None
) -> list[Part]:
    """The tables that a period is read from: the longest windows that are within it.

    Args:
        database: The day's.
        kind: What is read.
        from_ns: The window that it lies in is read as a whole: of 10 s, or of 1/500 of the period.
        to_ns: Windows that begin before it are read as a whole.
        summed: Until when longer windows are summed up.
        step_ns: Windows shall not reach over a multiple of it, unless the period is no longer;
            None where they may.
    """
    levels = _levels(to_ns - from_ns, step_ns)
    # The ends of a long period are widened to longer windows: more tables take more time to plan
    # than to read.
    wide = [seconds for seconds in levels if seconds * _SECOND_NS * _FINE <= to_ns - from_ns]
    end_ns = max(wide, default=LEVELS_SECONDS[0]) * _SECOND_NS
    from_ns = from_ns // end_ns * end_ns
    to_ns = -(-to_ns // end_ns) * end_ns
    day_ns = int(database[1:]) * DAY_NS
    from_ns, to_ns = max(from_ns, day_ns), min(to_ns, day_ns + DAY_NS)
    return [
        (f"{database}.{kind.name}_{seconds}", begin_ns, end_ns)
        for seconds, begin_ns, end_ns in _tiles(from_ns, to_ns, levels, summed)
    ]


def _levels(length_ns: int, step_ns: int | None) -> list[int]:
    """The lengths of windows that a period may be read from, in seconds."""
    if step_ns is None or step_ns >= length_ns:
        return list(LEVELS_SECONDS)
    fit = [seconds for seconds in LEVELS_SECONDS if step_ns % (seconds * _SECOND_NS) == 0]
    return fit or [LEVELS_SECONDS[0]]


def _tiles(
    from_ns: int, to_ns: int, levels: Sequence[int], summed: Summed
) -> list[tuple[int, int, int]]:
    if from_ns >= to_ns:
        return []
    longest, rest = levels[-1], levels[:-1]
    if not rest:
        return [(longest, from_ns, to_ns)]
    length_ns = longest * _SECOND_NS
    inner_ns = -(-from_ns // length_ns) * length_ns
    outer_ns = min(to_ns, summed.get(longest, 0)) // length_ns * length_ns
    if inner_ns >= outer_ns:
        return _tiles(from_ns, to_ns, rest, summed)
    return [
        *_tiles(from_ns, inner_ns, rest, summed),
        (longest, inner_ns, outer_ns),
        *_tiles(outer_ns, to_ns, rest, summed),
    ]


def windows_in(parts: Sequence[Part]) -> int:
    """How many windows are read at most."""
    return sum(
        (to_ns - from_ns) // _SECOND_NS // int(table.rpartition("_")[2])
        for table, from_ns, to_ns in parts
    )


def read_sums(
    cursor: duckdb.DuckDBPyConnection,
    kind: Kind,
    parts: Sequence[Part],
    *,
    step_ns: int | None = None,
    where: Where = ("", ()),
    is_whole: bool = True,
    is_little: bool = True,
) -> dict[Key | int, Count]:
    """Sums of a period by key, or by step where one is given.

    Args:
        cursor: To read with.
        kind: What is read.
        parts: From where.
        step_ns: Sum all keys of a step into one count, by its beginning.
        where: A condition on the keys, with its parameters.
        is_whole: Read histograms as well.
        is_little: There may be so little that it is summed here.
    """
    if not parts:
        return {}
    if is_little:
        few = _few(cursor, kind, parts, where, _FEW, is_whole=is_whole)
        if few is not None:
            return _sums_of(kind, few, step_ns)
    if step_ns is None:
        return dict(_grouped(cursor, kind, parts, _columns(kind), where, is_whole=is_whole))
    steps = _grouped(cursor, kind, parts, [_step(step_ns)], where, is_whole=is_whole)
    return {at_ns: count for (at_ns,), count in steps.items()}


def read_steps(
    cursor: duckdb.DuckDBPyConnection,
    kind: Kind,
    parts: Sequence[Part],
    step_ns: int,
    where: Where,
    *,
    is_whole: bool,
) -> dict[tuple[Key, int], Count]:
    """Sums of a period by key and by step; see `read_sums`."""
    if not parts:
        return {}
    few = _few(cursor, kind, parts, where, _FEW_STEPS, is_whole=is_whole)
    if few is not None:
        return _added(kind, few, lambda key, at_ns: (key, at_ns // step_ns * step_ns))
    columns = [*_columns(kind), _step(step_ns)]
    found = _grouped(cursor, kind, parts, columns, where, is_whole=is_whole)
    return {(place[:-1], place[-1]): count for place, count in found.items()}


def _columns(kind: Kind) -> list[str]:
    return [f'"{name}"' for name in kind.keys]


def _step(step_ns: int) -> str:
    return f"at_ns // {step_ns} * {step_ns}"


def _rows(columns: str, parts: Sequence[Part], where: Where) -> tuple[str, list[str]]:
    condition, parameters = where
    sql = " UNION ALL ".join(
        f"SELECT {columns} FROM {table} WHERE at_ns >= {from_ns} AND at_ns < {to_ns}{condition}"
        for table, from_ns, to_ns in parts
    )
    return sql, [each for _ in parts for each in parameters]


def _few(
    cursor: duckdb.DuckDBPyConnection,
    kind: Kind,
    parts: Sequence[Part],
    where: Where,
    rows_max: int,
    *,
    is_whole: bool,
) -> list[Any] | None:
    """All rows, unless there are more than so many; with empty histograms unless they are whole."""
    columns = "*"
    if kind.histograms and not is_whole:
        columns = "* REPLACE ([] AS buckets, [] AS counts)"
    sql, values = _rows(columns, parts, where)
    rows = cursor.execute(f"{sql} LIMIT {rows_max + 1}", values).fetchall()
    return rows if len(rows) <= rows_max else None


def _grouped(
    cursor: duckdb.DuckDBPyConnection,
    kind: Kind,
    parts: Sequence[Part],
    by: Sequence[str],
    where: Where,
    *,
    is_whole: bool,
) -> dict[Any, Count]:
    """Sums by these columns, in a tuple."""
    groups = ", ".join(f"{column} AS k{place}" for place, column in enumerate(by))
    names = ", ".join(f"k{place}" for place in range(len(by)))
    numbers = ", ".join(f'"{name}"' for name in (*kind.numbers, *kind.latest))
    sums = ", ".join(f'sum("{name}")' for name in kind.numbers)
    latest = "".join(f', arg_max("{name}", at_ns)' for name in kind.latest)
    found: dict[Any, Count] = {}
    source, values = _rows(f"{groups}, at_ns, {numbers}", parts, where)
    sql = f"SELECT {names}, {sums}{latest} FROM ({source}) GROUP BY {names}"
    numbers_end = len(by) + len(kind.numbers)
    for row in cursor.execute(sql, values).fetchall():
        found[row[: len(by)]] = Count(
            list(row[len(by) : numbers_end]),
            [{} for _ in kind.histograms],
            list(row[numbers_end:]),
        )
    if kind.histograms and is_whole:
        source, values = _rows(f"{groups}, unnest(buckets) AS b, unnest(counts) AS n", parts, where)
        sql = f"SELECT {names}, b, sum(n) FROM ({source}) GROUP BY {names}, b"
        for *place, bucket, count in cursor.execute(sql, values).fetchall():
            histograms = found[tuple(place)].histograms
            histograms[bucket >> HISTOGRAM_BITS][bucket & _BUCKET] = count
    return found


def _sums_of(kind: Kind, rows: list[Any], step_ns: int | None) -> dict[Key | int, Count]:
    """As `read_sums`, where there is little to sum: planning takes the engine longer than that."""
    if step_ns is None:
        return dict(_added(kind, rows, lambda key, _: key))
    return dict(_added(kind, rows, lambda _, at_ns: at_ns // step_ns * step_ns))


def _added(
    kind: Kind, rows: list[Any], place_of: Callable[[Key, int], _Place]
) -> dict[_Place, Count]:
    places: dict[_Place, list[Any]] = {}
    keys_end = len(kind.keys) + 1
    for row in sorted(rows, key=lambda row: row[0]):
        places.setdefault(place_of(tuple(row[1:keys_end]), row[0]), []).append(row[1:])
    return {place: _count_of(kind, of_it) for place, of_it in places.items()}
