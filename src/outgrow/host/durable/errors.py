"""What can go wrong between an app and its durable work."""

from __future__ import annotations

from outgrow.errors import ServiceError


class UnreadableError(ServiceError):
    """Events or jobs wait that this version of the app cannot read, or has nobody to run."""

    code = "OG711"
    hint = (
        "Give what was added a default, and keep what was removed until the old version has worked "
        "them off; or start with `leave_unreadable`: then they go to the dead letters"
    )


class NoDurableError(ServiceError):
    """Something is published or enqueued where no services run that could."""

    code = "OG712"
    hint = "Start the services before: `outgrow run`, `lifespan`, or in a test `running`"


class JobExitError(ServiceError):
    """A job or a subscription asked its process to end, which would take others along."""

    code = "OG714"
    hint = "Return, or raise an exception"


class StrayCancelError(ServiceError):
    """A job or a subscription ended by a cancel that was not meant for it."""

    code = "OG715"
    hint = "It awaited a task or a future that somebody had cancelled: catch `CancelledError` there"


class AttemptOverError(ServiceError):
    """A thread goes on with an attempt at a job or an event that is over."""

    code = "OG716"
    hint = "Let it end the method; a job that takes longer needs a longer `timeout`"


class JobEndedError(ServiceError):
    """A job whose result was awaited ended without one.

    Attributes:
        state: How it ended.
    """

    code = "OG713"
    hint = "`outgrow jobs show ID` says why"

    def __init__(self, text: str, *, hint: str | None = None, state: str = "") -> None:
        super().__init__(text, hint=hint)
        self.state = state
