"""Opens the store of durable work where a URL says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.errors import DatabaseUrlError
from outgrow.store.address import address_of
from outgrow.store.durable.ids import wall_clock

if TYPE_CHECKING:
    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.protocol import DurableStore

CONNECTIONS_MAX = 8


def durable_at(
    url: str,
    *,
    clock: Clock | None = None,
    is_fast: bool = False,
    is_pooled: bool = False,
    connections_max: int = CONNECTIONS_MAX,
) -> DurableStore:
    """The store of durable work at this URL, not yet started.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
        clock: The time by which jobs start and expire; the computer's or the server's where None.
        is_fast: Not to wait for the disk: a power failure may take the last moments, and nothing
            else may.
        is_pooled: Whether PgBouncer stands before PostgreSQL, in transaction mode.
        connections_max: Connections of this process to PostgreSQL.

    Raises:
        DatabaseUrlError: The URL is not understood, or names no file.
        PackageMissingError: It needs a driver that is not installed.
    """
    address = address_of(url)
    if address.kind == "sqlite":
        if not address.target:
            raise DatabaseUrlError(
                "durable work needs a file, and `sqlite://` names none",
                hint="Write `sqlite:///FILE`",
            )
        from outgrow.store.durable.sqlite.store import SqliteDurable

        return SqliteDurable(Path(address.target), clock=clock or wall_clock, is_fast=is_fast)
    from outgrow.store.durable.postgres.store import PostgresDurable

    return PostgresDurable(
        address.target,
        clock=clock,
        is_pooled=is_pooled,
        is_fast=is_fast,
        connections_max=connections_max,
    )
