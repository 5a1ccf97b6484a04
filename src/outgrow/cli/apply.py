"""`outgrow apply`: change what runs, without failing a request."""

from __future__ import annotations

from typing import Annotated

import typer

from outgrow.cli.show import out, out_json
from outgrow.placement import ControlClient, Wish


def apply(
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="[GROUP=]N|MIN:MAX|auto",
            help="Have so many workers; of the group with the edge where none is named.",
        ),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVICE=GROUP", help="Run a service in another group, or in a new one."
        ),
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP=INTO", help="Run all services of a group in another."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last such change back.")] = False,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload",
            help="Load the app and its settings anew; groups whose code is the same stay.",
        ),
    ] = False,
    reload_all: Annotated[
        bool, typer.Option("--reload-all", help="The same, but no group stays.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each step.")] = False,
) -> None:
    """Move services between groups, change the number of workers, or reload the app.

    It says each step, and when it is done. New workers start beside the old ones; when all are
    ready the traffic moves, and the old ones finish what they have begun. If a new one can't start,
    all stays as it was. What was applied outlives the supervisor, until outgrow.toml is changed.
    """
    wish = Wish(
        workers=workers,
        moves=move or [],
        merges=merge or [],
        undo=undo,
        reload=reload,
        reload_all=reload_all,
        is_only_shown=dry_run,
    )
    for line in ControlClient(folder).apply(wish):
        if json:
            out_json({"step": line})
        else:
            out(line)
