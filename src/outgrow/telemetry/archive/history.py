"""Whole days: what was counted on each, and how many requests came in each ten minutes of it.

Both are read without histograms from the longest windows, so that weeks are few rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.archive import summing
from outgrow.telemetry.archive.answers import CallSum, ProcessSum, StationSum, StepSum, WindowSum
from outgrow.telemetry.archive.kinds import CALLS, PROCESSES, STATEMENTS, STATIONS, Kind
from outgrow.telemetry.records import StatementTotals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.telemetry.archive.kinds import Count, Key
    from outgrow.telemetry.archive.reading import Reader

DAY_NS = 86_400 * 10**9

_Days = dict[int, dict["Key", "Count"]]


def days(reader: Reader, from_ns: int, to_ns: int, callers: Sequence[str]) -> list[WindowSum]:
    """Each day of UTC in which something was told, oldest first; histograms are empty.

    Of statements the texts are left out.

    Args:
        reader: Reads the files.
        from_ns: The period's beginning.
        to_ns: Its end.
        callers: Whose calls are told besides the requests.
    """
    calls = _by_day(reader, CALLS, from_ns, to_ns, {"caller": ["", *callers]})
    statements = _by_day(reader, STATEMENTS, from_ns, to_ns, {})
    stations = _by_day(reader, STATIONS, from_ns, to_ns, {})
    processes = _by_day(reader, PROCESSES, from_ns, to_ns, {})
    return [
        WindowSum(
            at_ns=at_ns,
            calls=[
                CallSum(caller=caller, callee=callee, **summing.fields_of(CALLS, count))
                for (caller, callee), count in calls.get(at_ns, {}).items()
            ],
            stations=[
                StationSum(worker=worker, seconds=0.0, used=summing.station(name, kind, count))
                for (worker, name, kind), count in stations.get(at_ns, {}).items()
            ],
            processes=[
                ProcessSum(epoch=epoch, seconds=count.numbers[0] / 1e9, used=summing.process(count))
                for (_, epoch), count in used.items()
            ],
            arrivals=[],
            statements=[
                StatementTotals(
                    database, fingerprint, "", caller, **summing.fields_of(STATEMENTS, count)
                )
                for (database, fingerprint, caller), count in statements.get(at_ns, {}).items()
            ],
        )
        for at_ns, used in sorted(processes.items())
    ]


def _by_day(
    reader: Reader, kind: Kind, from_ns: int, to_ns: int, wanted: dict[str, list[str]]
) -> _Days:
    found: _Days = {}
    steps = reader.steps_by_key(kind, from_ns, to_ns, DAY_NS, wanted, is_whole=False)
    for (key, at_ns), count in steps.items():
        found.setdefault(at_ns, {})[key] = count
    return found


def pace(reader: Reader, from_ns: int, to_ns: int, step_ns: int) -> list[StepSum]:
    """How many requests came in each step, oldest first; steps without any may miss."""
    found = reader.steps(CALLS, from_ns, to_ns, step_ns, {"caller": ""}, is_whole=False)
    place = CALLS.numbers.index("calls")
    return [
        StepSum(at_ns=at_ns, calls=int(count.numbers[place]))
        for at_ns, count in sorted(found.items())
    ]
