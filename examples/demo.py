"""The shop under Outgrow in three groups, with traffic, its page and its live status: `make demo`.

While all of it serves, one service moves from a group of its own to another. After a minute and a
half there is a forecast of what breaks first, which a load test verifies: the last sentence says
what was predicted and what was measured. On a terminal the demo then goes on until Ctrl+C.

    DEMO_SECONDS=300 make demo   begins in one process, and carries out a plan and measures it too
    DEMO_SECONDS=30 make demo    ends after half a minute, without a forecast
    DEMO_RATE=120 make demo      sends so many requests a second

DEMO_PORT (8000) is the first port to try, DEMO_FOLDER (.outgrow/demo) holds all state; the shop
starts fresh each time. Ctrl+C stops everything, a second one does not wait for open requests.
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from examples.busiest import busiest
from examples.children import Child, start
from examples.exchange import Address, Exchange
from examples.proof import ProofError, Scene, foretell, gain, outgrow, sentence, verify
from examples.screen import Screen
from examples.shop.places import DATABASES, databases_in

ROOT = Path(__file__).resolve().parents[1]
SHOP = ROOT / "examples" / "shop"  # where the outgrow.toml with the groups is
MOVE = b'{"moves": ["recommendations=desk"]}'
MOVED = "`recommendations` moved from group `advice` to `desk`"
MOVE_SECONDS = 15.0
MOVE_SECONDS_MAX = 60.0
DEFAULT_RATE = "50"
PROOF_SECONDS_MIN = 120.0
"""A demo that is to be shorter makes no forecast."""
PLAN_SECONDS_MIN = 240.0
"""One that may take so long begins in one process, and carries out a plan."""
PLAN_RATE = "35"
"""What one process bears at a third of its load."""
PLAN_RATIO = 1.4
"""The plan is to bear so much more than the first limit."""
DEFAULT_PORT = "8000"
DEFAULT_FOLDER = ROOT / ".outgrow" / "demo"
PORTS_COUNT = 100
START_SECONDS = 90.0
PAGE_SECONDS = 15.0
SAY_SECONDS = 2.0
LOOK_SECONDS = 1.0


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where this demo plays; `lock` keeps other demos away while it is open."""

    port: int
    folder: Path
    lock: IO[bytes]
    seconds: float

    @property
    def is_proved(self) -> bool:
        """Whether there is time for a forecast and a load test."""
        return self.seconds >= PROOF_SECONDS_MIN

    @property
    def is_planned(self) -> bool:
        """Whether there is time for a plan as well."""
        return PLAN_SECONDS_MIN <= self.seconds < float("inf")

    @property
    def rate(self) -> str:
        """Requests a second."""
        return os.environ.get("DEMO_RATE") or (PLAN_RATE if self.is_planned else DEFAULT_RATE)

    @property
    def address(self) -> str:
        """The shop's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What `outgrow run` and the shop say."""
        return self.folder / "run.log"

    @property
    def traffic_report(self) -> Path:
        """What the traffic maker says at its end."""
        return self.folder / "traffic.json"


def say(text: str) -> None:
    """Tell the person who watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Play the demo; 0 if something was measured, 1 if not."""
    seconds = float(os.environ.get("DEMO_SECONDS") or "inf")
    try:
        return asyncio.run(_play(seconds))
    except DemoError as error:
        sys.stderr.write(f"The demo stopped: {error}\n")
        return 1


async def _play(seconds: float) -> int:
    stopped = asyncio.Event()
    stage = _stage(seconds)
    async with AsyncExitStack() as stack:
        stack.enter_context(stage.lock)
        shop = await stack.enter_async_context(_shop(stage))
        _stop_on_signals(stopped, shop)
        control = Exchange(address=Address(unix_path=str(stage.folder / "control.sock")))
        stack.push_async_callback(control.close)
        if not await _ready(stage, shop, control, stopped):
            say("Stopped before the shop was ready; nothing was measured.")
            return 1
        page = await _page(stage, shop, control, stopped)
        _introduce(stage, page)
        scene = Scene(folder=stage.folder, stopped=stopped, say=say)
        last, told = await _with_traffic(stage, shop, control, scene)
        proved: list[str] = []
        if told is not None:
            proved = await _proved(stage, scene, told)
            if sys.stdout.isatty() and seconds == float("inf") and not stopped.is_set():
                say("\n".join(["", *proved, "", "It goes on until Ctrl+C."]))
                async with _traffic(stage):
                    last = await _watch(stage, shop, control, scene, seconds=seconds) or last
        say("Stopping the shop ...")
    return _conclude(stage, last, proved)


async def _with_traffic(
    stage: Stage, shop: Child, control: Exchange, scene: Scene
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The last status, and the forecast; None where there is none."""
    async with _traffic(stage):
        moving = asyncio.create_task(_move(stage, min(MOVE_SECONDS, stage.seconds / 2)))
        foretold = asyncio.create_task(foretell(scene)) if stage.is_proved else None
        last = await _watch(stage, shop, control, scene, seconds=stage.seconds, until=foretold)
        moving.cancel()
        say("Stopping the traffic ...")
    if foretold is None:
        return last, None
    try:
        return last, await foretold
    except ProofError as error:
        if not scene.stopped.is_set():
            say(f"Not verified: {error}.")
        return last, None


async def _proved(stage: Stage, scene: Scene, told: dict[str, Any]) -> list[str]:
    """Sentences that were measured then and there."""
    found: list[str] = []
    try:
        say("A load test drives the shop up to what the forecast says, for about a minute:")
        before = await verify(scene)
        found.append(sentence(before))
        if stage.is_planned:
            say(f"\n{found[0]}\n")
            found.append(await _grown(stage, scene, told, before))
    except ProofError as error:
        if not scene.stopped.is_set():
            say(f"Not verified: {error}.")
    return found


async def _grown(stage: Stage, scene: Scene, told: dict[str, Any], before: dict[str, Any]) -> str:
    """Carry out a plan, and measure again; says what it has brought."""
    path = str(stage.folder.resolve() / "growth.json")
    times = f"{PLAN_RATIO * told['headroom']['best']:.1f}"
    say(f"A plan for {times} times the traffic, of what can be done without touching code:")
    answer = await outgrow(scene, "plan", times, "--only-placement", "--json", "--out", path)
    plan = json.loads(answer[-1])
    say(f"  {plan['sentence']}")
    if not plan["steps"]:
        return "No change of placement moves the first limit: no plan was carried out."
    title = "; ".join(step["pattern"]["title"] for step in plan["steps"])
    for line in await outgrow(scene, "apply", path):
        say(f"  {line}")
    say("The same load test, up to what the plan says:")
    return gain(title, before, await verify(scene, "--plan", path))


def _stop_on_signals(stopped: asyncio.Event, shop: Child) -> None:
    def stop() -> None:
        if stopped.is_set() and not shop.ended:
            shop.process.terminate()  # the second signal: stop at once
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _stage(seconds: float) -> Stage:
    """The first port that is free, with a folder that no other demo uses."""
    first = int(os.environ.get("DEMO_PORT") or DEFAULT_PORT)
    top = os.environ.get("DEMO_FOLDER") or DEFAULT_FOLDER
    for port in range(first, first + PORTS_COUNT):
        place = str(Path(f"{top}{'' if port == first else f'-{port}'}").resolve())
        # The shorter way there, as the path of a Unix socket may have 107 characters only.
        folder = Path(min(place, os.path.relpath(place), key=len))
        if not _is_free(port) or not (lock := _locked(folder)):
            continue
        if port != first:
            say(f"Port {first} or its folder is taken: using {port}.")
        of_shop = [f"{name}.db*" for name in (*DATABASES, "durable")]
        for name in (
            "run.log",
            "traffic.json",
            "plan.json",
            "growth.json",
            "verified.json",
            "verb.*",
            *of_shop,
        ):
            for old in folder.glob(name):
                old.unlink()
        shutil.rmtree(folder / "telemetry", ignore_errors=True)
        return Stage(port=port, folder=folder, lock=lock, seconds=seconds)
    raise DemoError(f"no port from {first} to {first + PORTS_COUNT - 1} is free")


def _locked(folder: Path) -> IO[bytes] | None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as supervisor_lock:
        if not _locks(supervisor_lock):
            return None  # `outgrow run` of a killed demo is still stopping
    lock = (folder / "demo.lock").open("ab")
    if _locks(lock):
        return lock
    lock.close()
    return None


def _locks(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@asynccontextmanager
async def _shop(stage: Stage) -> AsyncGenerator[Child]:
    words = [sys.executable, "-m", "outgrow", "run", "--port", str(stage.port)]
    words += ["--folder", str(stage.folder.resolve()), "--no-access-log"]
    folder = SHOP
    if stage.is_planned:  # all in one process: the folder has no outgrow.toml with groups
        words += ["examples.shop.api:app", "--app-dir", str(ROOT), "--workers", "1"]
        folder = stage.folder
    environment = databases_in(stage.folder)
    with stage.log.open("wb") as output:
        child = await start(*words, output=output, folder=folder, environment=environment)
    try:
        yield child
    finally:
        await child.stop()


@asynccontextmanager
async def _traffic(stage: Stage) -> AsyncGenerator[Child]:
    words = [sys.executable, "-m", "examples.traffic", stage.address, "--seconds", "0", "--json"]
    words += ["--rate", stage.rate]
    with stage.traffic_report.open("wb") as output:
        child = await start(*words, output=output, folder=ROOT)
    try:
        yield child
    finally:
        await child.stop()


async def _ready(stage: Stage, shop: Child, control: Exchange, stopped: asyncio.Event) -> bool:
    """Wait until a worker is ready; False if someone stopped the demo meanwhile."""
    started = said = time.monotonic()
    while not stopped.is_set():
        _still_running(stage, shop)
        status = await _look(control)
        if status and any(worker["state"] == "ready" for worker in status["workers"]):
            return True
        now = time.monotonic()
        if now - started > START_SECONDS:
            raise DemoError(f"the shop was not ready after {START_SECONDS:g} s; see {stage.log}")
        if now - said >= SAY_SECONDS:
            said = now
            say(f"Waiting for the shop's first worker, {now - started:.0f} s so far ...")
        await _pause(stopped, 0.1)
    return False


async def _page(stage: Stage, shop: Child, control: Exchange, stopped: asyncio.Event) -> str | None:
    """The address of the page, once somebody answers there; None where nobody will."""
    end = time.monotonic() + (PAGE_SECONDS if _may_watch() else 0.0)
    while not stopped.is_set() and time.monotonic() < end:
        _still_running(stage, shop)
        status = await _look(control)
        if status and status["page"]:
            return status["page"]
        await _pause(stopped, 0.1)
    return None


def _may_watch() -> bool:
    return os.environ.get("OUTGROW_OBSERVE") != "never" and bool(find_spec("duckdb"))


async def _watch(
    stage: Stage,
    shop: Child,
    control: Exchange,
    scene: Scene,
    *,
    seconds: float,
    until: asyncio.Task[Any] | None = None,
) -> dict[str, Any] | None:
    """Show the status until the time is over, or something is done; returns the last one seen."""
    last: dict[str, Any] | None = None
    end = time.monotonic() + seconds
    with Screen(sys.stdout) as screen:
        while not scene.stopped.is_set() and time.monotonic() < end:
            if until is not None and until.done():
                break
            await scene.pause(min(LOOK_SECONDS, max(0.0, end - time.monotonic())))
            _still_running(stage, shop)
            if status := await _look(control):
                last = status
                screen.show(status)
    return last


async def _move(stage: Stage, seconds: float) -> None:
    """Have one service move while all of it serves, where it has a group of its own."""
    if stage.is_planned:
        return
    await asyncio.sleep(seconds)
    address = Address(unix_path=str(stage.folder / "control.sock"))
    exchange = Exchange(address=address, answer_seconds=MOVE_SECONDS_MAX)
    with suppress(OSError):  # the status shows whether it came to pass
        await exchange.ask("POST", "/apply", MOVE)
    await exchange.close()


def _still_running(stage: Stage, shop: Child) -> None:
    if shop.ended:
        words = stage.log.read_text(errors="replace").splitlines()[-15:]
        raise DemoError("`outgrow run` ended. Its last words:\n\n" + "\n".join(words))


async def _look(control: Exchange) -> dict[str, Any] | None:
    try:
        answer = await control.ask("GET", "/status")
    except OSError:
        return None
    return json.loads(answer.body) if answer.status == 200 else None


async def _pause(stopped: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), seconds)
    except TimeoutError:
        return


def _introduce(stage: Stage, page: str | None) -> None:
    look = page or "needs `pip install 'outgrow[watch]'`"
    say(f"""
  Look        {look}
  The shop    {stage.address}
  Its API     {stage.address}/docs
  Status      outgrow status --watch --folder {stage.folder}
  Scale it    outgrow apply --workers 2 --folder {stage.folder}
  Move it     outgrow apply --move mail=post --folder {stage.folder}
  Its jobs    outgrow jobs --folder {stage.folder}
  Its words   outgrow logs --follow --folder {stage.folder}

Sending {stage.rate} requests a second. {_how_long(stage)}
""")


def _how_long(stage: Stage) -> str:
    if not stage.is_proved:
        return f"It ends after {stage.seconds:g} s; without DEMO_SECONDS there is a forecast, too."
    if stage.is_planned:
        return (
            "In about 90 s there is a forecast; a load test of it, a plan, and a test of that\n"
            "come then. All of it takes about five minutes; Ctrl+C ends it at any time."
        )
    after = ", and it goes on until Ctrl+C" if sys.stdout.isatty() else ""
    return (
        "In about 90 s there is a forecast, and a load test of about a minute verifies it: about\n"
        f"three minutes until the last sentence{after}. Ctrl+C ends it at any time."
    )


def _conclude(stage: Stage, last: dict[str, Any] | None, proved: list[str]) -> int:
    measured = proved or ([busiest(last)] if last else [])
    try:
        report = json.loads(stage.traffic_report.read_text())
    except (OSError, ValueError):
        say("The traffic maker left no report.")
    else:
        say(
            f"Traffic: {report['answered_count']} answers in {report['seconds']} s, "
            f"{report['errors_count']} failed, p99 {report['latency']['p99_ms']:g} ms "
            f"from the intended start."
        )
    if last and any("move `recommendations`" in event["text"] for event in last["events"]):
        say(f"{MOVED}, meanwhile.")
    if not any(measured):
        say("Nothing was measured: no worker reported a request that cost it time.")
        return 1
    say("\n".join(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
