"""Processes that the demo starts, and that end with it however it ends.

A child gets its own session, so that Ctrl+C reaches the demo alone, which stops it gently. If the
demo is killed (`kill -9`), Linux sends the child SIGTERM by itself (PR_SET_PDEATHSIG): `outgrow
run` then drains and stops its workers, the traffic maker ends. Elsewhere a demo that is killed
that hard leaves `outgrow run` behind; Ctrl+C, SIGTERM and a closed terminal are safe everywhere.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

STOP_SECONDS = 40.0
PR_SET_PDEATHSIG = 1


class Child:
    """One started process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def ended(self) -> bool:
        """Whether it has stopped, by itself or not."""
        return self.process.returncode is not None

    async def stop(self) -> None:
        """Ask it to stop, wait, and kill its whole session if it does not."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()


async def start(
    *words: str,
    output: IO[bytes],
    folder: Path,
    errors: IO[bytes] | None = None,
    environment: dict[str, str] | None = None,
) -> Child:
    """Start a process in `folder` that writes to the open file `output`, errors as well."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=errors or output,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=_end_with(os.getpid()),
    )
    return Child(process)


def _end_with(parent_pid: int) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: after it, nothing may take a lock

    def ask_for_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_pid:  # it died before we asked
            os.kill(os.getpid(), signal.SIGTERM)

    return ask_for_signal
