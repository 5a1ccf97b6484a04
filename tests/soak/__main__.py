"""Runs the shop for so many seconds and judges its memory: `python -m tests.soak`.

    SOAK_SECONDS=120 make soak     shorter than an hour
    SOAK_RATE=100 make soak        so many people a second
    SOAK_FOLDER=... make soak      where samples.csv, run.log and the databases go

0 if memory, descriptors and threads of all that lived long stayed flat, no request failed but those
inside killed workers, and the books agree: each order that was paid has its payment and one
receipt, and all that was bought was brought; 1 if not.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from examples.children import Child, start
from examples.shop.places import databases_in
from tests.soak import growth
from tests.soak.books import differences
from tests.soak.crowd import Crowd
from tests.soak.growth import Growth
from tests.soak.samples import Sample, sampled, write
from tests.soak.unrest import KEPT_GROUP, Unrest, unexplained

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"  # where the outgrow.toml with the groups is
SECONDS_DEFAULT = "3600"
RATE_DEFAULT = "60"
START_SECONDS_MAX = 60.0
QUIET_SECONDS_MAX = 40.0
SAMPLES_AIM = 60
SAMPLE_SECONDS_MAX = 5.0
UNREST_AIM = 40
UNREST_SECONDS_MIN, UNREST_SECONDS_MAX = 3.0, 30.0
SAY_SECONDS = 30.0
# What is judged: while workers are reloaded, and after the rush, when front is left alone.
RELOADED, ALONE = (0.125, 0.5), (0.55, 1.0)
# Of memory, in MB, over the span that is judged.
SUPERVISOR_MB, NURSERY_MB, WORKER_MB, RELOADED_MB = 1.0, 0.5, 3.0, 3.0
# The observer grows by some MB in its first minutes; its bound is a guess, until an hour is seen.
KEEPER_MB, OBSERVER_MB = 3.0, 25.0
MOST_MB = {
    "supervisor": SUPERVISOR_MB,
    "nursery": NURSERY_MB,
    "keeper": KEEPER_MB,
    "observer": OBSERVER_MB,
}
DESCRIPTORS, THREADS = 3.0, 1.0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def soak(seconds: float, rate: float, folder: Path) -> list[str]:
    """Run it; what was wrong, in words."""
    port = _free_port()
    async with _shop(folder, port) as shop:
        unrest = Unrest(
            socket_path=min(str(folder), os.path.relpath(folder), key=len) + "/control.sock"
        )
        await _until_ready(unrest, shop, folder)
        await unrest.apply({"workers": f"{KEPT_GROUP}=1"})
        began = time.monotonic()
        crowd = Crowd(port=port, rate_per_second=rate)
        pause = min(max(seconds / UNREST_AIM, UNREST_SECONDS_MIN), UNREST_SECONDS_MAX)
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd.run(began + seconds))
            group.create_task(crowd.rush_at(began + seconds / 2))
            group.create_task(unrest.run(began + seconds / 2, began + seconds, pause))
            samples = await _sample(unrest, crowd, shop, began, seconds)
        left = [*await _left_behind(unrest), *await _books_differ(folder)]
    write(samples, folder / "samples.csv")
    found = judged(samples, seconds)
    lost = unexplained(crowd.failures, unrest.kills)
    say(f"\n{growth.table(found)}\n\n{_told(crowd, unrest, len(lost))}\n  {folder / 'samples.csv'}")
    wrong = [
        f"{each.who}: {each.bound.what} grew by {each.grown:.2f}"
        for each in found
        if not each.is_kept
    ]
    wrong += [f"failed at {each.began - began:.0f} s: {each}" for each in lost]
    wrong += [f"not carried out: {each}" for each in unrest.refused]
    return [*wrong, *left, *_missing(found)]


def judged(samples: list[Sample], seconds: float) -> list[Growth]:
    """Of the second half all that lived through it; of the first the supervisor alone."""
    alone, reloaded = ((since * seconds, until * seconds) for since, until in (ALONE, RELOADED))
    found: list[Growth] = []
    for one in growth.lived_through(samples, *alone):
        most = MOST_MB.get(one[0].role, WORKER_MB)
        bounds = (growth.memory(most), growth.descriptors(DESCRIPTORS), growth.threads(THREADS))
        found += [growth.growth(one, bound) for bound in bounds]
    for one in growth.lived_through(samples, *reloaded):
        if one[0].role == "supervisor":
            bounds = (growth.memory(RELOADED_MB), growth.descriptors(DESCRIPTORS))
            found += [growth.growth(one, bound, note=", with reloads") for bound in bounds]
    return found


def _missing(found: list[Growth]) -> list[str]:
    roles = ("supervisor", "nursery", f"{KEPT_GROUP}/1")
    return [
        f"no {role} lived through the second half"
        for role in roles
        if not any(each.who.startswith(role) for each in found)
    ]


def _told(crowd: Crowd, unrest: Unrest, lost_count: int) -> str:
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(crowd.statuses.items()))
    things = ", ".join(f"{what}: {count}" for what, count in sorted(unrest.done.items()))
    return (
        f"  Answers       {answers}\n"
        f"  Failed        {len(crowd.failures)}, of them not inside killed workers: {lost_count}\n"
        f"  People left   {crowd.left_count}\n"
        f"  Unrest        {things}; not carried out: {len(unrest.refused)}"
    )


async def _sample(
    unrest: Unrest, crowd: Crowd, shop: Child, began: float, seconds: float
) -> list[Sample]:
    samples: list[Sample] = []
    pause = min(seconds / SAMPLES_AIM, SAMPLE_SECONDS_MAX)
    said = began
    while (now := time.monotonic()) < began + seconds:
        workers = {each["pid"]: each["name"] for each in (await unrest.status())["workers"]}
        samples += sampled(now - began, shop.process.pid, workers)
        if now - said >= SAY_SECONDS:
            said = now
            count = crowd.statuses.total()
            say(f"{now - began:6.0f} s, {count} answers, {len(crowd.failures)} failed")
        await asyncio.sleep(pause)
    return samples


async def _left_behind(unrest: Unrest) -> list[str]:
    """What is still under way or connected, once nobody asks any more."""
    limit = time.monotonic() + QUIET_SECONDS_MAX
    while True:
        busy = [
            f"{each['name']} has {each[what]} {what} left"
            for each in (await unrest.status())["workers"]
            for what in ("in_flight", "connections")
            if each[what]
        ]
        if not busy or time.monotonic() > limit:
            return busy
        await asyncio.sleep(0.5)


async def _books_differ(folder: Path) -> list[str]:
    """What events and jobs have left undone or done twice, once they have had their time."""
    limit = time.monotonic() + QUIET_SECONDS_MAX
    while (found := differences(folder)) and time.monotonic() < limit:
        await asyncio.sleep(0.5)
    return found


async def _until_ready(unrest: Unrest, shop: Child, folder: Path) -> None:
    limit = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < limit:
        assert not shop.ended, (folder / "run.log").read_text(errors="replace")[-2000:]
        try:
            if (await unrest.status())["state"] == "running":
                return
        except OSError:
            pass
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the shop was not ready after {START_SECONDS_MAX:g} s")


@asynccontextmanager
async def _shop(folder: Path, port: int) -> AsyncGenerator[Child]:
    words = [sys.executable, "-m", "outgrow", "run", "--port", str(port), "--folder", str(folder)]
    with (folder / "run.log").open("wb") as output:
        child = await start(
            *words, "--no-access-log", output=output, folder=SHOP, environment=databases_in(folder)
        )
    try:
        yield child
    finally:
        await child.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS") or SECONDS_DEFAULT)
    rate = float(os.environ.get("SOAK_RATE") or RATE_DEFAULT)
    folder = Path(os.environ.get("SOAK_FOLDER") or ROOT / ".outgrow" / "soak").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.db*"), folder / "plan.json"):
        old.unlink(missing_ok=True)
    say(f"The shop in three groups for {seconds:g} s, {rate:g} people a second")
    wrong = asyncio.run(soak(seconds, rate, folder))
    say(
        "\n".join(["Wrong:", *wrong])
        if wrong
        else "All stayed flat, nothing failed, and the books agree."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
