"""Tables that change, at start and on the command line, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from outgrow.errors import MigrationError
from outgrow.store import Database, write_migrations
from tests.contracts.shelf import in_loop

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "one"
down_revision = None


def upgrade() -> None:
    op.create_table("owner", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table(
        "pet",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner_id", sa.Integer, sa.ForeignKey("owner.id", ondelete="CASCADE")),
    )
    op.execute("INSERT INTO owner (id) VALUES (1)")
    op.execute("INSERT INTO pet (id, owner_id) VALUES (1, 1)")


def downgrade() -> None:
    op.drop_table("pet")
    op.drop_table("owner")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "two"
down_revision = "one"


def upgrade() -> None:
    with op.batch_alter_table("owner", recreate="auto") as owner:
        owner.add_column(sa.Column("age", sa.Integer, server_default="7", nullable=False))
        owner.create_check_constraint("grown", "age > 0")


def downgrade() -> None:
    with op.batch_alter_table("owner") as owner:
        owner.drop_column("age")
"""
BROKEN = """
from alembic import op

revision = "three"
down_revision = "two"


def upgrade() -> None:
    op.execute("CREATE TABLE half (id INTEGER)")
    op.execute("INSERT INTO nowhere (id) VALUES (1)")
"""

ORPHANING = """
from alembic import op

revision = "two"
down_revision = "one"


def upgrade() -> None:
    op.execute("UPDATE pet SET owner_id = 99")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Migrations with a first step."""
    made = tmp_path / "pets" / "migrations"
    write_migrations(made)
    write(made, "one", FIRST)
    return made


def write(folder: Path, name: str, step: str) -> None:
    (folder / "versions" / f"{name}.py").write_text(step)


async def rows(db: Database, query: str) -> list[tuple[object, ...]]:
    async with db.read() as session:
        return [tuple(row) for row in await session.execute(text(query))]


def alembic(folder: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alembic", "-c", str(folder / "alembic.ini"), *words]
    environment = os.environ | {"PETS_DATABASE_URL": url}
    return subprocess.run(
        command, cwd=folder.parents[1], env=environment, capture_output=True, text=True, check=False
    )


@in_loop
async def test_a_start_brings_the_tables_to_the_newest_version(url: str, folder: Path) -> None:
    async with Database(url, name="pets", migrations=folder) as db:
        assert await rows(db, "SELECT id FROM owner") == [(1,)]
        assert await rows(db, "SELECT * FROM alembic_version_pets") == [("one",)]
    write(folder, "two", SECOND)
    for _ in range(2):
        async with Database(url, name="pets", migrations=folder) as db:
            assert await rows(db, "SELECT id, age FROM owner") == [(1, 7)]
            # SQLite's table was made anew: what points to it must have survived.
            assert await rows(db, "SELECT id, owner_id FROM pet") == [(1, 1)]


@in_loop
async def test_many_that_start_at_once_migrate_once(url: str, folder: Path) -> None:
    write(folder, "two", SECOND)
    databases = [Database(url, name="pets", migrations=folder) for _ in range(4)]
    await asyncio.gather(*(db.start() for db in databases))
    for db in databases:
        assert await rows(db, "SELECT id, age FROM owner") == [(1, 7)]
        await db.stop()


@in_loop
async def test_a_broken_migration_is_named_and_undone(url: str, folder: Path) -> None:
    write(folder, "two", SECOND)
    write(folder, "three", BROKEN)
    with pytest.raises(MigrationError, match=r"(?s)`pets` .*versions/three\.py:10.*nowhere"):
        await Database(url, name="pets", migrations=folder).start()
    async with Database(url) as db, db.begin() as session:
        await session.execute(text("CREATE TABLE owner (id INTEGER)"))  # nothing was left
        await session.execute(text("CREATE TABLE half (id INTEGER)"))


@in_loop
async def test_a_migration_that_leaves_rows_pointing_nowhere_is_undone(
    url: str, folder: Path
) -> None:
    async with Database(url, name="pets", migrations=folder):
        pass
    write(folder, "two", ORPHANING)
    with pytest.raises(MigrationError, match="pet"):
        await Database(url, name="pets", migrations=folder).start()
    async with Database(url) as db:
        assert await rows(db, "SELECT owner_id FROM pet") == [(1,)]
        assert await rows(db, "SELECT * FROM alembic_version_pets") == [("one",)]


@in_loop
async def test_old_code_starts_on_a_database_that_is_newer(
    url: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, "two", SECOND)
    async with Database(url, name="pets", migrations=folder):
        pass
    (folder / "versions" / "two.py").unlink()
    with caplog.at_level(logging.WARNING, "outgrow.store"):
        async with Database(url, name="pets", migrations=folder) as db:
            assert await rows(db, "SELECT id, age FROM owner") == [(1, 7)]
    assert "newer than this code" in caplog.text


@in_loop
async def test_services_that_share_a_database_have_versions_of_their_own(
    url: str, folder: Path, tmp_path: Path
) -> None:
    others = tmp_path / "toys" / "migrations"
    write_migrations(others)
    toy = FIRST.replace('"owner', '"maker').replace("owner", "maker").replace("pet", "toy")
    write(others, "one", toy.replace('"one"', '"first"'))
    async with (
        Database(url, name="pets", migrations=folder),
        Database(url, name="toys", migrations=others) as db,
    ):
        assert await rows(db, "SELECT * FROM alembic_version_pets") == [("one",)]
        assert await rows(db, "SELECT * FROM alembic_version_toys") == [("first",)]


def test_the_command_line_uses_the_same_database_and_version(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pets" / "migrations"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "pets_tables", raising=False)
    (tmp_path / "pets_tables.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        'metadata = MetaData()\nTable("cat", metadata, Column("id", Integer, primary_key=True))\n'
    )
    write_migrations(folder, service="pets", tables="pets_tables:metadata")
    make_table_of_another(url)
    made = alembic(folder, url, "revision", "--autogenerate", "-m", "cats")
    assert made.returncode == 0, made.stderr
    (step,) = (folder / "versions").glob("*.py")
    assert "create_table('cat'" in step.read_text()
    assert "drop_table('other'" not in step.read_text()

    async def start() -> None:
        async with Database(url, name="pets", migrations=folder) as db:
            assert await rows(db, "SELECT id FROM cat") == []

    asyncio.run(start())
    assert "(head)" in alembic(folder, url, "current").stdout
    assert alembic(folder, url, "check").returncode == 0
    assert "CREATE TABLE cat" in alembic(folder, url, "upgrade", "head", "--sql").stdout
    assert alembic(folder, url, "downgrade", "base").returncode == 0
    assert alembic(folder, url, "current").stdout == ""


def make_table_of_another(url: str) -> None:
    async def make() -> None:
        async with Database(url) as db, db.begin() as session:
            await session.execute(text("CREATE TABLE other (id INTEGER)"))

    asyncio.run(make())


@in_loop
async def test_a_folder_without_migrations_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"there is no env\.py"):
        await Database(url, name="pets", migrations=tmp_path / "gone").start()
