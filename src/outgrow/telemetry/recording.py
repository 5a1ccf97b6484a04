"""The switch: nothing is recorded of traces and logs until somebody comes who fetches them."""

from __future__ import annotations

import os

from outgrow.telemetry.joining import join_opentelemetry
from outgrow.telemetry.logs import watch_logging
from outgrow.telemetry.traces import recording


def start_recording(app: str, worker: str) -> None:
    """Record traces and logs from now on; to be called again once the app has started.

    The second time finds what the app's start-up has made, such as a tracer provider.

    Args:
        app: Name of the app, for what belongs to no service.
        worker: Name of this process.
    """
    recording.app, recording.worker = app, worker
    watch_logging()
    join_opentelemetry()
    recording.is_on = True


def stop_recording() -> None:
    """Record nothing more; what was kept may still be fetched."""
    recording.is_on = False


# A process that the app forks has no reporter, and would keep what nobody fetches.
os.register_at_fork(after_in_child=stop_recording)
