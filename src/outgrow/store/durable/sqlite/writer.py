"""The one thread that writes to an SQLite file, many callers' work in one transaction.

A transaction costs a wait for the disk, whatever is in it. So everything that is asked for while
the disk is busy goes into the next one; who asked is answered when it is on the disk. Many
processes that write to a file directly are no way around that: SQLite's lock knows no queue, and
they starve.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from outgrow.store.durable.errors import (
    StoreBusyError,
    StoreLostError,
    StoreOwnedError,
    StoreVersionError,
)
from outgrow.store.durable.moving.mark import check_here
from outgrow.store.durable.sqlite.rows import WriterConnection, move_in
from outgrow.store.durable.sqlite.schema import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

GROUP_SECONDS_MAX = 0.002
GROUP_COUNT_MAX = 500
WAITING_COUNT_MAX = 20_000
OWNER_SECONDS_MAX = 5.0
# So much change, or growth of the WAL, and it is written back to the file, readers permitting. How
# full the WAL is cannot be asked: to open its index ourselves would drop SQLite's locks on it.
CHECKPOINT_ROWS_COUNT = 5_000
CHECKPOINT_BYTES = 4 * 1024 * 1024
# Then it is also cut, which waits for readers.
TRUNCATE_BYTES = 64 * 1024 * 1024
TRUNCATE_SECONDS_MAX = 0.1
IDLE_SECONDS = 1.0


@dataclass(slots=True)
class _Asked:
    """One piece of work, and who waits for it."""

    work: Callable[[WriterConnection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    problem: Exception | None = None


class Writer:
    """Writes to one file; opened by `start`.

    Args:
        path: The file, made if it is missing.
        is_fast: Not to wait for the disk: what was written last may be lost with the power, and
            nothing else is.
        versions: What brings the tables forwards.
        is_moving: Whether it is opened by who moves it to another place.
    """

    def __init__(
        self,
        path: Path,
        *,
        is_fast: bool = False,
        versions: Sequence[str] = VERSIONS,
        is_moving: bool = False,
    ) -> None:
        self.path = path
        self._is_fast = is_fast
        self._versions = versions
        self._is_moving = is_moving
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._owner: sqlite3.Connection | None = None
        self._changes_before_count = 0
        self._wal_before_bytes = 0

    async def start(self) -> None:
        """Open the file; no other process may have it.

        Raises:
            StoreOwnedError: Another has it.
            StoreVersionError: Its tables are newer than we are.
            StoreMovedError: What was in it is elsewhere, or on its way there.
        """
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            db = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread goes on, and would hold the file with nobody to let it go.
            await asyncio.wait([opening])
            if opening.exception() is None:
                self._close(opening.result())
            raise
        self._thread = threading.Thread(
            target=self._write, args=(db,), name=f"outgrow-writer-{self.path.name}", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Close the file, after all that was asked for before."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._asked.put(None)
        await asyncio.to_thread(thread.join)
        if self._owner is not None:
            self._owner.close()

    async def run(self, work: Callable[[WriterConnection], T]) -> T:
        """What the work returns, when what it wrote is on the disk.

        It runs in the writer's thread, in a transaction with others' work. What it raises undoes
        what it did, and nobody else's.

        Raises:
            StoreBusyError: Too much waits already.
            StoreLostError: The disk refused.
        """
        if self._thread is None:
            raise StoreLostError(f"{self.path.name} is closed", may_be_kept=False)
        if self._asked.qsize() >= WAITING_COUNT_MAX:
            raise StoreBusyError(f"{WAITING_COUNT_MAX} writes wait for {self.path.name}")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._asked.put(_Asked(work, loop, future))
        return await future

    def _close(self, db: WriterConnection) -> None:
        db.close()
        if self._owner is not None:
            self._owner.close()

    # In a thread.

    def _open(self) -> WriterConnection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner = _owned(self.path)
        try:
            return self._prepared()
        except BaseException:
            self._owner.close()
            raise

    def _prepared(self) -> WriterConnection:
        db = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=WriterConnection,
        )
        try:
            _have_wal(db, self.path)
            db.execute(f"PRAGMA synchronous={'NORMAL' if self._is_fast else 'FULL'}")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.execute("PRAGMA cache_size=-65536")
            _bring_forwards(db, self.path, self._versions)
            if not self._is_moving:
                check_here(f"sqlite:///{self.path}", move_in(db))
        except BaseException:
            db.close()
            raise
        return db

    def _write(self, db: WriterConnection) -> None:
        with contextlib.closing(db):
            is_last = False
            while not is_last:
                try:
                    first = self._asked.get(timeout=IDLE_SECONDS)
                except queue.Empty:
                    self._checkpoint(db, is_idle=True)
                    continue
                if first is None:
                    break
                is_last = self._commit(db, [first])
                self._checkpoint(db)
            self._refuse_rest()
            self._checkpoint(db, is_idle=True)

    def _commit(self, db: WriterConnection, group: list[_Asked]) -> bool:
        """Do what is asked for, and answer; whether we shall stop after it."""
        is_last = False
        try:
            is_last = self._in_one(db, group)
        except sqlite3.Error as problem:
            _undo(db)
            lost = f"{self.path.name} could not be written: {problem}"
            for asked in group:
                asked.problem = StoreLostError(lost, hint="Mend the disk, then send it again")
        _answer(group)
        return is_last

    def _in_one(self, db: WriterConnection, group: list[_Asked]) -> bool:
        """Do all that was asked for, in one transaction; whether we shall stop after it."""
        db.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + GROUP_SECONDS_MAX
        _do(db, group[0])
        is_last = False
        while len(group) < GROUP_COUNT_MAX and time.monotonic() < end:
            try:
                asked = self._asked.get_nowait()
            except queue.Empty:
                break
            if asked is None:
                is_last = True
                break
            group.append(asked)
            _do(db, asked)
        db.execute("COMMIT")
        return is_last

    def _refuse_rest(self) -> None:
        rest: list[_Asked] = []
        while not self._asked.empty():
            asked = self._asked.get_nowait()
            if asked is not None:
                asked.problem = StoreLostError(f"{self.path.name} is closed", may_be_kept=False)
                rest.append(asked)
        _answer(rest)

    def _checkpoint(self, db: WriterConnection, *, is_idle: bool = False) -> None:
        changes = db.total_changes - self._changes_before_count
        if not changes:
            return
        with contextlib.suppress(OSError):
            wal_bytes = Path(f"{self.path}-wal").stat().st_size
            growth_bytes = wal_bytes - self._wal_before_bytes
            is_due = changes >= CHECKPOINT_ROWS_COUNT or growth_bytes >= CHECKPOINT_BYTES
            if not is_due and not is_idle:
                return
            is_cut = is_idle or wal_bytes >= TRUNCATE_BYTES
            # A refusal, by a reader or the disk, costs nothing: the WAL goes on growing.
            with contextlib.suppress(sqlite3.Error):
                db.execute(f"PRAGMA busy_timeout={int(TRUNCATE_SECONDS_MAX * 1000)}")
                db.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if is_cut else 'PASSIVE'})")
            self._changes_before_count = db.total_changes
            self._wal_before_bytes = Path(f"{self.path}-wal").stat().st_size


def _do(db: WriterConnection, asked: _Asked) -> None:
    db.execute("SAVEPOINT one")
    try:
        asked.result = asked.work(db)
    except sqlite3.OperationalError:
        raise  # the disk: it concerns all
    except Exception as problem:
        db.execute("ROLLBACK TO one")
        db.forget()
        asked.problem = problem
    db.execute("RELEASE one")


def _undo(db: WriterConnection) -> None:
    db.forget()
    with contextlib.suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def _answer(group: list[_Asked]) -> None:
    """Tell all who waited, each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Asked]] = {}
    for asked in group:
        by_loop.setdefault(asked.loop, []).append(asked)
    for loop, answered in by_loop.items():
        # A loop that has ended waits for nothing.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(partial(_tell, answered))


def _tell(answered: list[_Asked]) -> None:
    for asked in answered:
        if asked.future.done():
            continue
        if asked.problem is not None:
            asked.future.set_exception(asked.problem)
        else:
            asked.future.set_result(asked.result)


def _have_wal(db: WriterConnection, path: Path) -> None:
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StoreLostError(
            f"SQLite can keep no WAL at {path}, its mode is {mode}",
            hint="Put the file on a local disk, not on a network file system",
            may_be_kept=False,
        )


def _owned(path: Path) -> sqlite3.Connection:
    """Hold a file beside it locked: SQLite's locks end with their process, on every system."""
    owner = sqlite3.connect(
        f"{path}-owner", isolation_level=None, timeout=OWNER_SECONDS_MAX, check_same_thread=False
    )
    try:
        owner.execute("PRAGMA journal_mode=DELETE")
        owner.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as problem:
        owner.close()
        raise StoreOwnedError(
            f"another process has had {path} open for {OWNER_SECONDS_MAX:g} s ({problem})"
        ) from None
    return owner


def _bring_forwards(db: WriterConnection, path: Path, versions: Sequence[str]) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > len(versions):
        raise StoreVersionError(
            f"{path} has tables of version {found}, and we know them up to {len(versions)}"
        )
    for number in range(found + 1, len(versions) + 1):
        # In one script, since each statement alone would be a transaction of its own.
        db.executescript(
            f"BEGIN IMMEDIATE;\n{versions[number - 1]}\nPRAGMA user_version = {number};\nCOMMIT;"
        )
