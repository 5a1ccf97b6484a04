"""What the demo proves: a forecast of the shop, then a load test of it, then what came of both.

The forecast comes from the traffic that the demo has seen, by the observer's API. The load test is
`outgrow verify`, in a process of its own, with the visitors of the demo.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.children import start
from examples.exchange import Address, Exchange

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = ROOT / "examples" / "shop" / "load.py"
API_NAME = "observer.sock"
FORECAST_SECONDS_MAX = 150.0
"""From the first request; six windows of 10 s without a restart make a forecast."""
ASK_SECONDS = 5.0
OBSERVER_SECONDS_MAX = 20.0
SAY_SECONDS = 10.0
VERIFY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
LOOK_SECONDS = 0.25

Say = Callable[[str], None]
Pause = Callable[[float], Awaitable[None]]


class ProofError(Exception):
    """There is nothing to prove; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where it is proved.

    Attributes:
        folder: Of `outgrow run`.
        stopped: Set once somebody has had enough.
        say: Tells the person who watches.
    """

    folder: Path
    stopped: asyncio.Event
    say: Say

    async def pause(self, seconds: float) -> None:
        """Wait, but not when all is to end."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except TimeoutError:
            return


async def foretell(scene: Scene) -> dict[str, Any]:
    """Wait until there is a forecast, and tell it as the API does.

    Raises:
        ProofError: There is none in time, or the demo was stopped.
    """
    path = scene.folder / API_NAME
    exchange = Exchange(address=Address(unix_path=str(path)), answer_seconds=ANSWER_SECONDS)
    began = said = time.monotonic()
    why = "the observer does not answer"
    try:
        while time.monotonic() - began < FORECAST_SECONDS_MAX:
            await scene.pause(ASK_SECONDS)
            if scene.stopped.is_set():
                raise ProofError("it was stopped before there was a forecast")
            if not path.exists() and time.monotonic() - began > OBSERVER_SECONDS_MAX:
                raise ProofError("no observer runs beside the shop: it needs `outgrow[watch]`")
            try:
                answer = await exchange.ask("GET", "/api/forecast?times=2")
            except OSError:
                continue
            told = json.loads(answer.body)
            if answer.status == 200 and not told["refusal"]:
                return told
            why = told["refusal"]["text"] if answer.status == 200 else f"status {answer.status}"
            if time.monotonic() - said >= SAY_SECONDS:
                said = time.monotonic()
                scene.say(f"No forecast yet: {why}.")
    finally:
        await exchange.close()
    raise ProofError(f"there is no forecast: {why}")


async def verify(scene: Scene, *more: str) -> dict[str, Any]:
    """Drive the shop up to the limit that was foretold; what came of it, as JSON.

    Raises:
        ProofError: It could not be done, or the demo was stopped.
    """
    words = ["verify", "--yes", "--json", "--seconds", f"{VERIFY_SECONDS:g}"]
    said = await outgrow(scene, *words, "--scenario", str(SCENARIO), *more)
    return json.loads(said[-1])


async def outgrow(scene: Scene, *words: str) -> Sequence[str]:
    """Run a verb of `outgrow` on the shop, and pass on what it says; the lines of its answer.

    Raises:
        ProofError: It failed, or the demo was stopped.
    """
    talk, answer = scene.folder / "verb.log", scene.folder / "verb.out"
    command = [sys.executable, "-m", "outgrow", *words, "--folder", str(scene.folder.resolve())]
    with talk.open("wb") as errors, answer.open("wb") as output:
        child = await start(*command, output=output, errors=errors, folder=ROOT)
        told = 0
        try:
            while not (child.ended or scene.stopped.is_set()):
                await scene.pause(LOOK_SECONDS)
                lines = talk.read_text(errors="replace").splitlines(keepends=True)
                whole = [line.rstrip() for line in lines if line.endswith("\n")]
                for line in whole[told:]:
                    scene.say(f"  {line}")
                told = len(whole)
        finally:
            await child.stop()
    if scene.stopped.is_set():
        raise ProofError(f"`outgrow {words[0]}` was stopped")
    found = answer.read_text().splitlines()
    if not found:
        raise ProofError(f"`outgrow {words[0]}` gave no answer")
    return found


def sentence(told: dict[str, Any]) -> str:
    """A forecast beside what was measured, in one sentence."""
    first = " or ".join(f"`{name}`" for name in told["first_foretold"])
    foretold = f"Predicted {_shown(told['foretold'])} requests/s, with {first} as the first limit"
    measured = told["measured"]["best"]
    if not told["is_reached"]:
        return f"{foretold}; {measured:,.0f} were borne, and the limit was not reached."
    full = told["first_measured"]
    if not full:
        return f"{foretold}; measured {measured:,.0f}, and the first limit was not seen."
    verdict = "right" if full in told["first_foretold"] else "wrong"
    said = (
        f"{foretold}; measured {measured:,.0f}, with `{full}` first: the first limit was {verdict}"
    )
    if told["is_held"] is None:
        said += f", but others took {told['others_cores']:.1f} cores meanwhile"
    return f"{said}."


def gain(title: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """What a plan has brought, beside what it had foretold, in one sentence."""
    was, now = before["measured"]["best"], after["measured"]["best"]
    said = f"After the plan ({title}): predicted {_shown(after['foretold'])} requests/s, measured "
    said += f"{now:,.0f}" if after["is_reached"] else f"at least {now:,.0f}"
    return f"{said}, {now / max(was, 1e-9):.1f} times the {was:,.0f} before."


def _shown(one: dict[str, float]) -> str:
    return f"{one['best']:,.0f} ({one['low']:,.0f} to {one['high']:,.0f})"
