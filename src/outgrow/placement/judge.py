"""When patience with a worker ends: it starts too slowly, stands still, or does not leave."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from outgrow.errors import StartupTimeoutError
from outgrow.host import Dump
from outgrow.placement.crew import STUCK_SECONDS, as_failed, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.model import Settings
    from outgrow.placement.crew import Worker

KILL_AFTER_DUMP_SECONDS = 1.0
KILL_AGAIN_SECONDS = 1.0
DRAIN_GRACE_SECONDS = 5.0


def judge(worker: Worker, settings: Settings, now: float, say: Callable[[str], None]) -> None:
    """End a worker whose time is up.

    Args:
        worker: Who is judged.
        settings: How much patience there is.
        now: Seconds, on the loop's clock.
        say: Tells people.
    """
    if worker.killed_at or worker.lost_at:
        # Its end has begun; make sure that it comes.
        if now - (worker.killed_at or worker.lost_at) > KILL_AGAIN_SECONDS:
            worker.kill(signal.SIGKILL, now)
    elif worker.drain_at:
        if now - worker.drain_at > worker.drain_seconds + DRAIN_GRACE_SECONDS:
            say(f"{worker.name} did not leave in time and is killed")
            worker.kill(signal.SIGKILL, now)
    elif not worker.ready_at:
        if now - worker.started_at > settings.startup_seconds:
            _too_slow(worker, settings.startup_seconds, now)
    elif worker.stands_still_seconds(now) > settings.stuck_seconds:
        _stuck(worker, now, say)
    else:
        worker.dumped_at = 0.0


def _too_slow(worker: Worker, limit_seconds: float, now: float) -> None:
    text = f"{worker.name}: the app's start-up took more than {limit_seconds:g} s"
    if worker.beat and worker.beat.waits_for:
        text += f"\n  it waits at {worker.beat.waits_for}"
    worker.failed = as_failed(StartupTimeoutError(text))
    worker.kill(signal.SIGKILL, now)


def _stuck(worker: Worker, now: float, say: Callable[[str], None]) -> None:
    if not worker.dumped_at:
        worker.dumped_at = now
        seconds = worker.stands_still_seconds(now)
        say(f"{worker.name} has not turned its event loop for {seconds:.0f} s: it is replaced")
        if now - worker.beat_at <= STUCK_SECONDS:
            send(worker.channel, Dump())
        elif worker.pid:
            # Not even its heartbeat runs: only the kernel still gets through to it.
            os.kill(worker.pid, signal.SIGABRT)
    elif now - worker.dumped_at > KILL_AFTER_DUMP_SECONDS:
        worker.kill(signal.SIGKILL, now)
