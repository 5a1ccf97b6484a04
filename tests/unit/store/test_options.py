"""A service says what database it wants without importing one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from outgrow.store import Database, DatabaseOptions, database


def test_saying_it_imports_no_database() -> None:
    code = (
        "import sys; from outgrow.store import Database, database; database(); "
        "Database('sqlite:///a.db'); Database('postgres://h/a'); print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, check=True, text=True
    )
    heavy = {"sqlalchemy", "aiosqlite", "asyncpg", "alembic", "sqlite3"}
    assert not heavy & {name.split(".")[0] for name in run.stdout.split()}


def test_it_is_a_mark_that_the_model_knows() -> None:
    marked: object = database(connections_max=3)
    assert isinstance(marked, DatabaseOptions)
    assert getattr(marked, "__outgrow_option__", False)
    assert getattr(Database, "__outgrow_resource__", False)
    assert marked.connections_max == 3
    assert hash(marked) == hash(marked)  # as the default of a dataclass it must have one


def test_a_folder_of_migrations_is_meant_from_the_file_that_names_it() -> None:
    relative: object = database(migrations="migrations")
    absolute: object = database(migrations="/elsewhere")
    packaged: object = database(migrations="shop:migrations")
    assert isinstance(relative, DatabaseOptions)
    assert isinstance(absolute, DatabaseOptions)
    assert isinstance(packaged, DatabaseOptions)
    assert relative.migrations == Path(__file__).parent / "migrations"
    assert absolute.migrations == Path("/elsewhere")
    assert packaged.migrations == "shop:migrations"


def test_a_service_gets_the_database_that_its_environment_says() -> None:
    environment = {"ORDERS_DATABASE_URL": "postgres://joe:secret@db/orders"}
    db = Database.of_service("orders", DatabaseOptions(), environment)
    assert (db.name, db.shown_url) == ("orders", "postgresql://joe@db/orders")
    assert repr(db) == "<Database orders at postgresql://joe@db/orders>"
    nameless = Database("sqlite://")
    assert repr(nameless) == "<Database at sqlite://>"
