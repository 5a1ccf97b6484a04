"""An archive at work in a process of its own, until it is killed from outside.

Run as a module with a folder and the number of the first report; prints each report that it took.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from outgrow.telemetry import Archive
from tests.unit.telemetry.archive.telling import Clock, Teller, span

CALLS = 3
# Its clock runs so much faster, so that windows are written all the time.
HASTE = 400


def calls_after(number: int) -> int:
    """Of the ledger, after so many reports."""
    return number * CALLS


def main() -> None:
    """Report until the end."""
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    began_ns = time.time_ns()
    # Clocks of later runs go on behind earlier ones.
    clock = Clock(began_ns)
    archive = Archive(folder, clock_ns=clock)
    teller = Teller(clock, number=number - 1, began_at_ns=1, calls=calls_after(number - 1))
    while True:
        clock.now_ns = began_ns + (time.time_ns() - began_ns) * HASTE
        teller.work(CALLS)
        spans = [span(teller.number + 1, clock.now_ns)]
        archive.take(teller.origin, teller.report(spans=spans))
        sys.stdout.write(f"{teller.number}\n")
        sys.stdout.flush()
        archive.write()


if __name__ == "__main__":
    main()
