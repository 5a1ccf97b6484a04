"""The power fails, the disk is full or slow: what was acknowledged is there all the same.

The disk is played by `disk.c`, which stands between SQLite and the system. After a power failure
only that is left of the file and its WAL which was in them when they were synced last.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.test_durable_crashes import (
    check,
    drain,
    lines_of,
    wait_for_lines,
    wait_until,
    working,
)
from tests.contracts.test_store_move import working_at

pytestmark = [
    pytest.mark.timeout(90),  # a disk may be busy
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("cc") is None, reason="it needs Linux and cc"
    ),
]

FAILURES = 6 if os.environ.get("OUTGROW_FAULTS") == "long" else 2
SLOW_SYNC_MS = 50
_ENQUEUES = """
import asyncio, sys
from pathlib import Path
from outgrow.store import NewJob, durable_at, new_id

async def enqueue():
    store = durable_at(sys.argv[1], is_fast=sys.argv[2] == "fast")
    await store.start()
    await store.queue.enqueue([NewJob(id=new_id(), kind="a")])
    print("kept", flush=True)
    await asyncio.Event().wait()

asyncio.run(enqueue())
"""


class Disk:
    """A disk of our own, on which the file of events and jobs is.

    Args:
        folder: Where the file is.
        shim: What stands between SQLite and the system.
    """

    def __init__(self, folder: Path, shim: Path) -> None:
        self.file = folder / "durable.db"
        self.url = f"sqlite:///{self.file}"
        self._shim = shim

    def env(self, *, sync_ms: int = 0) -> dict[str, str]:
        """The environment of a process that uses it."""
        own = {"LD_PRELOAD": str(self._shim), "DISK_FILE": str(self.file)}
        return {**os.environ, **own, "DISK_SYNC_MS": str(sync_ms)}

    def fail(self) -> None:
        """Have only that which was synced; whoever used it has been killed."""
        for name in (self.file.name, f"{self.file.name}-wal"):
            path = self.file.with_name(name)
            kept = path.with_name(f"{name}.disk")
            path.unlink(missing_ok=True)
            if kept.exists():
                shutil.copyfile(kept, path)
        self.file.with_name(f"{self.file.name}-shm").unlink(missing_ok=True)

    @property
    def full(self) -> Path:
        """While this exists it has no room."""
        return self.file.with_name(f"{self.file.name}.full")


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, built = Path(__file__).with_name("disk.c"), tmp_path_factory.mktemp("disk") / "disk.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", built, source, "-ldl"]
    subprocess.run(command, check=True)
    return built


@pytest.fixture
def disk(tmp_path: Path, shim: Path) -> Disk:
    return Disk(tmp_path, shim)


@pytest.mark.parametrize(("how", "kept_count"), [("durable", 1), ("fast", 0)])
def test_a_power_failure_leaves_what_was_synced(disk: Disk, how: str, kept_count: int) -> None:
    async def ready_count() -> int:
        async with working_at(disk.url) as store:
            return len(await store.queue.jobs("ready"))

    asyncio.run(ready_count())
    shutil.copyfile(disk.file, disk.file.with_name(f"{disk.file.name}.disk"))
    command = [sys.executable, "-c", _ENQUEUES, disk.url, how]
    with subprocess.Popen(command, env=disk.env(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        process.kill()
    disk.fail()
    assert asyncio.run(ready_count()) == kept_count


def test_a_power_failure_takes_nothing_that_was_acknowledged(disk: Disk, tmp_path: Path) -> None:
    ledger, drawn = tmp_path / "ledger", random.Random(13)
    for number in range(FAILURES):
        with working(disk.url, ledger, f"w{number}", disk.env()) as process:
            wait_for_lines(ledger, process, len(lines_of(ledger)) + drawn.randint(50, 250))
            process.send_signal(signal.SIGKILL)
        disk.fail()
    check(ledger, asyncio.run(drain(disk.url, ledger)))


def test_work_goes_on_when_a_full_disk_has_room_again(disk: Disk, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with working(disk.url, ledger, "w", disk.env()) as process:
        wait_for_lines(ledger, process, 100)
        disk.full.touch()
        wait_until(lambda: "lost" in {words[0] for words in lines_of(ledger)}, ledger, process)
        disk.full.unlink()
        wait_for_lines(ledger, process, len(lines_of(ledger)) + 100)
        disk.full.touch()
        process.send_signal(signal.SIGKILL)
    disk.full.unlink()
    check(ledger, asyncio.run(drain(disk.url, ledger)))


@pytest.mark.slow
def test_a_slow_disk_loses_and_repeats_nothing(disk: Disk, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with working(disk.url, ledger, "w", disk.env(sync_ms=SLOW_SYNC_MS)) as process:
        wait_for_lines(ledger, process, 150)
        process.send_signal(signal.SIGKILL)
    disk.fail()
    check(ledger, asyncio.run(drain(disk.url, ledger)))
