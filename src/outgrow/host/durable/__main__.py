"""`python -m outgrow.host.durable DESCRIPTOR URL MEETING`: the keeper, as the supervisor orders."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys

from outgrow.errors import OutgrowError
from outgrow.host.durable.care import Care
from outgrow.host.durable.keeper import KeeperHints, keeping
from outgrow.store import durable_at

LINGER_SECONDS = 3.0
EXIT_FAILED = 3


def main() -> int:
    """Keep until the supervisor lets go or is gone; returns the exit code."""
    faulthandler.enable(file=2, all_threads=True)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s")
    # The supervisor alone decides what a signal means.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(int(sys.argv[1]), False)
    with socket.socket(fileno=int(sys.argv[1])) as life:
        try:
            asyncio.run(_keep(life, sys.argv[2], sys.argv[3]))
        except OutgrowError as problem:
            sys.stderr.write(f"keeper: {problem}\n")
            return EXIT_FAILED
    return 0


async def _keep(life: socket.socket, url: str, meeting: str) -> None:
    loop = asyncio.get_running_loop()
    store, hints = durable_at(url), KeeperHints()
    life.setblocking(False)
    await store.start()
    try:
        async with keeping(store, hints, meeting) as exchange:
            care = Care(store, hints)
            care.start()
            try:
                with contextlib.suppress(OSError):
                    await loop.sock_recv(life, 1)  # it ends with the supervisor, or by its wish
                # Workers whose supervisor is gone finish what they have begun.
                await exchange.emptied(LINGER_SECONDS)
            finally:
                await care.stop()
    finally:
        await store.stop()


if __name__ == "__main__":
    sys.exit(main())
