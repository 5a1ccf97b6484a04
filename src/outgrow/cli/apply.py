"""`outgrow apply`: change what runs, without failing a request."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from outgrow.cli.show import out, out_json, talk
from outgrow.cli.verdict import gain_in_words
from outgrow.errors import RefusedError, SettingValueError
from outgrow.placement import ControlClient, Wish, read_plan

if TYPE_CHECKING:
    from outgrow.placement import PlanFile


def apply(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A file that `outgrow plan` wrote."),
    ] = None,
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

    Of a plan it carries out what is a change of placement, all at once, if the placement is still
    the one that the plan was made for; what is left to you is said at the end.
    """
    client = ControlClient(folder)
    if plan is not None:
        if workers or move or merge or undo or reload or reload_all:
            raise SettingValueError("a plan goes alone", hint="Leave out all but `--dry-run`")
        _carry_out(client, plan, dry_run=dry_run, json=json)
        return
    wish = Wish(
        workers=workers,
        moves=move or [],
        merges=merge or [],
        undo=undo,
        reload=reload,
        reload_all=reload_all,
        is_only_shown=dry_run,
    )
    _ask(client, wish, json=json)


def _ask(client: ControlClient, wish: Wish, *, json: bool) -> None:
    for line in client.apply(wish):
        if json:
            out_json({"step": line})
        else:
            out(line)


def _carry_out(client: ControlClient, path: Path, *, dry_run: bool, json: bool) -> None:
    plan = read_plan(path)
    if plan.change.is_empty:
        left = "; ".join(plan.left_to_people)
        raise RefusedError(
            f"nothing in {path} is a change of placement",
            hint=f"By hand: {left}" if left else "There is nothing to do",
        )
    plan.change.check(client.status()["groups"])
    why = "" if plan.foretold is None else f"foretold: {gain_in_words(plan.foretold)}"
    wish = plan.change.wish(is_only_shown=dry_run, why=why)
    _ask(client, wish, json=json)
    if plan.foretold is not None and not dry_run:
        _note(client, plan, wish.in_words)
    for line in plan.left_to_people:
        if json:
            out_json({"by_hand": line})
        else:
            out(f"by hand: {line}")
    if not dry_run:
        talk(
            "what it brings is compared with what was foretold after some minutes of traffic: "
            f"outgrow plan {plan.times:g}"
        )


def _note(client: ControlClient, plan: PlanFile, what: str) -> None:
    """Keep what was foretold, to be compared with what comes of it."""
    from outgrow.dashboard import Applied, keep_applied

    applied = msgspec.convert(
        {
            "at_ms": time.time() * 1e3,
            "what": what,
            "times": plan.times,
            "foretold": plan.foretold,
            "groups": [
                {
                    "name": one["name"],
                    "runs": one["runs"],
                    "replicas": f"{one['min']}:{one['max']}",
                }
                for one in client.status()["groups"]
            ],
        },
        Applied,
    )
    keep_applied(client.folder, applied)
