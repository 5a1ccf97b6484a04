"""What is published goes where it should, whoever runs here, and with nobody else's transaction."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from outgrow import Database, client, database, enqueue, job, operation, service
from outgrow.host.house import start_part, stop_services
from outgrow.testing import running


def test_an_edge_enqueues_where_no_service_of_its_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTGROW_DURABLE_URL", f"sqlite:///{tmp_path}/durable.db")

    @service
    class Bell:
        @job
        async def ring(self) -> None: ...

    bell = client(Bell)

    async def ask() -> None:
        await start_part([], {Bell: bell})  # it runs in another process
        handle = await enqueue(bell.ring)
        assert await handle.state() == "ready"
        await stop_services()

    asyncio.run(ask())


def test_what_a_service_enqueues_is_no_part_of_the_block_in_which_it_was_called() -> None:
    notes: list[str] = []

    @service
    class Notes:
        @operation
        async def pass_on(self, text: str) -> None:
            await enqueue(notes_client.note, text)

        @job
        async def note(self, text: str) -> None:
            notes.append(text)

    @service
    class Orders:
        notes: Notes
        db: Database = database(tables=MetaData())

        @operation
        async def fail(self) -> None:
            async with self.db.begin():
                await enqueue(self.notes.note, "of the block")
                await self.notes.pass_on("of the service")
                raise ZeroDivisionError

    notes_client = client(Notes)

    async def ask() -> None:
        async with running([Orders, Notes], environment={"DATABASE_URL": "sqlite://"}) as app:
            with pytest.raises(ZeroDivisionError):
                await app.client(Orders).fail()
            await app.until_idle()
        assert notes == ["of the service"]

    asyncio.run(ask())


def test_a_job_has_its_service_started_although_others_run_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTGROW_DURABLE_URL", f"sqlite:///{tmp_path}/durable.db")

    @service
    class Clock:
        @operation
        async def tick(self) -> int:
            return 1

    @service
    class Bell:
        @job
        async def ring(self) -> str:
            return "rung"

    clock = client(Clock)

    async def ask() -> None:
        assert await clock.tick() == 1
        bell = client(Bell)  # as in a module that is imported with the first request
        assert await (await enqueue(bell.ring)).result() == "rung"
        await stop_services()

    asyncio.run(ask())
