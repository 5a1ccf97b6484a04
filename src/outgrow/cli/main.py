"""`outgrow`: its verbs, and how errors are shown."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from outgrow import __version__
from outgrow.cli.apply import apply
from outgrow.cli.check import check
from outgrow.cli.forecast import forecast
from outgrow.cli.jobs import jobs
from outgrow.cli.logs import logs
from outgrow.cli.map import map_
from outgrow.cli.new import new
from outgrow.cli.observe import observe
from outgrow.cli.plan import plan
from outgrow.cli.run import dev, run
from outgrow.cli.show import fail
from outgrow.cli.signs import signs
from outgrow.cli.status import status
from outgrow.cli.store import store
from outgrow.cli.verify import verify
from outgrow.errors import OutgrowError

app = typer.Typer(
    name="outgrow",
    help="Runs a Python backend, says what will break first as it grows, and moves that limit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version_callback(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"outgrow {__version__}\n")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            callback=_version_callback,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Runs a Python backend, says what will break first as it grows, and moves that limit."""


app.command(rich_help_panel="Write")(new)
app.command(rich_help_panel="Write")(dev)
app.command(rich_help_panel="Write")(check)
app.command("map", rich_help_panel="Write")(map_)
app.command(rich_help_panel="Run")(run)
app.command(rich_help_panel="Run")(status)
app.command(rich_help_panel="Run")(logs)
app.command(rich_help_panel="Run")(jobs)
app.command(rich_help_panel="Run")(store)
app.command(rich_help_panel="Run")(observe)
app.command(rich_help_panel="Grow")(signs)
app.command(rich_help_panel="Grow")(forecast)
app.command(rich_help_panel="Grow")(plan)
app.command(rich_help_panel="Grow")(apply)
app.command(rich_help_panel="Grow")(verify)


def main() -> None:
    """Run the verb on the command line; errors of ours are shown without a traceback."""
    try:
        app()
    except OutgrowError as problem:
        sys.exit(fail(problem))
    except BrokenPipeError:  # `outgrow logs | head`
        sys.stderr.close()
        sys.exit(0)
