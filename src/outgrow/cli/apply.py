"""`outgrow apply`: change what runs, without failing a request."""

from __future__ import annotations

from typing import Annotated

import typer

from outgrow.cli.show import out, out_json
from outgrow.errors import RefusedError
from outgrow.placement import ControlClient


def apply(
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    workers: Annotated[
        str | None, typer.Option(metavar="N|MIN:MAX|auto", help="Have so many workers.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Load the app and its settings anew.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each step.")] = False,
) -> None:
    """Change the number of workers, or reload the app; says each step, and when it is done.

    A reload starts the new version beside the old one, waits until it is ready, moves the traffic,
    and lets the old one finish. If the new version can't start, the old one serves on.
    """
    if workers is None and not reload:
        raise RefusedError("nothing to change", hint="Say `--workers N` or `--reload`")
    for line in ControlClient(folder).apply({"workers": workers, "reload": reload}):
        if json:
            out_json({"step": line})
        else:
            out(line)
