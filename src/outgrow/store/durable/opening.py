"""Opens the store of durable work where a URL says.

What the URL says of the store itself stands among its options, as there they come to everybody who
opens it: workers, the keeper, the page and the verbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outgrow.errors import DatabaseUrlError
from outgrow.store.address import DURABLE_OPTIONS, address_of
from outgrow.store.durable.ids import wall_clock

if TYPE_CHECKING:
    from outgrow.store.address import Address
    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.protocol import DurableStore

CONNECTIONS_MAX = 8
_NAMED = "the URL of events and jobs"
_IS_ON = {"true": True, "false": False}


@dataclass(frozen=True)
class DurablePlace:
    """Where durable work is kept, and how.

    Attributes:
        address: Without what follows.
        is_fast: Not to wait for the disk: a power failure may take the last moments, and nothing
            else may.
        is_pooled: Whether PgBouncer stands before PostgreSQL, in transaction mode.
    """

    address: Address
    is_fast: bool = False
    is_pooled: bool = False


def durable_place(url: str) -> DurablePlace:
    """What the URL of a store of durable work means.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`; `fast=true` and, of a
            server, `pgbouncer=true` may be among its options.

    Raises:
        DatabaseUrlError: The URL is not understood, or names no file.
    """
    # A password may hold a `?`, though it should not.
    user, at, place = url.rpartition("@")
    bare, mark, options = place.partition("?")
    given = [one.partition("=") for one in options.split("&")] if mark else []
    own = {name: value for name, _, value in given if name in DURABLE_OPTIONS}
    for name, value in own.items():
        if value not in _IS_ON:
            raise DatabaseUrlError(
                f"`{name}` in {_NAMED} is neither true nor false",
                hint=f"Write `{name}=true`, or leave it out",
            )
    rest = "&".join("".join(one) for one in given if one[0] not in own)
    bare = f"{user}{at}{bare}"
    address = address_of(f"{bare}?{rest}" if rest else bare, variable=_NAMED)
    is_fast, is_pooled = (_IS_ON[own.get(name, "false")] for name in DURABLE_OPTIONS)
    if address.kind == "sqlite" and not address.target:
        raise DatabaseUrlError(
            "durable work needs a file, and `sqlite://` names none", hint="Write `sqlite:///FILE`"
        )
    if address.kind == "sqlite" and is_pooled:
        raise DatabaseUrlError("no PgBouncer stands before a file", hint="Leave `pgbouncer` out")
    return DurablePlace(address, is_fast, is_pooled)


def durable_at(
    url: str,
    *,
    clock: Clock | None = None,
    is_fast: bool = False,
    connections_max: int = CONNECTIONS_MAX,
) -> DurableStore:
    """The store of durable work at this URL, not yet started.

    Args:
        url: As `durable_place` takes it.
        clock: The time by which jobs start and expire; the computer's or the server's where None.
        is_fast: Not to wait for the disk, whatever the URL says.
        connections_max: Connections of this process to PostgreSQL.

    Raises:
        DatabaseUrlError: The URL is not understood, or names no file.
        PackageMissingError: It needs a driver that is not installed.
    """
    place = durable_place(url)
    address, is_fast = place.address, is_fast or place.is_fast
    if address.kind == "sqlite":
        from outgrow.store.durable.sqlite.store import SqliteDurable

        return SqliteDurable(Path(address.target), clock=clock or wall_clock, is_fast=is_fast)
    from outgrow.store.durable.postgres.store import PostgresDurable

    return PostgresDurable(
        address.target,
        clock=clock,
        is_pooled=place.is_pooled,
        is_fast=is_fast,
        connections_max=connections_max,
    )
