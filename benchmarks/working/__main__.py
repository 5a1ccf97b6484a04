"""One end of a contender: `python -m benchmarks.working send|work NAME FOLDER URL ...`.

send NAME FOLDER URL COUNT CALLERS PAUSE    enqueue so many, and print how long that took
work NAME FOLDER URL                        run them, until killed
singles NAME FOLDER URL COUNT PAUSE         both at once, one job at a time
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import sys
import time
from pathlib import Path

from . import Place, Ways, in_outgrow, ways_of


def main() -> None:
    """Be that end."""
    side, name, folder, url, *rest = sys.argv[1:]
    place = Place(folder=Path(folder), url=url)
    if side == "work":
        ways_of(name).work(place)
    elif side == "singles":
        in_outgrow.singles(place, int(rest[0]), float(rest[1]))
    else:
        count, callers, pause = rest
        asyncio.run(_send(ways_of(name), place, int(count), int(callers), float(pause)))


async def _send(ways: Ways, place: Place, count: int, callers: int, pause: float) -> None:
    async with ways.sending(place) as send:
        numbers = itertools.count()

        async def go_on() -> None:
            while (number := next(numbers)) < count:
                sent = send(number, time.monotonic_ns())
                if inspect.isawaitable(sent):
                    await sent
                if pause:
                    await asyncio.sleep(pause)

        began, cpu_began = time.perf_counter(), time.process_time()
        await asyncio.gather(*(go_on() for _ in range(callers)))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}), flush=True)


if __name__ == "__main__":
    main()
