"""SQLite files as their driver sees them: how they are opened, locked, and let go.

What is here holds when a task is cancelled at any moment: no lock stays behind, no thread goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from outgrow.errors import DatabaseUnreachableError
from outgrow.store.settle import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from outgrow.store.address import Address

# Only a writer holds others up for long; also locked is a file whose WAL is mended after a crash,
# or put away by the last connection that closes.
LOCK_SECONDS_MAX = 5.0
# Other processes race for the lock; who asks often is not passed over for long.
ASK_AGAIN_SECONDS = 0.001
ASK_AGAIN_SECONDS_MAX = 0.005


def prepare(address: Address) -> None:
    """Make the file if it is missing, and have it keep its changes in a WAL; blocks.

    Raises:
        DatabaseUnreachableError: It cannot be made, read or written.
    """
    path = Path(address.target)
    _make_folder(path.parent, address)
    end = time.monotonic() + LOCK_SECONDS_MAX
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as file:
            while (mode := _mode_after_wal(file)) == "busy" and time.monotonic() < end:
                time.sleep(ASK_AGAIN_SECONDS_MAX)
    except sqlite3.Error as problem:
        raise unreachable(address, str(problem)) from None
    if not os.access(path, os.W_OK):  # SQLite says so only at the first statement that writes
        raise unreachable(address, "it may not be written")
    if mode != "wal":
        raise DatabaseUnreachableError(
            f"cannot open {address.shown}: SQLite can keep no WAL there, its mode is {mode}",
            hint="Put it on a local disk, not on a network file system; close it elsewhere",
        )


def _mode_after_wal(file: sqlite3.Connection) -> str:
    try:
        return file.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    except sqlite3.OperationalError as problem:
        if not _is_busy(problem):
            raise
        return "busy"


def _make_folder(folder: Path, address: Address) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    except OSError as problem:
        raise DatabaseUnreachableError(
            f"cannot make the folder of {address.shown}: {problem.strerror}",
            hint=f"Make the folder {folder}, or {address.correct_it}",
        ) from None
    if folder.name == ".outgrow":  # so that nobody commits a database by accident
        with contextlib.suppress(OSError):
            (folder / ".gitignore").write_text("*\n")


def unreachable(address: Address, reason: str) -> DatabaseUnreachableError:
    """The error for a file that cannot be used."""
    path = address.target
    return DatabaseUnreachableError(
        f"cannot open {address.shown}: {reason}",
        hint=f"Look whether {path} is an SQLite file that you may write, or {address.correct_it}",
    )


def engine_at(
    path: str, pragmas: Sequence[str], *, lock_seconds: float, **options: Any
) -> AsyncEngine:
    """An engine whose connections begin no transaction by themselves.

    Args:
        path: The file.
        pragmas: What each connection is set to.
        lock_seconds: How long a statement waits for a lock, keeping its thread.
        options: Further ones of SQLAlchemy's engine.
    """
    return create_async_engine(
        # For its kind, and its name in telemetry: we open it ourselves.
        URL.create("sqlite+aiosqlite", database=path),
        async_creator=partial(_connect, path, pragmas, lock_seconds),
        **options,
    )


async def begin_immediate(connection: AsyncConnection, until: float) -> bool:
    """Take the write lock as soon as no other process has it; False where it was not in time.

    SQLite's own waiting would keep the connection's thread, so that a cancelled task would leave
    one behind which still gets the lock.

    Raises:
        sqlite3.Error: The lock cannot be had at all.
    """
    loop = asyncio.get_running_loop()
    driver: aiosqlite.Connection = driver_of(await connection.get_raw_connection())
    pause_seconds = ASK_AGAIN_SECONDS
    while True:
        try:
            await driver.execute_fetchall("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            if not _is_busy(problem):
                raise
        else:
            return True
        if loop.time() >= until:
            return False
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, ASK_AGAIN_SECONDS_MAX)


def driver_of(raw: Any) -> aiosqlite.Connection:
    """The connection of the driver behind one of SQLAlchemy."""
    return raw.driver_connection


def _is_busy(problem: sqlite3.OperationalError) -> bool:
    return problem.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


async def _connect(path: str, pragmas: Sequence[str], lock_seconds: float) -> _FileConnection:
    connection = _FileConnection(partial(_opened, path, pragmas, lock_seconds), iter_chunk_size=64)

    async def reach() -> None:
        await connection

    try:
        await settle(reach())
    except asyncio.CancelledError:
        await connection.close()
        raise
    return connection


def _opened(path: str, pragmas: Sequence[str], lock_seconds: float) -> sqlite3.Connection:
    # Transactions are begun by us alone; the thread that uses it is not always the same.
    file = sqlite3.connect(
        path, timeout=LOCK_SECONDS_MAX, isolation_level=None, check_same_thread=False, factory=_File
    )
    try:
        for pragma in [*pragmas, f"busy_timeout={int(lock_seconds * 1000)}"]:
            file.execute(f"PRAGMA {pragma}")
    except BaseException:
        file.close()
        raise
    return file


class _FileConnection(aiosqlite.Connection):
    """A connection whose running statement stops when its task is cancelled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._thread.daemon = True  # a process that ends does not wait for it
        self._is_stopped = False

    def stop(self) -> asyncio.Future[Any] | None:
        """End the thread; once only, since what is asked of it later is never answered."""
        if self._is_stopped:
            return None
        self._is_stopped = True
        return super().stop()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._execute(fn, *args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        except asyncio.CancelledError:
            # Else its thread would go on, and hold the write lock with nobody waiting for it.
            with contextlib.suppress(ValueError, sqlite3.Error):
                self._conn.interrupt()
            raise


class _Cursor(sqlite3.Cursor):
    """A cursor that can be referred to weakly."""


class _File(sqlite3.Connection):
    """A connection that lets go of its locks when it is closed.

    A cursor that somebody still has, be it in the traceback of an exception, keeps a closed
    connection half open, and with it the write lock.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, factory: Any = _Cursor) -> Any:
        """A cursor, remembered while it exists."""
        made = super().cursor(factory)
        self._cursors.add(made)
        return made

    def close(self) -> None:
        """End what runs, roll back, and close."""
        with contextlib.suppress(sqlite3.Error):  # closed already
            for cursor in list(self._cursors):
                cursor.close()
            # Only now: after an interruption all fails until nothing runs any more.
            self.rollback()
        super().close()
