"""One end of a contender: `python -m benchmarks.crossing serve|ask NAME FOLDER PORT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from . import CONTENDERS, Place, module_of
from .asking import take_loads


def main() -> None:
    """Be that end until told to stop."""
    side, name, folder, port, *rest = sys.argv[1:]
    place = Place(folder=Path(folder), port=int(port), variant=CONTENDERS[name].variant)
    module = module_of(name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if side == "serve":
            runner.run(module.serve(place))
        else:
            runner.run(take_loads(module.asking(place), int(rest[0])))


if __name__ == "__main__":
    main()
