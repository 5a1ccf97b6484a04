"""A full disk and files that can't be read cost what they must, and nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from outgrow.errors import FolderError
from outgrow.telemetry import TraceSearch
from outgrow.telemetry.archive import archive as whole
from outgrow.telemetry.archive import writing
from tests.unit.telemetry.archive.telling import EVER, Clock, Teller, ledger, opened, span, told

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]


def fill(folder: Path, clock: Clock) -> Teller:
    """An archive of one day, closed; its worker."""
    archive, teller = opened(folder, clock), Teller(clock)
    for _ in range(12):
        teller.work(4)
        spans = [
            span(n, clock.now_ns, attributes={"text": os.urandom(100).hex()})
            for n in range(teller.number * 500, teller.number * 500 + 500)
        ]
        archive.take(teller.origin, teller.report(spans=spans))
        clock.pass_seconds(1)
        archive.write()
    archive.close()
    return teller


@pytest.mark.timeout(60)
def test_a_full_disk_is_said_and_written_again_when_there_is_room(tmp_path: Path) -> None:
    # The limit of the size of files holds for a whole process.
    command = [sys.executable, "-m", "tests.unit.telemetry.archive.filling", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_a_disk_that_is_nearly_full_is_left_alone(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, teller = opened(tmp_path, clock), Teller(clock)
    teller.work(3)
    archive.take(teller.origin, teller.report(spans=[span(1, clock.now_ns)]))
    monkeypatch.setattr(writing, "FREE_BYTES_MIN", 1 << 60)
    assert not archive.write(is_all=True)
    assert "MiB are free" in archive.health().problem
    assert told(archive) == ledger(3)
    monkeypatch.undo()
    assert archive.write(is_all=True)
    assert archive.health().problem == ""
    assert told(archive) == ledger(3)
    assert len(archive.traces(TraceSearch(), *EVER)) == 1
    archive.close()


def scribble(at: float) -> Callable[[Path], None]:
    """Overwrite a part of a file."""

    def break_it(path: Path) -> None:
        content = bytearray(path.read_bytes())
        begin = int(len(content) * at)
        content[begin : begin + 5000] = os.urandom(5000)
        path.write_bytes(content)

    return break_it


def cut(path: Path) -> None:
    """Keep a third of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def be_foreign(path: Path) -> None:
    """Put a database of somebody else there."""
    path.unlink()
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE theirs (a INTEGER)")


def be_newer(path: Path) -> None:
    """Make it that of a later version."""
    with duckdb.connect(str(path)) as file:
        file.execute("UPDATE archive_format SET number = 99")


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(scribble(0), id="no header"),
        pytest.param(scribble(0.4), id="garbage within"),
        pytest.param(cut, id="cut"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_text("hello"), id="text"),
        pytest.param(be_foreign, id="foreign"),
        pytest.param(be_newer, id="of a later version"),
    ],
)
def test_a_file_that_can_not_be_read_is_set_aside_and_the_day_begins_anew(
    tmp_path: Path, clock: Clock, break_it: Callable[[Path], None]
) -> None:
    teller = fill(tmp_path, clock)
    (path,) = tmp_path.glob("*.duckdb")
    break_it(path)
    archive = opened(tmp_path, clock)
    assert archive.traces(TraceSearch(text="nowhere"), *EVER) == []
    (aside,) = archive.health().set_aside
    assert aside.startswith(f"{path.name}.aside-")
    assert (tmp_path / aside).exists()
    teller.work(9)
    archive.take(teller.origin, teller.report(spans=[span(1, clock.now_ns)]))
    assert archive.write(is_all=True)
    assert told(archive)["calls"] in (9, 9 + teller.calls - 9)
    assert len(archive.traces(TraceSearch(), *EVER)) == 1
    archive.close()


def test_a_file_whose_maker_was_stopped_at_once_is_used(tmp_path: Path, clock: Clock) -> None:
    with duckdb.connect(str(tmp_path / "2026-11-24.duckdb")) as file:
        file.execute("CHECKPOINT")
    archive, teller = opened(tmp_path, clock), Teller(clock)
    teller.work(2)
    archive.take(teller.origin, teller.report())
    assert archive.write(is_all=True)
    assert archive.health().set_aside == []
    assert told(archive) == ledger(2)
    archive.close()


def test_totals_that_can_not_be_read_are_set_aside(tmp_path: Path, clock: Clock) -> None:
    teller = fill(tmp_path, clock)
    (tmp_path / "totals.msgpack").write_bytes(b"\xc1")
    archive = opened(tmp_path, clock)
    assert told(archive) == ledger(teller.calls)
    assert (tmp_path / "totals.aside").exists()
    archive.close()


def test_one_archive_has_a_folder(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "LOCK_SECONDS_MAX", 0.0)
    archive = opened(tmp_path, clock)
    with pytest.raises(FolderError, match="another observer"):
        opened(tmp_path, clock)
    archive.close()
    opened(tmp_path, clock).close()


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="can not hold"):
        opened(tmp_path / "file" / "kept", clock)
