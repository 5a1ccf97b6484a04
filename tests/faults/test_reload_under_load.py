"""Reloads and scalings under load lose no request."""

from __future__ import annotations

import random
import re
import signal
from typing import TYPE_CHECKING

import pytest

from .harness import LONG, wait_until
from .ledger import Load, assert_ledgers_agree

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Record, Start
    from .harness import Supervised

CHANGES = 500 if LONG else 9


@pytest.mark.timeout(3600 if LONG else 60)
def test_reloads_and_scalings_under_load_lose_no_request(
    start: Start, record: Record, tmp_path: Path
) -> None:
    server = start("--workers", "2", "--no-access-log", "--drain-seconds", "6").until_ready(2)
    drawn = random.Random(7)
    with Load(server.port) as load:
        wait_until(lambda: load.count > 50, 10, "the first 50 answers")
        for number in range(CHANGES):
            _CHANGES[number % len(_CHANGES)](server, drawn)
        seen = load.count
        wait_until(lambda: load.count > seen + 50, 10, "50 more answers")
        # Clients pause 0.3 s at most, so soft drains end long before the hard one would.
        drained_seconds = server.until_drained(5)

    outcome = load.outcome
    record(fault=f"{CHANGES} reloads and scalings", metric="requests", value=len(outcome.entries))
    record(
        fault=f"{CHANGES} reloads and scalings",
        metric="failed requests",
        value=len(outcome.failed),
        target="0",
        details=tuple(str(entry) for entry in outcome.failed[:20]),
    )
    record(
        fault=f"{CHANGES} reloads and scalings",
        metric="slowest request",
        value=outcome.slowest_seconds(),
        unit="s",
    )
    record(
        fault=f"{CHANGES} reloads and scalings",
        metric="last worker gone after",
        value=drained_seconds,
        unit="s",
    )
    assert not outcome.failed, outcome.explain()
    assert not outcome.closed_early, f"idle connections were closed: {outcome.closed_early[:5]}"
    assert_ledgers_agree(outcome, tmp_path)


def test_the_command_line_reloads_and_scales(start: Start) -> None:
    server = start().until_ready(1)
    first = server.workers()
    reloaded = server.command("apply", "--reload")
    assert reloaded.returncode == 0, reloaded.stderr
    server.until_whole(1, without=tuple(first))
    scaled = server.command("apply", "--workers", "2")
    assert scaled.returncode == 0, scaled.stderr
    server.until_whole(2)
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--fork", "never")], ids=["every worker imports for itself"])
@pytest.mark.timeout(60)
def test_reloads_lose_no_request_without_a_nursery(start: Start, options: tuple[str, ...]) -> None:
    server = start("--workers", "2", "--no-access-log", *options).until_ready(2)
    with Load(server.port) as load:
        for _ in range(10 if LONG else 2):
            server.reload()
        seen = load.count
        wait_until(lambda: load.count > seen + 20, 10, "20 more answers")
    assert not load.outcome.failed, load.outcome.explain()


def _reload(server: Supervised, _: random.Random) -> None:
    server.reload()


def _hang_up(server: Supervised, _: random.Random) -> None:
    before = server.status()
    server.send(signal.SIGHUP)
    wait_until(
        lambda: server.status()["version"] > before["version"], 30, "the version after SIGHUP"
    )
    count = sum(worker["state"] == "ready" for worker in before["workers"])
    wait_until(lambda: len(server.workers("ready")) >= count, 30, "the workers after SIGHUP")
    wait_until(lambda: server.status()["state"] == "running", 60, "the end of the reload")


def _scale(server: Supervised, drawn: random.Random) -> None:
    wanted = drawn.choice([1, 2, 3])
    status, lines = server.apply(workers=str(wanted))
    assert status == 200, lines
    assert not re.search(r'"error"', lines), lines


_CHANGES = (_reload, _scale, _hang_up)
