"""What only a PostgreSQL server can do to us."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from outgrow.errors import DatabaseUnreachableError
from outgrow.store import Database, write_migrations
from tests.contracts.shelf import Shelf, count_one, counted, in_loop, shelves_at

INDEX = """
import sqlalchemy as sa
from alembic import op

revision = "one"
down_revision = None


def upgrade() -> None:
    op.create_table("owner", sa.Column("id", sa.Integer, primary_key=True))
    with op.get_context().autocommit_block():
        op.create_index("by_id", "owner", ["id"], postgresql_concurrently=True)
"""


@in_loop
async def test_connections_that_the_server_has_closed_are_made_anew(postgres_url: str) -> None:
    async with shelves_at(postgres_url) as db, Database(postgres_url) as other:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        await asyncio.gather(*(count_one(db) for _ in range(8)))
        async with other.begin() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        await asyncio.gather(*(count_one(db) for _ in range(8)))
        assert await counted(db) == 16


@pytest.mark.parametrize("option", ["ssl", "sslmode"])
@in_loop
async def test_encryption_is_asked_for_under_either_name(postgres_url: str, option: str) -> None:
    # Which a Unix socket does not need, but an unknown name would be refused.
    async with shelves_at(postgres_url.replace("?", f"?{option}=require&")) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        assert await counted(db) == 0


@in_loop
async def test_no_more_connections_are_made_than_allowed(postgres_url: str) -> None:
    async with shelves_at(postgres_url, connections_max=2) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        await asyncio.gather(*(count_one(db) for _ in range(20)))
        async with db.read() as session:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            assert await session.scalar(text(query)) <= 2


@pytest.mark.parametrize(
    ("replaced", "by", "says"),
    [
        ("/test_", "/no_such_", r'database "no_such_\d+" does not exist(.|\n)*createdb'),
        ("postgres:@", "nobody:secret@", r'role "nobody" does not exist(.|\n)*user or password'),
    ],
    ids=["an unknown database", "an unknown user"],
)
@in_loop
async def test_what_the_server_refuses_is_said_with_a_cure(
    postgres_url: str, replaced: str, by: str, says: str
) -> None:
    assert replaced in postgres_url
    with pytest.raises(DatabaseUnreachableError, match=says) as caught:
        await Database(postgres_url.replace(replaced, by)).start()
    assert "secret" not in str(caught.value)


@in_loop
async def test_an_index_is_made_beside_others_that_start(postgres_url: str, tmp_path: Path) -> None:
    write_migrations(tmp_path, service="pets")
    (tmp_path / "versions" / "one.py").write_text(INDEX)
    databases = [Database(postgres_url, name="pets", migrations=tmp_path) for _ in range(3)]
    others = [shelves_at(postgres_url) for _ in range(3)]
    await asyncio.gather(*(db.start() for db in [*databases, *others]))
    await asyncio.gather(*(db.stop() for db in [*databases, *others]))
