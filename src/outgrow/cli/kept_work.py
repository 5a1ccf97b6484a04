"""The store of events and jobs, opened for a verb: by way of the keeper where one runs."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from outgrow.errors import NotRunningError
from outgrow.host import Hints, KeptStore
from outgrow.placement import ControlClient
from outgrow.store import durable_at, url_of_durable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from outgrow.store import DurableStore


@asynccontextmanager
async def kept_work(folder: str, url: str | None) -> AsyncGenerator[DurableStore]:
    """The events and jobs of an app.

    Args:
        folder: The supervisor's.
        url: Where they are; looked for where None.

    Raises:
        NotRunningError: There are none in this folder.
    """
    store = _store_of(folder, url)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def _store_of(folder: str, url: str | None) -> DurableStore:
    found = url or url_of_durable(os.environ, folder)
    if url is None and found.startswith("sqlite"):
        place = _keeper_of(folder)
        if place:
            return cast("DurableStore", KeptStore(place, "a verb", Hints()))
        if not Path(found.removeprefix("sqlite:///")).exists():
            raise NotRunningError(
                f"no events and jobs are kept in {folder}",
                hint="Name the folder of the app by `--folder`, or where they are by `--url`",
            )
    return durable_at(found)


def _keeper_of(folder: str) -> str:
    """Where the keeper of a running app is asked; empty where none runs."""
    try:
        keeper = ControlClient(folder).status().get("keeper")
    except NotRunningError:
        return ""
    return keeper["place"] if keeper else ""
