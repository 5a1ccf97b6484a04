"""What a store says of a move: so that nobody works where only a part is, or nothing any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from outgrow.store.durable.errors import StoreMovedError

if TYPE_CHECKING:
    from uuid import UUID

State = Literal["leaving", "left", "filling"]
AGAIN = "Give the same `outgrow store move` again: it goes on where it was"


@dataclass(frozen=True)
class Mark:
    """A move, as one of its two stores has it.

    Attributes:
        id: Of the move; the same at both.
        state: `leaving` and `left` at the source, `filling` at the target, until all is there.
        other: Where the other store is, without a password.
    """

    id: UUID
    state: State
    other: str


def check_here(here: str, mark: Mark | None) -> None:
    """Refuse to work in a store that is not whole.

    Raises:
        StoreMovedError: What was in it is elsewhere, or on its way; or it is being filled.
    """
    if mark is None:
        return
    if mark.state == "left":
        raise StoreMovedError(
            f"the events and jobs of {here} have moved to {mark.other}",
            hint="Set `OUTGROW_DURABLE_URL` to that place",
        )
    if mark.state == "leaving":
        raise StoreMovedError(
            f"the events and jobs of {here} are on their way to {mark.other}",
            hint=f"{AGAIN}; or add `--give-up` to stay",
        )
    raise StoreMovedError(
        f"not all events and jobs of {mark.other} have come to {here} so far", hint=AGAIN
    )
