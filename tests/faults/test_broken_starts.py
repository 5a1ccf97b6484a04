"""Apps that do not start: refused at first, retried with back-off later, never put in place."""

from __future__ import annotations

import os
import signal
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from .harness import LONG, wait_until
from .ledger import Load

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Record, Start
    from .harness import Supervised


@pytest.mark.parametrize("mode", ["fail", "exit"])
def test_a_first_start_that_fails_is_told_and_never_announced(
    start: Start, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "startup").write_text(mode)
    server = start()

    def told() -> bool:
        return server.process.poll() is not None or len(_starts(tmp_path)) >= 2

    wait_until(told, 20, "the end, or a second try")
    assert "http://127.0.0.1:" not in server.text()
    assert server.process.poll() in (None, 1)
    expected = "the app refuses to start" if mode == "fail" else "7"
    wait_until(lambda: expected in server.text(), 5, f"{expected!r} in the output")


def test_a_start_that_never_ends_is_given_up_after_startup_seconds(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "startup").write_text("hang")
    server = start("--startup-seconds", "1")

    def told() -> bool:
        return server.process.poll() is not None or len(_starts(tmp_path)) >= 2

    wait_until(told, 15, "the end, or a second try")
    assert "http://127.0.0.1:" not in server.text()


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_crash_loop_backs_off_and_heals_by_itself(
    start: Start, record: Record, tmp_path: Path
) -> None:
    server = start("--workers", "2", "--no-access-log").until_ready(2)
    (tmp_path / "startup").write_text("exit")
    before = len(_starts(tmp_path))
    os.kill(server.workers("ready")[0], signal.SIGKILL)
    tries = 5 if LONG else 3
    wait_until(lambda: len(_starts(tmp_path)) >= before + tries, 40, f"{tries} starts")
    assert server.get("/pid")["pid"] in server.workers("ready")
    (tmp_path / "startup").write_text("")
    gaps = [later - earlier for earlier, later in pairwise(_starts(tmp_path)[before:])]
    seconds = server.until_whole(2, seconds=40)
    record(
        fault="crash loop at start-up",
        metric="pauses between tries",
        value=", ".join(f"{gap:.1f}" for gap in gaps),
        unit="s",
        target="1, 2, 4",
    )
    record(fault="crash loop cured", metric="until whole again", value=seconds, unit="s")
    assert gaps[-1] > gaps[0] * 1.5, f"no back-off: {gaps}"


@pytest.mark.timeout(60)
def test_a_reload_of_broken_code_keeps_the_old_version_serving(
    start: Start, tmp_path: Path
) -> None:
    write_version(tmp_path, 1)
    server = start("--workers", "2", "--no-access-log", app="main:app").until_ready(2)
    before = set(server.workers("ready"))
    with Load(server.port) as load:
        for broken in (
            "raise RuntimeError('broken on purpose')",
            "app = )",
            "import nowhere_at_all",
        ):
            write_main(tmp_path, broken, 2)
            refused = server.command("apply", "--reload")
            assert refused.returncode == 1, refused.stdout + refused.stderr
        assert set(server.workers("ready")) == before
        write_version(tmp_path, 3)
        assert server.command("apply", "--reload").returncode == 0
        server.until_whole(2, without=tuple(before))
        seen = load.count
        wait_until(lambda: load.count > seen + 50, 10, "50 more answers")
    assert not load.outcome.failed, load.outcome.explain()
    assert {entry.version for entry in load.outcome.entries} == {"1", "3"}
    assert server.get("/pid")["version"] == "3"


@pytest.mark.parametrize("mode", ["fail", "exit"])
@pytest.mark.timeout(60)
def test_a_reload_whose_lifespan_fails_keeps_the_old_version_serving(
    start: Start, tmp_path: Path, mode: str
) -> None:
    server = start("--no-access-log", "--startup-seconds", "5").until_ready(1)
    before = server.workers("ready")
    (tmp_path / "startup").write_text(mode)
    with Load(server.port, keeping=4, closing=2) as load:
        refused = server.command("apply", "--reload")
        assert refused.returncode == 1, refused.stdout + refused.stderr
        assert server.workers("ready") == before
    assert not load.outcome.failed, load.outcome.explain()
    (tmp_path / "startup").write_text("")
    server.reload()
    server.until_whole(1, without=tuple(before))


@pytest.mark.timeout(60)
def test_a_reload_during_a_reload_ends_on_the_newest_code(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    server = start("--workers", "2", "--no-access-log", app="main:app").until_ready(2)
    (tmp_path / "startup").write_text("0.5")
    with Load(server.port) as load:
        write_version(tmp_path, 2)
        first = threading.Thread(target=server.apply, kwargs={"reload": True}, daemon=True)
        first.start()
        wait_until(lambda: server.workers("starting"), 10, "the first reload's workers")
        write_version(tmp_path, 3)
        server.send(signal.SIGHUP)
        server.apply(reload=True)
        first.join(30)
        assert not first.is_alive()
        wait_until(lambda: _versions(server) == {"3"}, 20, "only the newest code to answer")
        server.until_whole(2)
    assert not load.outcome.failed, load.outcome.explain()


def write_version(folder: Path, version: int) -> None:
    """Write a main.py whose answers name this version."""
    write_main(folder, f"import ledger_app\nledger_app.VERSION = '{version}'", version)


def write_main(folder: Path, text: str, version: int) -> None:
    """Write main.py, with a time of change of its own so that no old bytecode is taken for it."""
    path = folder / "main.py"
    path.write_text(f"{text}\nfrom ledger_app import app\n# {version * '-'}\n")
    os.utime(path, (1_700_000_000 + version * 10, 1_700_000_000 + version * 10))


def _versions(server: Supervised) -> set[str]:
    return {server.get("/pid")["version"] for _ in range(12)}


def _starts(folder: Path) -> list[float]:
    path = folder / "starts.log"
    return (
        [float(line.split()[1]) for line in path.read_text().splitlines()] if path.exists() else []
    )
