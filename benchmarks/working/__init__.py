"""Ways to have jobs run later, each with the same job that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

__all__ = ["CONTENDERS", "REDIS", "Contender", "Place", "Send", "Ways", "ways_of"]

REDIS = "redis"
Store = Literal["sqlite", "postgresql", "redis"]
Send = Callable[[int, int], Any]
"""Enqueues the job with its number and the moment at which it was sent, in ns of the monotonic
clock; what it returns is awaited if that can be."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Who is measured.

    Attributes:
        module: Of this package.
        packages: What must be installed.
        store: Where the jobs wait.
        count: Jobs of a round: what it does in some seconds.
    """

    module: str
    packages: tuple[str, ...]
    store: Store
    count: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where jobs are kept.

    Attributes:
        folder: For files.
        url: Of the server; empty for none.
    """

    folder: Path
    url: str


class Ways(Protocol):
    """What each module has."""

    def sending(self, place: Place) -> AbstractAsyncContextManager[Send]:
        """A process that enqueues, and runs nothing."""
        ...

    def work(self, place: Place) -> None:
        """Run what is there and what comes, until killed."""
        ...


def _peer(package: str, store: Store, count: int, *more: str) -> Contender:
    return Contender(module=f"in_{package}", packages=(package, *more), store=store, count=count)


CONTENDERS = {
    "outgrow, SQLite": Contender(
        module="in_outgrow", packages=("outgrow",), store="sqlite", count=20_000
    ),
    "outgrow, PostgreSQL": Contender(
        module="in_outgrow", packages=("outgrow", "asyncpg"), store="postgresql", count=20_000
    ),
    "Huey, SQLite": _peer("huey", "sqlite", 3_000),
    "Huey, Redis": Contender(
        module="in_huey", packages=("huey", "redis"), store="redis", count=5_000
    ),
    "Taskiq, Redis": _peer("taskiq", "redis", 5_000, "taskiq-redis"),
    "Dramatiq, Redis": _peer("dramatiq", "redis", 5_000, "redis"),
    "Celery, Redis": _peer("celery", "redis", 2_000, "redis"),
    "arq, Redis": _peer("arq", "redis", 2_000),
    "RQ, Redis": _peer("rq", "redis", 500),
    "PgQueuer, PostgreSQL": _peer("pgqueuer", "postgresql", 10_000, "asyncpg"),
    "Procrastinate, PostgreSQL": _peer("procrastinate", "postgresql", 600),
}


def ways_of(name: str) -> Ways:
    """What a contender does."""
    return cast("Ways", import_module(f"{__name__}.{CONTENDERS[name].module}"))
