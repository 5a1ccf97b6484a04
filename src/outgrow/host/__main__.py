"""`python -m outgrow.host DESCRIPTOR`: a nursery or a worker, as the supervisor orders."""

from __future__ import annotations

import os
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


def main() -> int:
    """Become what the first order says, and stay it; returns the exit code."""
    channel = open_channel(int(sys.argv[1]))
    begin = _first_order(channel)
    try:
        _configure_logging(begin)
        if begin.name:
            worker: Worker | None = Worker(begin, channel, import_app(begin)[0])
        else:
            worker = Nursery(begin, channel).run()
    except OutgrowError as problem:
        channel.send(Failed(problem.code, problem.text, problem.hint))
        return EXIT_FAILED
    if worker is None:
        # What the import registered to run at exit belongs to the workers, not to the nursery.
        os._exit(0)
    return worker.run()


def _first_order(channel: Channel[Order]) -> Begin:
    while True:
        for order, _ in channel.receive():
            assert isinstance(order, Begin), order
            return order


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
