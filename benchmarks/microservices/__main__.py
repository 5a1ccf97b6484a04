"""Run the three apps, each under uvicorn in a process of its own, until SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.servers import free_port
from examples.shop.places import databases_in

from .calling import PLACES

FAST = ("--loop", "uvloop", "--http", "httptools")
# No connection that another app keeps is closed while it is in use.
QUIET = ("--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "75")


def main() -> int:
    """Start them, and stop all when told to."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    ports = {"front": port, "desk": free_port(), "advice": free_port()}
    where = {PLACES[name]: f"http://127.0.0.1:{each}" for name, each in ports.items()}
    environment = {**os.environ, **databases_in(folder), **where}
    here = [sys.executable, "-m", "uvicorn"]
    apps = [
        subprocess.Popen(
            [*here, f"{__package__}.{name}:app", "--port", str(each), *FAST, *QUIET],
            env={**environment, "OUTGROW_DURABLE_URL": f"sqlite:///{folder}/durable-{name}.db"},
        )
        for name, each in ports.items()
    ]
    signal.signal(signal.SIGTERM, lambda *_: [app.terminate() for app in apps])
    codes = [app.wait() for app in apps]
    return max(map(abs, codes))


if __name__ == "__main__":
    sys.exit(main())
