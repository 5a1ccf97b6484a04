"""Keeps one core busy for so many seconds, when told to; run as a program by `host`.

It says `ready`, waits for a line, works, and says how many rounds a second it did. It imports
nothing of Outgrow, so that it is ready at once.
"""

import sys
import time

ROUND_WORK = 20_000


def spin(seconds: float) -> float:
    """Rounds a second."""
    began, rounds, total = time.perf_counter(), 0, 0
    while time.perf_counter() - began < seconds:
        for number in range(ROUND_WORK):
            total += number
        rounds += 1
    return rounds / (time.perf_counter() - began)


def main() -> None:
    """Speak the protocol above."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(f"{spin(float(sys.argv[1]))}\n")


if __name__ == "__main__":
    main()
