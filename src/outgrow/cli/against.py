"""What a version of an app changes in its events and jobs, against the one that runs or a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from outgrow.cli.kept_work import kept_work
from outgrow.errors import NotRunningError, SettingValueError
from outgrow.host import kept_catalogs
from outgrow.model import Catalog, all_events, catalog_of, readable_work
from outgrow.placement import resolve, this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.host import Code
    from outgrow.model import Breach

RUNNING = "running"


class _Written(msgspec.Struct):
    """A file of `--write-schema`."""

    outgrow_schema: Literal[1]
    catalog: Catalog


def catalog_in(code: Code) -> Catalog:
    """What code that was imported leaves to others.

    Raises:
        ServiceError: A job, a subscription or an event of it cannot be kept.
    """
    works = [readable_work(one.cls) for one in code.services]
    for work in works:
        for _, problem in work.problems.values():
            raise problem
    return catalog_of(works, all_events(code.files))


def write_catalog(catalog: Catalog, path: Path) -> None:
    """Keep a catalog for later.

    Raises:
        SettingValueError: It cannot be written there.
    """
    encoded = msgspec.json.encode(_Written(1, catalog), order="sorted")
    try:
        path.write_bytes(msgspec.json.format(encoded) + b"\n")
    except OSError as problem:
        raise SettingValueError(
            f"`--write-schema` cannot write {path}: {problem.strerror}", hint="Name another file"
        ) from None


def other_catalog(where: str, targets: Sequence[str]) -> Catalog:
    """The catalog to compare with.

    Args:
        where: A file, the URL of a store, or `running`.
        targets: What is looked at, of which one may be the app as it is run.

    Raises:
        OutgrowError: There is none.
    """
    if where != RUNNING and "://" not in where:
        return _read(Path(where))
    settings = resolve({}, this_machine()).settings
    url = None if where == RUNNING else where

    async def ask() -> dict[str, Catalog]:
        async with kept_work(settings.folder, url) as store:
            return await kept_catalogs(store)

    try:
        known = asyncio.run(ask())
    except NotRunningError as problem:
        raise NotRunningError(
            problem.text,
            hint="Say where they are, `--against sqlite:///FILE`, or name a file of --write-schema",
        ) from None
    for name in (settings.name, settings.app, *targets):
        if name and name in known:
            return known[name]
    if len(known) == 1:
        return next(iter(known.values()))
    names = ", ".join(sorted(known))
    raise SettingValueError(
        "the store knows several apps, and none is named as this one"
        if known
        else "no app has run there under `outgrow run`, so that there is nothing to compare with",
        hint=f"Name one of these in outgrow.toml, as `name`: {names}"
        if known
        else "Start the older version once, or compare with a file of `--write-schema`",
    )


def _read(path: Path) -> Catalog:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Written).catalog
    except OSError as problem:
        raise SettingValueError(
            f"`--against` cannot read {path}: {problem.strerror}",
            hint="Name a file that `outgrow check --write-schema FILE` wrote, a URL, or `running`",
        ) from None
    except msgspec.DecodeError as problem:
        raise SettingValueError(
            f"{path} holds no events and jobs to compare with: {problem}",
            hint="Have the older version write it: `outgrow check --write-schema FILE`",
        ) from None


def lines_of(found: Sequence[Breach], where: str) -> list[str]:
    """The breaking changes as lines of text, the last of which sums them up."""
    lines: list[str] = []
    for each in found:
        lines += [f"{each.kind} `{each.name}`: {each.text}", f"  hint: {each.cure}"]
    count = f"{len(found)} breaking change{'' if len(found) == 1 else 's'}"
    return [*lines, f"{count if found else 'no breaking changes'} against {where}"]
