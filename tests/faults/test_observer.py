"""The observer is killed, stopped, its disk full, its file broken: no request hears of it.

And when it is back, the sums that it answers are those of the clients' own ledger, exactly.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from outgrow.errors import NotRunningError
from outgrow.placement import ApiClient
from outgrow.placement.peer import user_name

from . import processes
from .conftest import Start
from .harness import LONG, Supervised, wait_until
from .ledger import Load, Outcome

pytest.importorskip("duckdb")

pytestmark = pytest.mark.timeout(90)

ROUTE = "POST /record"
OBSERVE = {"OUTGROW_OBSERVE": "auto", "OUTGROW_PAGE_PORT": "0"}
BACK_SECONDS = 30.0
FREE_BYTES_MIN = 64 * 1024**2
STOPPED_SECONDS = 30.0 if LONG else 3.0
KILLS = 5 if LONG else 2


class Watched:
    """A supervised app with an observer, and what that answers."""

    def __init__(self, server: Supervised) -> None:
        self.server = server
        self._api = ApiClient(server.workspace / ".outgrow", seconds=5)

    @property
    def observer_pid(self) -> int:
        """The observer's process; 0 while there is none."""
        for pid in processes.children(self.server.pid):
            try:
                with_name = Path(f"/proc/{pid}/cmdline").read_bytes()
            except FileNotFoundError:
                continue  # it ended meanwhile
            if b"outgrow.dashboard" in with_name and processes.is_alive(pid):
                return pid
        return 0

    def ask(self, target: str) -> dict[str, Any]:
        return self._api.get(target)

    def is_there(self) -> bool:
        try:
            self.ask("now")
        except NotRunningError:
            return False
        return True

    def calls(self, route: str = ROUTE) -> int:
        """How often a route was called, as the API says; 0 while nobody answers."""
        try:
            found = self.ask("operations?from=-1h")["operations"]
        except NotRunningError:
            return 0
        return sum(one["calls"] for one in found if one["name"] == route)

    def until_counted(self, wanted: int) -> None:
        """Wait until the API tells this sum, and see that it tells no other afterwards."""
        try:
            wait_until(lambda: self.calls() >= wanted, BACK_SECONDS, f"{wanted} counted calls")
        except AssertionError as problem:
            raise AssertionError(f"{problem}; there are {self.calls()}") from None
        assert self.calls() == wanted

    def until_there(self) -> None:
        wait_until(self.is_there, BACK_SECONDS, "an answer of the observer")


@pytest.fixture
def watched(start: Start) -> Watched:
    server = start("--workers", "2", "--no-access-log", env=OBSERVE).until_ready(2)
    watched = Watched(server)
    watched.until_there()
    return watched


def assert_exact(watched: Watched, outcome: Outcome) -> None:
    assert not outcome.failed, outcome.explain()
    watched.until_counted(len(outcome.entries))


def more(load: Load, count: int = 200) -> None:
    """Wait for so many more answers."""
    seen = load.count
    wait_until(lambda: load.count >= seen + count, 30, f"{count} more answers")


@pytest.mark.timeout(180)
def test_a_killed_observer_comes_back_and_has_missed_nothing(watched: Watched) -> None:
    with Load(watched.server.port) as load:
        for _ in range(KILLS):
            more(load)
            wait_until(lambda: watched.calls() > 0, BACK_SECONDS, "some counted calls")
            pid = watched.observer_pid
            os.kill(pid, signal.SIGKILL)
            more(load)
            wait_until(lambda pid=pid: watched.observer_pid not in (0, pid), 30, "another one")
            watched.until_there()
            more(load)
    assert_exact(watched, load.outcome)
    assert watched.server.status()["restarts"] == 0
    assert "was killed by SIGKILL" in watched.server.text()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_stopped_observer_holds_nobody_up(watched: Watched) -> None:
    pid = watched.observer_pid
    with Load(watched.server.port) as load:
        more(load)
        os.kill(pid, signal.SIGSTOP)
        until = time.monotonic() + STOPPED_SECONDS
        wait_until(lambda: time.monotonic() > until, STOPPED_SECONDS + 5, "some time")
        more(load)
        seen = watched.server.command("status")
        assert seen.returncode == 0, seen.stderr
        assert "web/1" in seen.stdout
        os.kill(pid, signal.SIGCONT)
        more(load)
    assert_exact(watched, load.outcome)
    assert watched.observer_pid == pid


@pytest.mark.timeout(180)
def test_files_that_cannot_grow_cost_nothing_but_time(watched: Watched) -> None:
    pid = watched.observer_pid
    with Load(watched.server.port) as load, no_more_writing(pid):
        more(load, 500)
        watched.until_there()
    assert not load.outcome.failed, load.outcome.explain()
    assert watched.observer_pid == pid
    watched.until_counted(len(load.outcome.entries))
    assert watched.server.stop() == 0


@contextmanager
def no_more_writing(pid: int) -> Iterator[None]:
    """Any write beyond the first bytes of a file fails, as on a full disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_full_disk_costs_nothing_but_time(start: Start, tmp_path: Path) -> None:
    with _small_disk(tmp_path / ".outgrow" / "telemetry") as disk:
        server = start("--no-access-log", env=OBSERVE).until_ready(1)
        watched = Watched(server)
        watched.until_there()
        with Load(server.port) as load:
            more(load)
            filler = disk / "filler"
            room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            with suppress(OSError):  # the observer may have taken some of it meanwhile
                filler.write_bytes(bytes(room))
            more(load, 500)
            assert watched.is_there()
            filler.unlink()
            more(load)
        assert_exact(watched, load.outcome)
        assert server.stop() == 0
        again = start("--no-access-log", env=OBSERVE).until_ready(1)
        Watched(again).until_counted(len(load.outcome.entries))
        assert again.stop() == 0


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True)
    size = f"size={FREE_BYTES_MIN + 32 * 1024**2}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "outgrow-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root can make a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.timeout(180)
def test_a_broken_file_is_set_aside(watched: Watched) -> None:
    def files(pattern: str) -> list[Path]:
        return [*(watched.server.workspace / ".outgrow" / "telemetry").glob(pattern)]

    with Load(watched.server.port) as load:
        more(load)
        wait_until(lambda: watched.calls() > 0, BACK_SECONDS, "some counted calls")
        # What the observer answers from may not be on disk yet.
        wait_until(lambda: files("*.duckdb*"), BACK_SECONDS, "a file of telemetry")
        pid = watched.observer_pid
        os.kill(pid, signal.SIGSTOP)
        for path in files("*.duckdb*"):
            path.write_bytes(b"broken" * 1000)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: watched.observer_pid not in (0, pid), 30, "another observer")
        watched.until_there()
        more(load)
    assert not load.outcome.failed, load.outcome.explain()
    # What was in the file is counted anew from what the workers say, all of it.
    watched.until_counted(len(load.outcome.entries))
    assert files("*aside*")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_last_words_of_a_killed_worker_are_a_gap(watched: Watched) -> None:
    victim = watched.server.workers("ready")[0]
    with Load(watched.server.port) as load:
        more(load)
        wait_until(lambda: watched.calls() > 0, BACK_SECONDS, "some counted calls")
        kill = processes.kill_and_list(victim)
        watched.server.until_whole(2, without=(victim,))
        more(load)
    assert not load.outcome.unexplained([kill]), load.outcome.explain()

    def gaps() -> list[dict[str, Any]]:
        return [one for one in watched.ask("workers")["gaps"] if not one["is_counted"]]

    wait_until(gaps, BACK_SECONDS, "a gap")
    workers = watched.ask("workers")["workers"]
    states = {one["pid"]: one["state"] for one in workers}
    assert states[victim] == "lost"
    counted = [entry for entry in load.outcome.entries if entry.pid != victim]
    assert len(counted) <= watched.calls() <= len(load.outcome.entries)
    kinds = [one["kind"] for one in watched.ask("marks")["marks"]]
    assert kinds.count("restart") == 1


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_killed_supervisor_takes_its_observer_along_with_all_that_was_counted(
    start: Start, watched: Watched
) -> None:
    with Load(watched.server.port) as load:
        more(load)
    expected = len(load.outcome.entries)
    watched.server.send(signal.SIGKILL)
    watched.server.until_gone(30)
    again = start("--no-access-log", env=OBSERVE).until_ready(1)
    Watched(again).until_counted(expected)


@pytest.mark.timeout(90)
def test_a_change_by_the_page_needs_its_token_and_is_written_down(start: Start) -> None:
    tokens = "ann read a-token-that-only-reads; bob operate a-token-that-may-change"
    server = start("--no-access-log", env={**OBSERVE, "OUTGROW_TOKENS": tokens}).until_ready(1)
    watched = Watched(server)
    watched.until_there()  # by the socket of the folder, without a token
    page = wait_until_page(server)

    def ask(token: str, **headers: str) -> int:
        headers |= {"authorization": f"Bearer {token}", "content-type": "application/json"}
        wish = urllib.request.Request(f"{page}/api/placement", b'{"workers": "2"}', headers)
        try:
            with urllib.request.urlopen(wish, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code

    assert ask("") == 401
    assert ask("a-token-that-only-reads") == 403
    assert ask("a-token-that-may-change", origin="https://evil.example") == 403
    assert ask("a-token-that-may-change", host="evil.example") == 200  # a name is as good as any
    server.until_whole(2)
    (entry,) = wait_for_rows(lambda: watched.ask("audit")["entries"])
    assert (entry["who"], entry["text"]) == ("bob", "workers 2: done")
    texts = wait_for_rows(
        lambda: [m["text"] for m in watched.ask("marks")["marks"] if m["kind"] == "placement"]
    )
    assert texts == ["workers: 1 -> 2"]
    shown = server.command("status")
    assert f"look: {page}" in shown.stdout
    assert "processes, last 60 s" in shown.stdout


@pytest.mark.timeout(90)
def test_changes_by_verbs_and_signals_are_written_down_with_who_asked(watched: Watched) -> None:
    server = watched.server
    assert server.command("apply", "--workers", "1", "--dry-run").returncode == 0
    assert server.command("apply", "--workers", "1").returncode == 0
    assert server.command("apply", "--workers", "store=2").returncode == 1
    server.send(signal.SIGHUP)
    user = user_name(os.getuid())

    def entries() -> list[tuple[str, str]]:
        return [(one["who"], one["text"]) for one in watched.ask("audit")["entries"]][::-1]

    wait_until(lambda: len(entries()) >= 3, BACK_SECONDS, "three changes that are written down")
    assert entries() == [
        (user, "workers 1: done"),
        (user, "workers store=2: refused, there is no group `store`"),
        ("SIGHUP", "reload: done"),
    ]


def wait_until_page(server: Supervised) -> str:
    pages: list[str] = []

    def look() -> bool:
        _, body = server._ask("GET", "/status")
        pages.append(json.loads(body)["page"])
        return bool(pages[-1])

    wait_until(look, BACK_SECONDS, "the page")
    return pages[-1]


def wait_for_rows(look: Callable[[], list[Any]]) -> list[Any]:
    wait_until(look, BACK_SECONDS, "rows")
    return look()


def test_a_page_that_strangers_could_reach_is_refused_before_anything_starts(start: Start) -> None:
    server = start(env={**OBSERVE, "OUTGROW_PAGE_HOST": "0.0.0.0"})
    assert server.process.wait(20) == 2
    assert "OG302: the page on 0.0.0.0 can be reached" in server.text()
    assert not (server.workspace / ".outgrow").exists()


def test_what_only_the_observer_finds_wrong_is_said_and_the_app_serves(start: Start) -> None:
    strange = {"OUTGROW_FORWARD": "http://127.0.0.1:1", "OUTGROW_FORWARD_HEADERS": "no colon"}
    server = start(env={**OBSERVE, **strange}).until_ready(1)
    wait_until(lambda: "mend them, and reload" in server.text(), 20, "what is wrong")
    assert "has a line without `:`" in server.text()
    assert server.get("/pid")["pid"]
    assert server.stop() == 0
