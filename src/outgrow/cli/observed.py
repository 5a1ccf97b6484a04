"""What the observer of a folder knows, as the verbs show it: from the API that the page uses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote, urlencode

from outgrow.cli.show import ms_shown, table
from outgrow.errors import NotRunningError, RefusedError
from outgrow.placement import ApiClient

WINDOW_SECONDS = 60
# Of an observer that stands still nobody waits long: without it there is enough to show.
LOOK_SECONDS = 2.0
ROWS_SHOWN = 15
NUMBERS = {
    *("requests/s", "calls/s", "errors", "p50 ms", "p95 ms", "p99 ms", "of the time", "cpu ms"),
    *("cpu", "loop lag ms", "GIL wait ms"),
}
_SEVERITIES: dict[str, int] = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
Severity = Literal["debug", "info", "warning", "error", "critical"]


def look(folder: str) -> dict[str, Any] | None:
    """Operations, links and workers of the last minute; None where no observer answers."""
    client = ApiClient(folder, seconds=LOOK_SECONDS)
    period = f"from=-{WINDOW_SECONDS}s"
    try:
        now = client.get("now")
        return {
            "window_seconds": WINDOW_SECONDS,
            "operations": client.get(f"operations?{period}")["operations"],
            "links": now["links"],
            **client.get(f"workers?{period}"),
        }
    except (NotRunningError, RefusedError):
        return None


def lines_of(found: Mapping[str, Any]) -> list[str]:
    """What `look` has found, as lines of text."""
    seconds = found["window_seconds"]
    lines: list[str] = []
    for heading, rows in (
        (f"routes and operations, last {seconds} s", _operations(found)),
        (f"processes, last {seconds} s", _workers(found)),
    ):
        if rows:
            lines += ["", heading, *table(rows[:ROWS_SHOWN], NUMBERS)]
        if len(rows) > ROWS_SHOWN:
            lines.append(f"and {len(rows) - ROWS_SHOWN} more: --json shows all")
    for gap in found["gaps"]:
        if not gap["is_counted"]:
            lines.append(
                f"{_clock(gap['from_ms'])}  nothing is known of {gap['worker']}'s last words"
            )
    if lost := [f"{number:,} {kind}" for kind, number in found["lost"].items() if number]:
        lines += [f"not kept, last {seconds} s: {', '.join(lost)}"]
    return lines


def _operations(found: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "operation": one["name"],
            "requests/s": f"{one['requests_per_second']:.1f}",
            "errors": _percent(one["error_percent"]),
            "p50 ms": ms_shown(one["p50_ms"]),
            "p95 ms": ms_shown(one["p95_ms"]),
            "p99 ms": ms_shown(one["p99_ms"]),
            "of the time": _percent(one["impact_percent"]),
            "cpu ms": ms_shown(one["cpu_ms_per_call"]),
        }
        for one in found["operations"]
    ]


def _workers(found: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "process": one["name"],
            "machine": one["machine"],
            "state": one["state"],
            "cpu": _percent(one["cpu_percent"]),
            "loop lag ms": ms_shown(one["loop_lag_p99_ms"]),
            "GIL wait ms": ms_shown(one["gil_wait_p99_ms"]),
            "commit": one["commit"][:12],
        }
        for one in found["workers"]
        if one["state"] != "gone"
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def _clock(at_ms: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ms / 1e3))


# Logs and traces.


def trace(folder: str, trace_id: str) -> dict[str, Any]:
    """A trace with its spans and lines.

    Raises:
        NotRunningError: No observer answers.
        RefusedError: There is no such trace.
    """
    return ApiClient(folder).get(f"traces/{quote(trace_id.lower(), safe='')}")


def lines(
    folder: str, *, count: int, worker: str | None, text: str | None, severity: Severity | None
) -> list[dict[str, Any]]:
    """Lines that are kept with all that was said with them, oldest first.

    Raises:
        NotRunningError: No observer answers.
        RefusedError: It does not understand the question.
    """
    query = {"from": "-7d", "limit": min(max(count, 1), 1000)}
    query |= {"worker": worker} if worker else {}
    query |= {"text": text} if text else {}
    query |= {"severity_min": _SEVERITIES[severity]} if severity else {}
    return ApiClient(folder).get(f"logs?{urlencode(query)}")["lines"][::-1]


def trace_shown(found: Mapping[str, Any]) -> Iterator[str]:
    """A trace as lines of text: the spans as a tree, what was logged beneath."""
    spans = found["spans"]
    yield f"{found['trace_id']}  {ms_shown(found['duration_ms'])} ms, {len(spans)} spans"
    for span in spans:
        name = f"{'  ' * span['depth']}{span['name']}"
        mark = f"  ✗ {span['message']}" if span["is_error"] else ""
        yield (
            f"{span['offset_ms']:9.1f} ms  {span['duration_ms']:9.1f} ms  {name}  "
            f"({span['worker'] or span['service']}){mark}"
        )
    for line in found["logs"]:
        yield line_shown(line)


def line_shown(line: Mapping[str, Any]) -> str:
    """A kept line as text, with what was said with it."""
    word = next((n for n, least in reversed(_SEVERITIES.items()) if line["severity"] >= least), "-")
    said = "".join(f"  {name}={value}" for name, value in line["attributes"].items())
    traced = f"  trace={line['trace_id']}" if line["trace_id"] else ""
    fraction = f"{line['at_ms'] % 1000:03.0f}"
    shown = f"{_clock(line['at_ms'])}.{fraction}  {line['worker']:<10}  {word:<8}  {line['text']}"
    return f"{shown}{said}{traced}" + (f"\n{line['traceback']}" if line["traceback"] else "")
