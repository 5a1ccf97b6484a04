"""The steps of a move from SQLite to PostgreSQL, each of which can be broken off and taken again.

The target is marked before the source, and freed after it, so that never both can be opened; a
page is kept together with how far it goes. So the same command, given again, goes on where it was.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.store.durable.errors import StoreLostError, StoreMoveError
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.moving.mark import AGAIN, Mark, check_here
from outgrow.store.durable.moving.tables import TABLES
from outgrow.store.durable.opening import durable_place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from outgrow.store.address import Address
    from outgrow.store.durable.moving.source import Source
    from outgrow.store.durable.moving.target import Target

    Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Moved:
    """What a move has brought to its target, or would bring.

    Attributes:
        counts: Rows by what they are, such as `jobs that wait`.
        source: Where they were.
        target: Where they are, without a password.
        held_up_by: Why it could not begin now; empty where it could.
    """

    counts: dict[str, int]
    source: str
    target: str
    held_up_by: str = ""


async def move_store(
    source_url: str,
    target_url: str,
    *,
    is_gone: Callable[[str], bool],
    tell: Tell,
) -> Moved:
    """Move all events and jobs; the source cannot be opened any more after that.

    Args:
        source_url: A file of SQLite that nobody works with.
        target_url: A PostgreSQL database without events and jobs.
        is_gone: Whether a worker of this name has ended.
        tell: Told what moves, how many have so far, and how many are to.

    Raises:
        StoreMoveError: It cannot be moved so, or not now; nothing was changed then.
        StoreMovedError: It has moved to another place before.
        StoreLostError: It was broken off; the same call goes on.
    """
    async with _both(source_url, target_url) as (source, target, here):
        await source.start()
        await target.start()
        mark = await source.mark()
        if mark is None or mark.state == "leaving":
            mark = await _begun(source, target, here, mark, is_gone)
            await _fill(source, target, tell)
            await source.set_mark(Mark(mark.id, "left", target.shown))
        await _check_same(target, here, mark)
        counts = await target.counts()
        await target.end()
        return _told(counts, here, target.shown)


async def look_at_move(source_url: str, target_url: str) -> Moved:
    """What a move would bring, and whether it could begin; changes nothing.

    Raises:
        StoreMoveError: It could never be moved so.
        StoreLostError: A database cannot be reached.
    """
    async with _both(source_url, target_url) as (source, target, here):
        await target.look()
        held_up_by = ""
        try:
            if await target.mark() is None:
                await target.check_empty()
        except StoreMoveError as problem:
            held_up_by = problem.text
        return _told(await source.counts(), here, target.shown, held_up_by)


async def give_up_move(source_url: str) -> str:
    """Let a file be opened again whose move is not over; returns where it was to go.

    What has come there by then counts for nothing, and nobody can open it.

    Raises:
        StoreMoveError: No move from there has begun.
        StoreMovedError: All of it has moved.
    """
    from outgrow.store.durable.moving.source import Source

    address = _file(source_url)
    source = Source(Path(address.target))
    await source.start()
    try:
        mark = await source.mark()
        if mark is None:
            raise StoreMoveError(f"no move of {address.shown} has begun", hint="Go on as before")
        if mark.state == "left":
            check_here(address.shown, mark)
        await source.set_mark(None)
        return mark.other
    finally:
        await source.stop()


def check_not_moved(url: str) -> None:
    """Refuse a file that has moved, without opening it; before an app is started on it.

    Raises:
        StoreMovedError: It has moved, or is about to.
    """
    if not url.startswith("sqlite"):
        return  # what DATABASE_URL says may be for others, who understand it otherwise
    address = durable_place(url).address
    if Path(address.target).exists():
        from outgrow.store.durable.moving.source import mark_of

        check_here(address.shown, mark_of(Path(address.target)))


async def _begun(
    source: Source,
    target: Target,
    here: str,
    mark: Mark | None,
    is_gone: Callable[[str], bool],
) -> Mark:
    """Mark both as being in this move, unless they are."""
    there = await target.mark()
    if mark is not None:
        if there is None or there.id != mark.id:
            raise StoreMoveError(
                f"{here} is on its way to {mark.other}, and this is another database",
                hint="Name that one again; or `--give-up` first",
            )
        return mark
    if there is not None and there.other != here:
        raise StoreMoveError(
            f"{target.shown} is being filled with the events and jobs of {there.other}",
            hint="Finish that move, or name an empty database",
        )
    await _bury(source, here, is_gone)
    id = new_id()
    # In this order: a target that is marked alone is one that nobody counts on.
    await target.begin(Mark(id, "filling", here), over=there)
    leaving = Mark(id, "leaving", target.shown)
    await source.set_mark(leaving)
    return leaving


async def _bury(source: Source, here: str, is_gone: Callable[[str], bool]) -> None:
    workers = await source.workers()
    alive = [one.name for one in workers if not is_gone(one.name)]
    if alive:
        raise StoreMoveError(
            f"workers hold leases in {here}, and may be alive: {', '.join(sorted(alive))}",
            hint="Stop them. Where they are gone, as with a container: start the app once more, "
            "which takes them for dead after 30 s, and stop it",
        )
    await source.bury(workers)


async def _fill(source: Source, target: Target, tell: Tell) -> None:
    counts = await source.counts()
    reached, after = await target.reached()
    names = [table.name for table in TABLES]
    first = names.index(reached) if reached else 0
    done_count = (await target.counts())[reached] if reached else 0
    for table in TABLES[first:]:
        while rows := await source.page(table, after):
            await target.add(table, rows)
            after = table.key_of(rows[-1])
            done_count += len(rows)
            tell(table.what, done_count, counts[table.name])
        after, done_count = None, 0
    await target.count_on(await source.epoch())
    if (there := await target.counts()) != counts:
        missing = {
            name: (counts[name], there[name]) for name in names if counts[name] != there[name]
        }
        raise StoreMoveError(
            f"not as much has come to {target.shown} as was there: {missing}",
            hint="Give it up by `--give-up`, and report it; the source has all of it",
        )


async def _check_same(target: Target, here: str, mark: Mark) -> None:
    """Refuse a target that is not the one to which all has moved."""
    there = await target.mark()
    if there.id != mark.id if there else target.shown != mark.other:
        check_here(here, Mark(mark.id, "left", mark.other))


@asynccontextmanager
async def _both(source_url: str, target_url: str) -> AsyncGenerator[tuple[Source, Target, str]]:
    source_at, target_place = _file(source_url), durable_place(target_url)
    target_at = target_place.address
    if target_at.kind != "postgresql":
        raise StoreMoveError(
            f"{target_at.shown} is a file, and moves go to PostgreSQL",
            hint="A file moves by being copied, while the app is stopped",
        )
    from outgrow.store.durable.moving.source import Source
    from outgrow.store.durable.moving.target import Target

    source = Source(Path(source_at.target))
    target = Target(target_place)
    try:
        yield source, target, source_at.shown
    except StoreLostError as problem:
        raise StoreLostError(problem.text, hint=f"Mend it. {AGAIN}") from None
    finally:
        await target.stop()
        await source.stop()


def _file(url: str) -> Address:
    address = durable_place(url).address
    if address.kind != "sqlite":
        raise StoreMoveError(
            f"{address.shown} is no file of SQLite, and only such a file moves",
            hint="What is on PostgreSQL moves by `pg_dump --schema=outgrow`, while the app is "
            "stopped",
        )
    return address


def _told(counts: dict[str, int], source: str, target: str, held_up_by: str = "") -> Moved:
    return Moved({table.what: counts[table.name] for table in TABLES}, source, target, held_up_by)
