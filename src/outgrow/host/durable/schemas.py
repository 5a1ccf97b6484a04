"""Whether this version of an app can read what older ones left waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.host.durable.errors import UnreadableError
from outgrow.model import changes, shape_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.host.durable.forms import EventForm, JobForm
    from outgrow.store import DurableStore


async def declare_all(
    store: DurableStore,
    events: Sequence[EventForm],
    jobs: Sequence[JobForm],
    *,
    leaves_unreadable: bool = False,
) -> None:
    """Have the store know how these are written, unless something waits that they cannot read.

    Args:
        store: Where it waits.
        events: Of this version.
        jobs: Likewise.
        leaves_unreadable: Whether it is all the same if something does.

    Raises:
        UnreadableError: Something does; says what, and what changed.
    """
    known = await store.schemas()
    own = {one.topic: (one.schema, one.described, "event") for one in events}
    own |= {one.model.name: (one.schema, one.described, "job") for one in jobs}
    for name, (schema, described, what) in own.items():
        # Also where it is known: who publishes declares it as well, and a version may come back.
        for (other, older), shape in known.items():
            if other == name and older != schema and not leaves_unreadable:
                await _compare(store, what, name, older, shape, described)
        if (name, schema) not in known:
            await store.declare(name, schema, described)


async def _compare(
    store: DurableStore, what: str, name: str, older: str, shape: bytes, described: bytes
) -> None:
    breaking = [one for one in changes(shape_from(shape), shape_from(described)) if one.breaks]
    if not breaking:
        return
    count = await store.waiting(name, older)
    if count:
        told = "; ".join(f"`{one.path}` {one.text}" for one in breaking)
        raise UnreadableError(
            f"{count} of the {what} `{name}` wait that this version cannot read: {told}"
        )
