"""A process that answers calls, and writes each down before it answers: it may be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from outgrow import operation, service
from outgrow.host import Host
from outgrow.model import App
from outgrow.wire import AnsweringConnection, Meeting, listen

LEDGER = "LEDGER"
DELAY = "DELAY"


@service(concurrent_calls_max=1_000)
class Till:
    @operation
    async def pay(self, number: int, note: str = "") -> int:
        return await booked(number)

    @operation(idempotent=True)
    async def pay_once(self, number: int) -> int:
        return await booked(number)

    @operation(idempotent=True, hedge_after=0.05)
    async def look(self) -> int:
        await asyncio.sleep(float(os.environ.get(DELAY, "0")))
        return os.getpid()


async def booked(number: int) -> int:
    """Write the number down; returns this process's id."""
    with Path(os.environ[LEDGER]).open("ab", buffering=0) as written:  # noqa: ASYNC230
        written.write(f"{number}\n".encode())  # at once, in one piece, from any process
    await asyncio.sleep(0)
    return os.getpid()


async def serve(path: str) -> None:
    host = Host(App(services=[Till]))
    await host.start()
    answerers = host.answerers()
    await listen(Meeting("unix", path=path), lambda: AnsweringConnection(answerers, name="till"))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
