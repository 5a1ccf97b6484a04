"""What a worker leaves behind in places that it shared with others."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def clear_live_gauges(pid: int) -> None:
    """Remove the gauges of a worker that ended from PROMETHEUS_MULTIPROC_DIR, where that is set.

    Prometheus' client for Python keeps a file for each process there, and asks whoever runs the
    processes to remove those of its `live` gauges; counters and histograms stay, so sums hold.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder or not pid:
        return
    for file in Path(folder).glob(f"gauge_live*_{pid}.db"):
        with contextlib.suppress(OSError):
            file.unlink()
