"""Durable work is opened once for all who need it, and held by nobody who left."""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from pathlib import Path

import pytest

from outgrow import Event, publish
from outgrow.host import Durable, DurableSource, active
from outgrow.host.durable.errors import NoDurableError
from outgrow.store import StoreLostError, durable_at, wall_clock

pytestmark = pytest.mark.timeout(60)


class Opened(Event, name="source.Opened"):
    """Something was opened."""


def source_at(folder: Path) -> DurableSource:
    url = f"sqlite:///{folder}/durable.db"
    return DurableSource(lambda: Durable(durable_at(url, is_fast=True), "test", now_ms=wall_clock))


async def asked_of(source: DurableSource) -> asyncio.Task[Durable]:
    """Somebody who waits until it is open."""
    task = asyncio.create_task(source.get())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    return task


def test_who_leaves_while_it_is_opened_takes_it_from_nobody(tmp_path: Path) -> None:
    async def ask() -> None:
        source = source_at(tmp_path)
        (await asked_of(source)).cancel()
        try:
            assert await source.get() is await source.get()
        finally:
            await source.close()

    asyncio.run(ask())


def test_one_that_is_closed_while_it_is_opened_leaves_the_file_to_others(tmp_path: Path) -> None:
    async def ask() -> None:
        source, other = source_at(tmp_path), source_at(tmp_path)
        asked = await asked_of(source)
        await source.close()
        with pytest.raises(StoreLostError):
            await asked
        await other.get()
        await other.close()

    asyncio.run(ask())


def test_a_forked_child_does_not_wait_for_what_its_parent_keeps(tmp_path: Path) -> None:
    async def ask() -> None:
        source = source_at(tmp_path)
        with active(source):
            await source.get()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # threads do not matter here
                pid = os.fork()
            if not pid:
                _publish_in_child()
            async with asyncio.timeout(20):
                while not (ended := os.waitpid(pid, os.WNOHANG))[0]:  # noqa: ASYNC222 - it does not wait
                    await asyncio.sleep(0)
        await source.close()
        assert os.waitstatus_to_exitcode(ended[1]) == 0

    asyncio.run(ask())


def _publish_in_child() -> None:
    code = 1
    signal.alarm(15)  # it ends in any case
    try:
        asyncio.run(asyncio.wait_for(publish(Opened()), 5))
    except NoDurableError:
        code = 0
    finally:
        os._exit(code)
