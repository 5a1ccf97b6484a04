"""Every call of every link is counted, while the observer dies, hangs, and cannot write.

Also while workers are replaced, as their last words are heard.

The long form makes a million calls. Their ledger is the clients' own: each request that was
answered made so many calls, of which so many failed.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("duckdb")

from outgrow.telemetry import Archive
from outgrow.wire import WEB

from .calls_app import FAILING_ONE_IN, FAR, NEAR
from .harness import LONG, wait_until
from .ledger import Load
from .test_observer import BACK_SECONDS, OBSERVE, ROUTE, Watched, no_more_writing

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Record, Start

CALLS = 1_000_000 if LONG else 10_000
CALLS_OF_A_REQUEST = 1 + NEAR + FAR
REQUESTS = -(-CALLS // CALLS_OF_A_REQUEST)
FAULTS = 16 if LONG else 3
HANG_SECONDS = 3.0 if LONG else 1.0
PLACEMENT = """
[size.machine.groups.store]
runs = ["shelf"]
"""

LinkCounts = dict[tuple[str, str], tuple[int, int]]


def expected(requests: int) -> LinkCounts:
    """Calls and errors of each link after so many requests."""
    return {
        ("", ROUTE): (requests, 0),
        (ROUTE, "Desk.order"): (requests, 0),
        ("Desk.order", "Scale.weigh"): (requests * NEAR, requests * NEAR // FAILING_ONE_IN),
        ("Desk.order", "Shelf.take"): (requests * FAR, requests * FAR // FAILING_ONE_IN),
    }


def stored(folder: Path) -> LinkCounts:
    """Calls and errors of each link, as the files have them."""
    archive = Archive(folder)
    now_ns = time.time_ns()
    found = archive.calls(now_ns - 3600 * 10**9, now_ns + 10**9)
    archive.close()
    sums: LinkCounts = {}
    for one in found:
        # The first requests of a worker call before their route is known.
        link = (ROUTE if one.caller == WEB else one.caller, one.callee)
        calls, errors = sums.get(link, (0, 0))
        sums[link] = (calls + one.calls, errors + one.errors)
    return sums


def disturb(watched: Watched, number: int, load: Load) -> None:
    """Kill the observer, stop it, or fill its disk; or have its workers follow one another."""
    pid = watched.observer_pid
    kind = number % 4
    if kind == 0:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: watched.observer_pid not in (0, pid), BACK_SECONDS, "another observer")
    elif kind == 1:
        os.kill(pid, signal.SIGSTOP)
        until, seen = time.monotonic() + HANG_SECONDS, load.count
        wait_until(lambda: time.monotonic() > until and load.count > seen, 30, "more answers")
        os.kill(pid, signal.SIGCONT)
    elif kind == 2:
        watched.server.reload()
        watched.server.until_drained(30)
    else:
        with no_more_writing(pid):
            seen = load.count
            wait_until(lambda: load.count > seen + 50, 60, "50 more answers")
        # What a worker told that left stands nowhere else, should the observer die before.
        wait_until(lambda: writes_again(watched), BACK_SECONDS, "it to write again")
    watched.until_there()


def writes_again(watched: Watched) -> bool:
    """Whether the observer has written whatever it could not."""
    said = watched.server.text()
    return said.count("can not be archived for now") == said.count(
        "archive of telemetry is written"
    )


@pytest.mark.timeout(1800 if LONG else 120)
def test_sums_of_every_link_equal_the_ledger_whatever_befalls_the_observer(
    start: Start, record: Record, tmp_path: Path
) -> None:
    (tmp_path / "outgrow.toml").write_text(PLACEMENT)
    # A busy machine refuses no request here: of those the ledger does not know what they called.
    options = ("--no-access-log", "--wait-seconds-max", "0")
    server = start(*options, app="calls_app:app", env=OBSERVE).until_ready(2)
    watched = Watched(server)
    watched.until_there()
    with Load(server.port, keeping=4, closing=2, pauses_seconds=(0.0,)) as load:
        for number in range(FAULTS):
            share = REQUESTS * (number + 1) // (FAULTS + 1)
            wait_until(lambda share=share: load.count >= share, 600, f"{share} answers")
            disturb(watched, number, load)
        wait_until(lambda: load.count >= REQUESTS, 600, f"{REQUESTS} answers")
    assert not load.outcome.failed, load.outcome.explain()
    requests = len(load.outcome.entries)
    watched.until_counted(requests)
    assert server.status()["restarts"] == 0
    assert server.stop() == 0
    sums = stored(tmp_path / ".outgrow" / "telemetry")
    fault = f"{FAULTS} times: observer killed, stopped, unable to write; app reloaded"
    record(fault=fault, metric="calls", value=requests * CALLS_OF_A_REQUEST)
    wanted = expected(requests)
    wrong = [link for link in wanted if sums.get(link) != wanted[link]]
    record(fault=fault, metric="links whose sums differ", value=len(wrong), target="0")
    assert {link: sums.get(link) for link in wanted} == wanted
