"""What is particular to PostgreSQL and needs no server to be seen."""

from __future__ import annotations

import socket

import pytest

pytest.importorskip("asyncpg", reason="pip install asyncpg")

from outgrow.errors import DatabaseUnreachableError, DatabaseUrlError
from outgrow.store import Database, DatabaseOptions
from tests.unit.store.loops import in_loop


@in_loop
async def test_a_server_that_is_not_there_is_named_with_a_cure() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"DATABASE_URL": f"postgres://joe:secret@127.0.0.1:{port}/shop"}
    db = Database.of_service("orders", DatabaseOptions(), environment)
    with pytest.raises(DatabaseUnreachableError) as caught:
        await db.start()
    assert f"postgresql://joe@127.0.0.1:{port}/shop" in caught.value.text
    assert "correct DATABASE_URL" in caught.value.hint
    assert "secret" not in str(caught.value)


@in_loop
async def test_a_password_that_breaks_its_url_is_not_repeated() -> None:
    with pytest.raises(DatabaseUrlError, match="%2F") as caught:
        await Database("postgres://joe:a12?secret@127.0.0.1/shop").start()
    assert "secret" not in caught.value.text
