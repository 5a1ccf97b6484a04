"""What the process at the top of all others asks of the system."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36
_CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def ignore_signals() -> None:
    """Have none come while the loop closes.

    It closes the pipe for signals before it lets go of them, and Python tells of one that comes in
    between by a traceback; a nursery that we have just killed sends one then.
    """
    for number in _CAUGHT:
        signal.signal(number, signal.SIG_IGN)


def terminal_is_gone() -> bool:
    """Whether the terminal that this process was started from has been closed."""
    try:
        os.tcgetpgrp(sys.stdin.fileno())
    except OSError:
        return True
    return False


def become_subreaper() -> None:
    """Have orphaned descendants become our children, as forked workers are (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
