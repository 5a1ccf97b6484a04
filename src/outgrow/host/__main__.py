"""`python -m outgrow.host DESCRIPTOR`: a nursery or a worker, as the supervisor orders."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from outgrow.errors import ImportFailedError, OutgrowError
from outgrow.host.nursery import Nursery, import_app, open_channel
from outgrow.host.orders import Begin, Failed
from outgrow.host.worker import EXIT_FAILED, Worker

if TYPE_CHECKING:
    from outgrow.host.orders import Order
    from outgrow.wire import Channel


_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Become what the first order says, and stay it; returns the exit code."""
    # The supervisor alone decides what a signal means; a function, not SIG_IGN, which programs
    # started by the app would inherit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave_to_supervisor)
    faulthandler.enable(file=2, all_threads=True)
    _die_with_parent(signal.SIGKILL)
    channel = open_channel(int(sys.argv[1]))
    begin, early = _first_orders(channel)
    try:
        _configure_logging(begin)
        if begin.name:
            worker: Worker | None = Worker(begin, channel, import_app(begin)[0], early)
        else:
            worker = Nursery(begin, channel).run()
    except OutgrowError as problem:
        channel.send(Failed(problem.code, problem.text, problem.hint))
        return EXIT_FAILED
    _die_with_parent(0)  # the heartbeat sees to it from here; a forked worker has it at 0 already
    if worker is None:
        # What the import registered to run at exit belongs to the workers, not to the nursery.
        os._exit(0)
    return worker.run()


def _die_with_parent(number: int) -> None:
    """While the app is imported nobody reads the channel: then only the kernel can tell (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def _leave_to_supervisor(_number: int, _frame: object) -> None:
    """Ctrl+C and a closed terminal reach the whole process group."""


def _first_orders(channel: Channel[Order]) -> tuple[Begin, list[tuple[Order, list[int]]]]:
    """What to be, and what else was ordered before this process read anything."""
    arrived: list[tuple[Order, list[int]]] = []
    while not arrived:
        arrived = channel.receive()
    begin = arrived.pop(0)[0]
    assert isinstance(begin, Begin), begin
    return begin, arrived


def _configure_logging(begin: Begin) -> None:
    """As uvicorn does it, before the app is imported, so that the app can change it."""
    settings = begin.settings
    try:
        uvicorn.Config(
            "",
            log_config=settings.log_config or LOGGING_CONFIG,
            log_level=settings.log_level,
            access_log=settings.access_log,
            use_colors=begin.has_colors,
        )
    except Exception as problem:
        text = f"the logging configuration {settings.log_config} cannot be used: {problem}"
        raise ImportFailedError(text, hint="Mend that file, or leave `log_config` away") from None


if __name__ == "__main__":
    sys.exit(main())
