"""What leaves this process is seen: the libraries that an app uses, whenever it imports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.telemetry.outside.http import watch_aiohttp, watch_httpx, watch_urllib3
from outgrow.telemetry.outside.importing import after_import
from outgrow.telemetry.outside.noting import name_caller
from outgrow.telemetry.outside.redis import watch_redis, watch_redis_async
from outgrow.telemetry.outside.threads import watch_threads
from outgrow.telemetry.sql.alchemy import watch_sqlalchemy
from outgrow.telemetry.sql.drivers import watch_asyncpg, watch_psycopg
from outgrow.telemetry.sql.orm import watch_django
from outgrow.telemetry.sql.pools import watch_asyncpg_pools, watch_sqlalchemy_pools

if TYPE_CHECKING:
    from collections.abc import Callable


def _watch_sqlite(module: Any) -> None:
    from outgrow.telemetry.sql.sqlite import watch_sqlite  # it imports sqlite3

    watch_sqlite(module)


def _watch_aiosqlite(module: Any) -> None:
    from outgrow.telemetry.sql.sqlite import watch_aiosqlite

    watch_aiosqlite(module)


def _watch_asyncpg(module: Any) -> None:
    watch_asyncpg(module)
    watch_asyncpg_pools(module)


def _watch_sqlalchemy(module: Any) -> None:
    watch_sqlalchemy(module)
    watch_sqlalchemy_pools(module)


_WATCHES: dict[str, Callable[[Any], None]] = {
    "aiohttp": watch_aiohttp,
    "aiosqlite": _watch_aiosqlite,
    "asyncpg": _watch_asyncpg,
    "concurrent.futures.thread": watch_threads,
    "django.db.backends.signals": watch_django,
    "httpx": watch_httpx,
    "psycopg": watch_psycopg,
    "redis": watch_redis,
    "redis.asyncio.client": watch_redis_async,
    "sqlalchemy": _watch_sqlalchemy,
    "sqlite3": _watch_sqlite,
    "urllib3": watch_urllib3,
}
_is_watched = False


def watch_outside(caller: Callable[[], str]) -> None:
    """See statements and calls that leave this process, from now on.

    Libraries that are imported are watched at once, others when they are; none is imported by this.

    Args:
        caller: Names the operation or the route that runs; `edge` where none does.
    """
    global _is_watched  # noqa: PLW0603
    name_caller(caller)
    if not _is_watched:
        _is_watched = True
        after_import(_WATCHES)
