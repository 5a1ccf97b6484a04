"""`python -m outgrow.dashboard DESCRIPTOR`: the observer, as the supervisor orders."""

from __future__ import annotations

import faulthandler
import logging
import sys

from outgrow.dashboard.posts import beside


def main() -> int:
    """Observe until the supervisor wants no more, or ends; returns the exit code."""
    faulthandler.enable(file=2, all_threads=True)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s")
    return beside(int(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
