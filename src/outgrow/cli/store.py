"""`outgrow store`: moves what is kept of events and jobs to another place."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from outgrow.cli.show import EXIT_FAILED, out, out_json, table, talk
from outgrow.errors import SettingValueError
from outgrow.host import is_gone
from outgrow.store import give_up_move, look_at_move, move_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.store import Moved

TELL_SECONDS = 2.0


def store(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="`move`.")],
    source: Annotated[
        str, typer.Argument(help="The file that moves: `sqlite:///.outgrow/durable.db`.")
    ],
    target: Annotated[
        str, typer.Argument(help="The database it moves to: `postgresql://USER@HOST/NAME`.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would move; changes nothing.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Stay with SOURCE, whose move was broken off.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Move events and jobs from SQLite to PostgreSQL, while the app is stopped.

    All that is kept moves: what waits, what is postponed or held, what has ended, events, cursors,
    dead letters, limits and schedules. Broken off at any moment, the same command goes on.
    """
    if action != "move":
        raise SettingValueError(f"`outgrow store {action}` means nothing", hint="Say `move`")
    if give_up:
        _give_up(source, as_json=json)
        return
    if dry_run:
        told = asyncio.run(look_at_move(source, target))
    else:
        told = asyncio.run(move_store(source, target, is_gone=is_gone, tell=_teller()))
    _show(told, is_done=not dry_run, as_json=json)
    if told.held_up_by:
        raise typer.Exit(EXIT_FAILED)


def _give_up(source: str, *, as_json: bool) -> None:
    other = asyncio.run(give_up_move(source))
    if as_json:
        out_json({"given_up": other})
        return
    talk(f"the app can be started as before; what has come to {other} counts for nothing")


def _show(told: Moved, *, is_done: bool, as_json: bool) -> None:
    if as_json:
        out_json({"is_done": is_done, **msgspec.to_builtins(told)})
        return
    counted = [(what, f"{count:,}") for what, count in told.counts.items() if count]
    for line in table([{"what": what, "count": count} for what, count in counted], {"count"}):
        out(line)
    if is_done:
        talk(f"all of it is in {told.target} now; {told.source} is not opened any more")
        talk("start the app there: OUTGROW_DURABLE_URL, or durable_url in outgrow.toml")
    elif told.held_up_by:
        talk(f"it cannot move so: {told.held_up_by}")
    else:
        talk(f"so much would move to {told.target}, which is empty; stop the app first")


def _teller() -> Callable[[str, int, int], None]:
    """Says on the terminal, every now and then, how far a move is."""
    began = said_at = time.monotonic()

    def tell(what: str, count: int, of_count: int) -> None:
        nonlocal said_at
        if (now := time.monotonic()) - said_at >= TELL_SECONDS:
            said_at = now
            talk(f"{now - began:4.0f} s  {what}: {count:,} of {of_count:,}")

    return tell
