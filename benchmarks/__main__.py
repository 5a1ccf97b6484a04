"""Run the benchmarks named on the command line, or all of them."""

from __future__ import annotations

import argparse
from importlib import import_module

NAMES = (
    *("count", "start", "balance", "memory", "http", "overload", "calls", "remote"),
    *("order_path", "slow_replica", "ingest", "archive", "telemetry", "durable", "jobs"),
)


def main() -> None:
    """Run them one after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender")
    parser.add_argument("--seconds", type=float, default=3, help="load of each measurement")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in chosen.names or NAMES:
        import_module(f"benchmarks.{name}").run(chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()
