"""SQL that fills the file of one day of the archive, for its benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.archive.counting import FOREVER_NS
from outgrow.telemetry.archive.kinds import ARRIVALS, CALLS, PROCESSES, STATEMENTS, STATIONS
from outgrow.telemetry.archive.tables import LEVELS_SECONDS

if TYPE_CHECKING:
    from outgrow.telemetry.archive.kinds import Kind

ROUTES, OPERATIONS, STATEMENTS_COUNT, STATIONS_COUNT = 20, 40, 40, 12
TRACE_SPANS = 5
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
# Kinds of counts, with the names of what is told apart, and how many there are.
COUNTED = (
    (CALLS, "'', 'GET /things/' || k", ROUTES),
    (
        CALLS,
        "'GET /things/' || (k // 2), 'Service' || (k % 6) || '.operation_' || k",
        OPERATIONS,
    ),
    (STATEMENTS, "'postgresql://db/shop', 'f' || k, 'Service.operation_' || k", STATEMENTS_COUNT),
    (STATIONS, "'front/' || (k % 4), 'pool ' || k, 'pool'", STATIONS_COUNT),
    (PROCESSES, "'front/' || k, 'e' || k", 4),
    (ARRIVALS, "'GET /things/' || k", ROUTES),
)


def statements_of_day(database: str, day: int, traces: int) -> list[str]:
    """What fills a day's file: spans, the list of traces, lines, and counts of all lengths."""
    day_ns = day * DAY_NS
    return [
        f"""
        INSERT INTO {database}.spans SELECT
            {day_ns} + t * ({DAY_NS} // {traces}) + p * 50_000,
            (1e6 * exp(1.5 * sqrt(-2 * ln((hash(t, p, 1) % 9973 + 1) / 9974))))::BIGINT,
            hash(t, {day}, 2), hash(t, {day}, 3), hash(t, p, {day}),
            CASE WHEN p = 0 THEN 0 ELSE hash(t, 0, {day}) END,
            CASE WHEN p = 0 THEN 'GET /things/' || r
                ELSE 'Service' || ((r * 2 + p % 2) % 6) || '.operation_' || (r * 2 + p % 2) END,
            CASE WHEN p = 0 THEN 2 ELSE 1 END, CASE WHEN is_error THEN 2 ELSE 0 END,
            CASE WHEN is_error THEN 500 ELSE 200 END,
            CASE WHEN is_error THEN 'error' ELSE 'sampled' END,
            CASE WHEN p = 0 THEN 'shop' ELSE 'Service' || ((r * 2 + p % 2) % 6) END, 'front/1',
            CASE WHEN is_error THEN 'ValueError: no such thing' ELSE '' END,
            '{{"url.path":"/things/' || r || '/' || (hash(t, p, 4) % 100_000)
                || '","customer":' || (hash(t, p, 5) % 5_000)
                || ',"server.address":"shop.example"}}',
            NULL
        FROM (SELECT range AS t, hash(range, 6) % {ROUTES} AS r,
            hash(range, 7) % 100 = 0 AS is_error FROM range({traces})),
            (SELECT range AS p FROM range({TRACE_SPANS}))
        ORDER BY t, p
        """,
        f"""
        INSERT INTO {database}.traces SELECT trace_high, trace_low, min(at_ns),
            max(at_ns + duration_ns), count(*), count(*) FILTER (status = 2),
            string_agg(DISTINCT service, chr(10)), min(at_ns), true, arg_min(name, at_ns),
            arg_min(duration_ns, at_ns), any_value(kept_for)
        FROM {database}.spans GROUP BY trace_high, trace_low ORDER BY min(at_ns)
        """,
        f"""
        INSERT INTO {database}.logs SELECT at_ns, CASE WHEN status = 2 THEN 17 ELSE 9 END,
            'thing ' || (span_id % 1_000_000) || ' of ' || name || ' was looked at', 'shop.things',
            service, worker, trace_high, trace_low, span_id, '',
            CASE WHEN status = 2 THEN 'builtins.ValueError' ELSE '' END, '',
            CASE WHEN status = 2 THEN 'f' || (hash(name) % 20) ELSE '' END
        FROM {database}.spans WHERE span_id % 20 = 0 ORDER BY at_ns
        """,
        *(
            _counted(database, kind, seconds, keys, many, day_ns)
            for seconds in LEVELS_SECONDS
            for kind, keys, many in COUNTED
        ),
        *(
            f"INSERT INTO {database}.summed VALUES ({seconds}, {FOREVER_NS})"
            for seconds in LEVELS_SECONDS[1:]
        ),
        f"INSERT INTO {database}.marks VALUES ({day_ns + DAY_NS - 10**9}, 'deploy', 'abc')",
    ]


def _counted(database: str, kind: Kind, seconds: int, keys: str, many: int, day_ns: int) -> str:
    """All windows of a length: each thing did something in each, over some 20 buckets."""
    columns = [
        f"{day_ns} + w * {seconds * SECOND_NS}",
        keys,
        *(f"{seconds} * (1 + hash(w, k) % 7)" for _ in kind.numbers),
        *_histograms(len(kind.histograms), seconds),
        *("5" for _ in kind.latest),
    ]
    return (
        f"INSERT INTO {database}.{kind.name}_{seconds} SELECT {', '.join(columns)} FROM "
        f"(SELECT range AS w FROM range({DAY_NS // SECOND_NS // seconds})), "
        f"(SELECT range AS k FROM range({many})) ORDER BY w, k"
    )


def _histograms(many: int, seconds: int) -> list[str]:
    """Columns of so many histograms, of 20 buckets each; none without any."""
    if not many:
        return []
    each = ", ".join(f"range({at << 16} + 200, {at << 16} + 220)" for at in range(many))
    buckets = f"flatten([{each}])"
    counts = f"list_transform(range({20 * many}), lambda x: {seconds} * (1 + (x * 31 + w + k) % 9))"
    return [buckets, counts]
