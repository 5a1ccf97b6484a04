"""`outgrow logs`: what the workers and the supervisor printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from outgrow.cli import observed
from outgrow.cli.show import EXIT_MISUSE, out, out_json, talk
from outgrow.errors import NotRunningError
from outgrow.placement import LOG_NAME, ControlClient, last_lines, log_entry


def logs(
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    worker: Annotated[
        str | None, typer.Option(help="Only this worker, such as web/1, or `supervisor`.")
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="The spans and log lines of this trace.", show_default=False
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Only lines with this in them.", show_default=False)
    ] = None,
    severity: Annotated[
        observed.Severity | None,
        typer.Option(help="Only lines that are at least so grave.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each.")] = False,
) -> None:
    """Show what workers printed and logged, and what the supervisor did.

    With `--trace`, `--text` or `--severity` the observer is asked, which keeps what was logged
    with all that was said beside: values by name, the trace, tracebacks.
    """
    if trace or text or severity:
        if follow:
            talk("`--follow` goes with plain lines only: leave it out, or the filter")
            raise typer.Exit(EXIT_MISUSE)
        _print_kept(folder, trace, lines, worker, text, severity, as_json=json)
        return
    query = {"lines": lines, "follow": int(follow)} | ({"worker": worker} if worker else {})
    try:
        for entry in ControlClient(folder).logs(urlencode(query), follows=follow):
            _print(entry, as_json=json)
    except KeyboardInterrupt:
        return
    except NotRunningError:
        _print_from_file(Path(folder) / LOG_NAME, lines, worker, follows=follow, as_json=json)


def _print_kept(
    folder: str,
    trace: str | None,
    count: int,
    worker: str | None,
    text: str | None,
    severity: observed.Severity | None,
    *,
    as_json: bool,
) -> None:
    """Print what the observer has."""
    if trace:
        found = observed.trace(folder, trace)
        if as_json:
            out_json(found)
            return
        for line in observed.trace_shown(found):
            out(line)
        return
    kept = observed.lines(folder, count=count, worker=worker, text=text, severity=severity)
    for line in kept:
        if as_json:
            out_json(line)
        else:
            out(observed.line_shown(line))


def _print_from_file(
    path: Path, count: int, worker: str | None, *, follows: bool, as_json: bool
) -> None:
    """The log outlives the supervisor, and is read most when that has died."""
    if follows or not path.exists():
        raise NotRunningError(f"no supervisor answers in {path.parent.absolute()}")
    talk("no supervisor runs here; this is what the last one logged")
    for line in last_lines(path, count, worker):
        _print(log_entry(line), as_json=as_json)


def _print(entry: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        out_json(entry)
    else:
        out(f"{entry['at'][11:23]}  {entry['worker']:<10}  {entry['text']}")
