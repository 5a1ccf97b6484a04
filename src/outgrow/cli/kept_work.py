"""The store of events and jobs, opened for a verb: by way of the keeper where one runs."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from outgrow.errors import NotRunningError
from outgrow.host import Hints, KeptStore
from outgrow.placement import ControlClient, resolve, this_machine
from outgrow.store import durable_at, durable_place, url_of_durable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from outgrow.store import DurableStore


@asynccontextmanager
async def kept_work(folder: str, url: str | None) -> AsyncGenerator[DurableStore]:
    """The events and jobs of an app.

    Args:
        folder: The supervisor's.
        url: Where they are; as the settings say where None.

    Raises:
        NotRunningError: There are none in this folder.
        SettingError: A setting is wrong; says where it stands.
    """
    store = _store_of(folder, url)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def _store_of(folder: str, url: str | None) -> DurableStore:
    found = url or resolve({}, this_machine()).settings.durable_url
    found = found or url_of_durable(os.environ, folder)
    address = durable_place(found).address
    if url is None and address.kind == "sqlite":
        place = _keeper_of(folder)
        if place:
            return cast("DurableStore", KeptStore(place, "a verb", Hints()))
        if not Path(address.target).exists():
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
