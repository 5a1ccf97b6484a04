"""What survives a crash: each service's own database, on SQLite or PostgreSQL.

SQLAlchemy, the drivers and Alembic are imported only when a database is opened or migrated.
"""

from outgrow.store.address import variable_of
from outgrow.store.database import Database
from outgrow.store.migrations import run_migrations
from outgrow.store.options import DatabaseOptions, database
from outgrow.store.scaffold import write_migrations

__all__ = [
    "Database",
    "DatabaseOptions",
    "database",
    "run_migrations",
    "variable_of",
    "write_migrations",
]
