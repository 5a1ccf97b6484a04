"""The errors of durable work; codes OG701 and up.

They stand here and not with the others, whose file is at its cap.
"""

from __future__ import annotations

from outgrow.errors import OutgrowError


class DurableError(OutgrowError):
    """An event or a job cannot be kept or taken so."""


class MessageSizeError(DurableError, ValueError):
    """A part of an event or a job is larger than the store takes, or not what it can hold."""

    code = "OG701"
    hint = "Put large values elsewhere and pass where they are"


class LeaseLostError(DurableError):
    """A worker that the store takes for dead asked for work."""

    code = "OG702"
    hint = "Register the worker again; what it held was given to others"


class StoreOwnedError(DurableError):
    """Another process has this file of events and jobs open; SQLite has one writer."""

    code = "OG703"
    hint = "Stop the other process; or take `outgrow run`, which has a keeper, or PostgreSQL"


class StoreVersionError(DurableError):
    """The tables of events and jobs were made by a newer version than this one."""

    code = "OG704"
    hint = "Run the newer version; tables are only brought forwards"


class StoreBusyError(DurableError):
    """More writes wait for the store than it may hold."""

    code = "OG705"
    hint = "Try again later; the disk cannot keep up"


class StoreLostError(DurableError):
    """A write was broken off, by the disk or the server; nothing says that it was kept.

    Attributes:
        may_be_kept: Whether it may be there all the same. To send the same ids again is safe.
    """

    code = "OG706"
    hint = "Send it again with the same id, which is kept once"

    def __init__(self, text: str, *, hint: str | None = None, may_be_kept: bool = True) -> None:
        super().__init__(text, hint=hint)
        self.may_be_kept = may_be_kept


class SubscriptionMissingError(DurableError, LookupError):
    """A subscription is used that the log does not know."""

    code = "OG707"
    hint = "Subscribe first"


class SecondBlockError(DurableError):
    """A subscription or a job begins a second transaction on its service's own database."""

    code = "OG708"
    hint = "Put all changes into one `begin()` block, or mark it: `repeatable=True`"


class HandledBeforeError(DurableError):
    """A message was handled by an earlier attempt, whose end was not heard of.

    Attempts end here by themselves; catching it changes nothing.
    """

    code = "OG709"
    hint = "Let it pass: what was to be done is done"


class OutboxError(DurableError):
    """A transaction in which something is published or enqueued cannot carry it."""

    code = "OG717"
    hint = "Publish in a transaction of one database, SQLite or PostgreSQL, that has the outbox"


class StoreMovedError(DurableError):
    """The events and jobs of a place have moved to another, or are on their way there."""

    code = "OG718"
    hint = "Set `OUTGROW_DURABLE_URL` to the place that the error names"


class StoreMoveError(DurableError):
    """Events and jobs cannot be moved from this place to that one, or not now."""

    code = "OG719"


class TopicChangedError(DurableError):
    """A subscription is to read another event than the one at whose place it stands."""

    code = "OG720"
    hint = (
        'Keep the old name, `class ...(Event, name="...")`, or give the subscription another, '
        '`@subscribe(name="...")`; `outgrow jobs unsubscribe NAME` has it forgotten'
    )
