"""Fuzzes the wire for so many seconds: `python -m tests.fuzz 120`.

With atheris, which looks for inputs that reach new lines; without it, by blind chance.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

SECONDS = 120
BYTES_MAX = 600
MEMORY_MB_MAX = 1024
INPUT_SECONDS_MAX = 5


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    try:
        atheris = importlib.import_module("atheris")  # not of the development set: not everywhere
    except ImportError:
        sys.stderr.write("no atheris here (pip install atheris), so by blind chance\n")
        by_chance(seconds)
    else:
        guided(atheris, seconds)


def guided(atheris: ModuleType, seconds: int) -> None:
    """Let atheris choose; it ends the process itself."""
    with atheris.instrument_imports(include=["outgrow.wire"]):
        from tests.fuzz.ends import known, try_one
    loop = asyncio.new_event_loop()
    folder = Path(tempfile.mkdtemp(prefix="outgrow-fuzz-"))
    for number, each in enumerate(known()):
        (folder / str(number)).write_bytes(each)

    def target(chosen: bytes) -> None:
        loop.run_until_complete(try_one(chosen))

    limits: dict[str, Any] = {
        "max_total_time": seconds,
        "max_len": BYTES_MAX,
        "timeout": INPUT_SECONDS_MAX,
        "rss_limit_mb": MEMORY_MB_MAX,
        "print_final_stats": 1,
        "artifact_prefix": f"{folder}/failed-",
    }
    options = [f"-{name}={value}" for name, value in limits.items()]
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


def by_chance(seconds: int) -> None:
    """Change inputs that are known by chance, in another way each time."""
    from tests.fuzz.ends import known, try_one

    async def go_on() -> int:
        dice = random.Random()
        inputs = known()
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            chosen = b"".join(dice.sample(inputs, 3))
            for _ in range(dice.randrange(8)):
                at = dice.randrange(len(chosen))
                chosen = chosen[:at] + dice.randbytes(dice.randrange(3)) + chosen[at + 1 :]
            try:
                await try_one(chosen)
            except BaseException:
                sys.stderr.write(f"failed with {chosen!r}\n")
                raise
            count += 1
        return count

    sys.stderr.write(f"{asyncio.run(go_on()):,} inputs, and nothing broke\n")


if __name__ == "__main__":
    main()
