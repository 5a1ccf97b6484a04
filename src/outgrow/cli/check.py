"""`outgrow check`: mistakes that a type checker cannot see, found before anything runs."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from outgrow.cli.against import catalog_in, other_catalog, write_catalog
from outgrow.cli.against import lines_of as against_lines
from outgrow.cli.show import EXIT_FAILED, EXIT_MISUSE, out, out_json, talk
from outgrow.errors import AppError, ImportFailedError, NotRunningError, ServiceError
from outgrow.host import Coupling, Finding, code_of, coupling_of, findings_of
from outgrow.model import breaches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.host import Code
    from outgrow.model import Breach


_COUPLING = typer.Option(
    "--coupling",
    help="Of any code base, what in it cannot change alone: reads source and git history, and "
    "imports nothing. TARGET is a folder; this one if none.",
)
_AGAINST = typer.Option(
    metavar="WHERE",
    help="Also name what would break of events and jobs that another version wrote: a file of "
    "--write-schema, the URL of events and jobs, or `running`.",
    show_default=False,
)
_WRITE_SCHEMA = typer.Option(
    metavar="FILE",
    help="Also write the shapes of events and jobs, for a later --against.",
    show_default=False,
)


def check(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="A module, an app (`shop.api:app`) or a folder; the app of outgrow.toml if none.",
            show_default=False,
        ),
    ] = None,
    app_dir: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Import modules from here.", show_default=False),
    ] = None,
    coupling: Annotated[bool, _COUPLING] = False,
    against: Annotated[str | None, _AGAINST] = None,
    write_schema: Annotated[str | None, _WRITE_SCHEMA] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Find mistakes in services: signatures, clients, circles, calls that block.

    It imports the code, as running it would, and starts nothing. With --against also what changes
    in events and jobs, which may wait while versions do.

    The exit code is 1 where it found something, and 2 where it could not look.
    """
    if coupling:
        if against or write_schema:
            talk("`--coupling` goes alone: ask for `--against` and `--write-schema` without it")
            raise typer.Exit(EXIT_MISUSE)
        _check_coupling(targets or ["."], is_json=json)
    else:
        _check_code(targets or (), app_dir, against, write_schema, is_json=json)


def _check_code(
    targets: Sequence[str],
    app_dir: str | None,
    against: str | None,
    write_schema: str | None,
    *,
    is_json: bool,
) -> None:
    begun = time.monotonic()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the code prints while it is imported
            code = code_of(targets, app_dir)
            found = findings_of(code)
            breaks = _breaks(code, targets, against, write_schema)
    except (AppError, NotRunningError) as problem:  # scripts must tell this from what was found
        talk(str(problem))
        raise typer.Exit(EXIT_MISUSE) from None
    seconds = time.monotonic() - begun
    count = len(code.wanted_files())
    if is_json:
        rows = [dataclasses.asdict(each) for each in found]
        told: dict[str, Any] = {"findings": rows, "files": count, "seconds": round(seconds, 3)}
        if against:
            told |= {"against": against, "breaches": msgspec.to_builtins(breaks)}
        out_json(told)
    else:
        for line in lines_of(found, count, seconds):
            out(line)
        for line in against_lines(breaks, against) if against else ():
            out(line)
    if found or breaks:
        raise typer.Exit(EXIT_FAILED)


def _check_coupling(targets: list[str], *, is_json: bool) -> None:
    begun = time.monotonic()
    if len(targets) > 1 or not Path(targets[0]).is_dir():
        talk(f"cannot look at {' '.join(targets)}: `--coupling` takes one folder")
        raise typer.Exit(EXIT_MISUSE)
    told = coupling_of(Path(targets[0]))
    if not told.file_count:
        talk(f"cannot look at {targets[0]}: there is no Python file that could be read")
        raise typer.Exit(EXIT_MISUSE)
    seconds = time.monotonic() - begun
    if is_json:
        named = {
            "findings": [dataclasses.asdict(each) for each in told.findings],
            "missing": told.missing,
            "files": told.file_count,
            "parts": told.part_count,
            "commits": told.commit_count,
            "since": told.since,
        }
        out_json({**named, "seconds": round(seconds, 3)})
    else:
        for line in coupled_lines(told, seconds):
            out(line)
    if told.findings:
        raise typer.Exit(EXIT_FAILED)


def coupled_lines(told: Coupling, seconds: float) -> list[str]:
    """What is coupled, as lines of text."""
    *lines, last = lines_of(list(told.findings), told.file_count, seconds)
    lines += [f"not looked at: {each}" for each in told.missing]
    since = f", {told.commit_count} commits since {told.since}" if told.since else ""
    return [*lines, f"{last}, {told.part_count} parts{since}"]


def _breaks(
    code: Code, targets: Sequence[str], against: str | None, write_schema: str | None
) -> list[Breach]:
    """What changes for those who read what another version wrote, and that for the next one."""
    if not against and not write_schema:
        return []
    try:
        catalog = catalog_in(code)
    except ServiceError as problem:
        raise ImportFailedError(
            f"events and jobs cannot be compared: {problem.text}", hint=problem.hint
        ) from None
    if write_schema:
        write_catalog(catalog, Path(write_schema))
    return breaches(other_catalog(against, targets), catalog) if against else []


def lines_of(found: list[Finding], file_count: int, seconds: float) -> list[str]:
    """The findings as lines of text, the last of which sums them up."""
    places = [f"{each.file}:{each.line}" for each in found]
    width = max(map(len, places), default=0)
    lines: list[str] = []
    for place, each in zip(places, found, strict=True):
        lines.append(f"{place.ljust(width)}  {each.code}  {each.text}")
        if each.hint:
            lines.append(f"{' ' * width}  hint: {each.hint}")
    files = f"in {file_count} file{'' if file_count == 1 else 's'} ({seconds:.1f} s)"
    count = f"{len(found)} finding{'' if len(found) == 1 else 's'}" if found else "no findings"
    return [*lines, f"{count} {files}"]
