"""What Django and Flask make a 500 of: they say so in a signal; in threads nothing else does."""

from __future__ import annotations

import sys
from typing import Any

from outgrow.host.arrival import note_failure


def watch_failures() -> None:
    """Have both say it, where they are loaded. Neither is imported by this."""
    flask: Any = sys.modules.get("flask")
    if flask is not None:
        flask.got_request_exception.connect(_failed_in_flask, weak=False)
    django: Any = sys.modules.get("django.core.signals")
    if django is not None:
        django.got_request_exception.connect(_failed_in_django, weak=False)


def _failed_in_flask(_app: Any, exception: BaseException, **_: Any) -> None:
    note_failure(exception)


def _failed_in_django(**_: Any) -> None:
    error = sys.exc_info()[1]  # the signal does not hold it, but is sent where it was caught
    if error is not None:
        note_failure(error)
