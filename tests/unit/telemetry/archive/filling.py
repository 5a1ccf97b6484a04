"""An archive whose files may grow no more for a while, as on a full disk.

Run as a module with a folder; what does not hold is an error.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from outgrow.telemetry import TraceSearch
from tests.unit.telemetry.archive.telling import EVER, Clock, Teller, ledger, opened, span, told

SPANS = 50
LIMIT = 20_000


class Filling:
    """An archive with its worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.archive = opened(folder, self.clock)
        self.teller = Teller(self.clock)

    def report(self, times: int) -> bool:
        """Report each second; whether all was written."""
        is_written = True
        for _ in range(times):
            self.teller.work(3)
            first = self.teller.number * SPANS
            spans = [span(n, self.clock.now_ns) for n in range(first, first + SPANS)]
            self.archive.take(self.teller.origin, self.teller.report(spans=spans))
            self.clock.pass_seconds(1)
            is_written = self.archive.write()
            if self.teller.number % 5 == 0:
                self.check()
        return is_written

    def check(self) -> None:
        """Compare with the ledger."""
        assert told(self.archive) == ledger(self.teller.calls)

    def spans_count(self) -> int:
        """How many spans are in the files."""
        page = self.archive.traces(TraceSearch(limit=1000), *EVER)
        assert page.before_ns is None or len(page) == 1000
        return sum(one.spans for one in page)


def limit(size: int) -> None:
    """Let no file of this process be larger."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def main() -> None:
    """Fill it, let it go on, and look."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    filling = Filling(Path(sys.argv[1]))
    assert filling.report(3)
    largest = max(path.stat().st_size for path in filling.folder.iterdir())
    limit(largest + LIMIT)
    assert not filling.report(13)
    health = filling.archive.health()
    assert "too large" in health.problem, health
    assert health.waiting, health
    limit(resource.RLIM_INFINITY)
    assert filling.report(1)
    health = filling.archive.health()
    assert not health.problem, health
    assert not health.dropped, health
    assert not health.set_aside, health
    filling.check()
    assert filling.spans_count() == min(1000, SPANS * filling.teller.number)
    filling.archive.close()
    filling.archive = opened(filling.folder, filling.clock)
    filling.check()
    filling.archive.close()


if __name__ == "__main__":
    main()
