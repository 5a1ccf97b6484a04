"""What happens to the shop meanwhile: moves, reloads, and workers that are killed.

One group, with the edge, is left alone in the second half, where memory is judged: its peers come
and go. In the first half it is reloaded with the others, and killed like them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from examples.exchange import Address, Exchange
from tests.soak.crowd import Failure

KEPT_GROUP = "front"
APPLY_SECONDS_MAX = 60.0
STATUS_SECONDS_MAX = 10.0
# A worker that dies within its first second is thought broken, and started later.
AGE_SECONDS_MIN = 2.0
# What was in the killed worker fails at once; what waits for its return has until then.
LOSS_SECONDS = 2.0
# A client that keeps connections may send on one before it notices that its end is gone.
NOTICE_SECONDS = 0.1
AWAY: dict[str, object] = {"moves": ["recommendations=desk"]}
BACK: dict[str, object] = {"moves": ["recommendations=advice"]}
RELOAD: dict[str, object] = {"reload": True}
FIRST_HALF = ("away", "kill any", "reload", "back", "kill any", "reload")
SECOND_HALF = ("away", "kill", "back", "kill")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A worker that was killed, and when, on `time.monotonic`."""

    at: float
    name: str


@dataclass(kw_only=True)
class Unrest:
    """The changes and kills, through the control socket and by signals.

    Attributes:
        socket_path: The control socket.
        done: How often each thing happened.
        kills: All kills.
        refused: Changes that were not carried out, in the supervisor's words.
    """

    socket_path: str
    dice: random.Random = field(default_factory=lambda: random.Random(2))
    done: Counter[str] = field(default_factory=Counter[str])
    kills: list[Kill] = field(default_factory=list[Kill])
    refused: list[str] = field(default_factory=list[str])

    async def status(self) -> dict[str, Any]:
        """What the supervisor says."""
        answer = await self._ask("GET", "/status", b"", STATUS_SECONDS_MAX)
        return json.loads(answer)

    async def apply(self, change: dict[str, object]) -> None:
        """Have it change something."""
        told = await self._ask("POST", "/apply", json.dumps(change).encode(), APPLY_SECONDS_MAX)
        if '"done"' not in told:
            self.refused.append(f"{change}: {told.strip()}")

    async def run(self, half: float, until: float, pause_seconds: float) -> None:
        """Go on until a moment, with what is meant for the second half from another on."""
        number = 0
        while time.monotonic() + 2 * pause_seconds < half:
            await self._one(FIRST_HALF[number % len(FIRST_HALF)])
            await asyncio.sleep(pause_seconds)
            number += 1
        if number % len(FIRST_HALF) in (1, 2, 3):
            await self._one("back")
        await asyncio.sleep(max(0.0, half - time.monotonic()))
        number = 0
        while time.monotonic() + pause_seconds < until:
            await self._one(SECOND_HALF[number % len(SECOND_HALF)])
            await asyncio.sleep(pause_seconds)
            number += 1

    async def _one(self, what: str) -> None:
        self.done[what] += 1
        if what.startswith("kill"):
            await self._kill(is_any=what == "kill any")
        else:
            await self.apply({"away": AWAY, "back": BACK, "reload": RELOAD}[what])

    async def _kill(self, *, is_any: bool) -> None:
        """Kill one that serves, and is no more than one of the version that serves."""
        status = await self.status()
        found = [
            worker
            for worker in status["workers"]
            if worker["state"] == "ready"
            and worker["version"] == status["version"]
            and worker["up_seconds"] > AGE_SECONDS_MIN
            and (is_any or worker["group"] != KEPT_GROUP)
        ]
        if found:
            victim = self.dice.choice(found)
            self.kills.append(Kill(at=time.monotonic(), name=victim["name"]))
            os.kill(victim["pid"], signal.SIGKILL)

    async def _ask(self, method: str, path: str, body: bytes, seconds: float) -> str:
        exchange = Exchange(address=Address(unix_path=self.socket_path), answer_seconds=seconds)
        try:
            answer = await exchange.ask(method, path, body)
        finally:
            await exchange.close()
        return answer.body.decode()


def unexplained(failures: Sequence[Failure], kills: Sequence[Kill]) -> list[Failure]:
    """Requests that failed, though no worker was killed while they were under way."""
    return [each for each in failures if not any(_explains(kill, each) for kill in kills)]


def _explains(kill: Kill, failure: Failure) -> bool:
    was_under_way = failure.began <= kill.at + NOTICE_SECONDS and kill.at <= failure.ended
    return was_under_way and failure.ended <= kill.at + LOSS_SECONDS
