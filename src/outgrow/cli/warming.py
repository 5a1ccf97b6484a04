"""Traffic that stands for that of now where there is none: in CI, before a forecast is verified."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from outgrow.cli.mixing import Source
    from outgrow.placement import ApiClient

SECONDS_MIN = 80.0
"""Six whole windows of 10 s, and those at the ends, which are not whole."""
REQUESTS_MIN = 700.0
SEEN_SECONDS_MAX = 30.0
_LOOK_SECONDS = 2.0


async def warm_up(
    api: ApiClient,
    source: Source,
    chance: random.Random,
    rate_per_second: float,
    say: Callable[[str], None],
) -> str:
    """Send until there is enough for a forecast; returns since when, as the API takes it."""
    from outgrow.capacity import Driver

    seconds = max(SECONDS_MIN, REQUESTS_MIN / rate_per_second)
    began_ms = time.time() * 1e3
    driver = Driver(source.draw, len(source.routes), chance)
    say(f"warming up: {rate_per_second:g} requests/s for {seconds:.0f} s")
    step = await driver.step(rate_per_second, seconds)
    await driver.end()
    source.close()
    say(f"  served {step.good_per_second:,.1f}/s, {step.bad} badly")
    since = f"{began_ms:.0f}"
    query = urlencode({"times": 1, "from": since})
    give_up = time.monotonic() + SEEN_SECONDS_MAX
    while time.monotonic() < give_up:
        if not (await asyncio.to_thread(api.get, f"forecast?{query}"))["refusal"]:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return since
