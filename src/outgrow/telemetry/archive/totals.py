"""The latest totals of every process, from which differences are taken.

They outlive the archive's process, or the next report of a worker would count all again. Before
windows are written, the totals that lead to them are, under a name of their own; they get their
name once the windows are committed. Whether they were is asked of the day's file at the next start,
so a process that is killed between any two steps counts nothing twice and loses nothing written.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from outgrow.telemetry.archive.kinds import PROCESSES, Count, Key, counts_in, process_count
from outgrow.telemetry.records import Origin, Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outgrow.telemetry.archive.kinds import Kind

EPOCHS_MAX = 4096
# Of one process and kind; workers themselves tell less than 5,000 apart.
KEYS_MAX = 20_000
# Of all processes together.
TOTAL_KEYS_MAX = 250_000
TEXTS_MAX = 20_000
# A process that ended may still be spoken of by reports that were on their way.
ENDED_KEPT_NS = 3600 * 10**9
LOST_KEPT_NS = 86_400 * 10**9

_log = logging.getLogger(__name__)

State = Literal["reporting", "gone", "lost"]


class Epoch(msgspec.Struct):
    """A process that reported.

    Attributes:
        began_ns: When it began to count, by the archive's clock.
        seen_ns: When its last report arrived; `began_ns` before there is one.
        number: Of that report.
        covered_ns: How much time it has told of.
        heard_ns: When it last connected.
        left_ns: When its connection ended; 0 while it has one.
        is_forgotten: Its totals were dropped for want of room, so the next ones can't be counted.
        told: What was last written of it, see `origins`.
        counts: Its totals by the name of their kind, then by key.
    """

    origin: Origin
    began_ns: int
    seen_ns: int
    number: int = 0
    state: State = "reporting"
    covered_ns: int = 0
    heard_ns: int = 0
    left_ns: int = 0
    is_forgotten: bool = False
    told: str = ""
    counts: dict[str, dict[Key, Count]] = {}

    def snapshot(self) -> Epoch:
        """A copy that later reports leave alone; a `Count` is replaced and never changed."""
        counts = {name: dict(known) for name, known in self.counts.items()}
        return msgspec.structs.replace(self, counts=counts)

    def key_count(self) -> int:
        """How many totals are remembered."""
        return sum(len(known) for known in self.counts.values())


class Snapshot(msgspec.Struct):
    """What outlives the process.

    Attributes:
        number: Of the writing of windows that it goes with; higher than all before.
        day: In whose file these are.
        epochs: Processes by name.
        rest: Windows that are to be written next, by their beginning, as those of another day.
    """

    number: int = 0
    day: int = 0
    epochs: dict[str, Epoch] = {}
    rest: dict[int, dict[str, dict[Key, Count]]] = {}


class Totals:
    """The totals of all processes.

    Attributes:
        epochs: By their name.
        texts: Of statements, by database and fingerprint: the text, and the tables that it reads
            and writes, encoded.
    """

    def __init__(self) -> None:
        self.epochs: dict[str, Epoch] = {}
        self.texts: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._key_count = 0

    def restore(self, epochs: dict[str, Epoch]) -> None:
        """Go on where another process of the archive ended."""
        self.epochs = epochs
        self._key_count = sum(epoch.key_count() for epoch in epochs.values())

    def meet(self, origin: Origin, now_ns: int) -> Epoch:
        """The process, which is new if it has never reported."""
        epoch = self.epochs.get(origin.epoch)
        if epoch is None:
            began_ns = min(origin.began_at_ns or now_ns, now_ns)
            epoch = self.epochs[origin.epoch] = Epoch(origin, began_ns, began_ns)
        return epoch

    def take(
        self, epoch: Epoch, report: Report, now_ns: int, add: Callable[[Kind, Key, Count], None]
    ) -> int:
        """Have what was added since its last report added, and remember the totals.

        Returns:
            How many totals could not be counted: more than there is room for, or no numbers.
        """
        uncounted = 0
        # Never less than before, or a clock that was set back would count all anew.
        epoch.covered_ns += max(0, now_ns - epoch.seen_ns)
        key = (epoch.origin.worker, epoch.origin.epoch)
        process = (PROCESSES, key, process_count(report, epoch.covered_ns))
        for kind, name, count in (*counts_in(epoch.origin, report), process):
            uncounted += not self._step(epoch, kind, name, count, add)
        self._remember_texts(report)
        epoch.number = report.number
        epoch.seen_ns = now_ns
        epoch.left_ns = 0
        epoch.is_forgotten = False
        epoch.state = "gone" if report.is_last else "reporting"
        if report.is_last:
            self._drop_counts(epoch)
        elif self._key_count > TOTAL_KEYS_MAX:
            self._make_room(epoch)
        return uncounted

    def _step(
        self,
        epoch: Epoch,
        kind: Kind,
        key: Key,
        count: Count,
        add: Callable[[Kind, Key, Count], None],
    ) -> bool:
        known = epoch.counts.setdefault(kind.name, {})
        before = known.get(key)
        added = count.since(before)
        if added is None:
            return True
        if not count.is_sound():
            return False
        if before is None:
            if len(known) >= KEYS_MAX or self._key_count >= 2 * TOTAL_KEYS_MAX:
                return False
            self._key_count += 1
        # What is told may be the sender's own object, which goes on counting.
        known[key] = count.copy()
        if not epoch.is_forgotten:
            add(kind, key, added)
        return not epoch.is_forgotten

    def _remember_texts(self, report: Report) -> None:
        for one in report.statements:
            if (one.database, one.fingerprint) not in self.texts:
                if len(self.texts) >= TEXTS_MAX:
                    self.texts.clear()
                used = msgspec.msgpack.encode((one.reads[:64], one.writes[:64]))
                self.texts[one.database, one.fingerprint] = (one.text[:4096], used)

    def _drop_counts(self, epoch: Epoch) -> None:
        self._key_count -= epoch.key_count()
        epoch.counts = {}

    def _make_room(self, but: Epoch) -> None:
        """Drop the totals of those that have been silent longest."""
        others = [one for one in self.epochs.values() if one is not but and one.counts]
        for one in sorted(others, key=lambda one: (one.state != "lost", one.seen_ns)):
            if self._key_count <= TOTAL_KEYS_MAX:
                break
            self._drop_counts(one)
            one.is_forgotten = True

    def forget_old(self, now_ns: int) -> None:
        """Drop processes that ended long ago, and the longest silent ones of too many."""
        for name, epoch in list(self.epochs.items()):
            kept_ns = {"gone": ENDED_KEPT_NS, "lost": LOST_KEPT_NS}.get(epoch.state)
            if kept_ns is not None and epoch.seen_ns < now_ns - kept_ns:
                self._forget(name)
        too_many = len(self.epochs) - EPOCHS_MAX
        if too_many > 0:
            ordered = sorted(
                self.epochs,
                key=lambda name: (
                    self.epochs[name].state == "reporting",
                    self.epochs[name].seen_ns,
                ),
            )
            for name in ordered[:too_many]:
                self._forget(name)

    def _forget(self, name: str) -> None:
        self._drop_counts(self.epochs.pop(name))

    def snapshot(self) -> dict[str, Epoch]:
        """As they are now."""
        return {name: epoch.snapshot() for name, epoch in self.epochs.items()}


class TotalsFile:
    """Where totals outlive the process.

    Args:
        folder: That of the archive.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "totals.msgpack"
        self._next = folder / "totals.next.msgpack"
        self._is_settled = True

    def prepare(self, snapshot: Snapshot) -> None:
        """Write what shall hold once the windows are committed.

        Raises:
            OSError: The disk is full, or worse.
        """
        if not self._is_settled:
            # What was prepared before holds, and is nowhere else.
            self.commit()
        with self._next.open("wb") as file:
            file.write(msgspec.msgpack.encode(snapshot))
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """What was prepared holds.

        Raises:
            OSError: It could not get its name, and gets it before the next is prepared.
        """
        self._is_settled = False
        self._next.replace(self._path)
        self._is_settled = True
        with contextlib.suppress(OSError):
            self._sync_folder()

    def _sync_folder(self) -> None:
        # The next that is prepared must not reach the disk before this one has its name.
        number = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def read(self, is_written: Callable[[int, int], bool]) -> Snapshot:
        """The totals that go with the windows that were committed.

        Args:
            is_written: Whether the file of a day has the writing of a number.
        """
        prepared = self._read(self._next)
        if prepared is not None and is_written(prepared.day, prepared.number):
            self.commit()
            return prepared
        with contextlib.suppress(OSError):
            self._next.unlink(missing_ok=True)
        return self._read(self._path) or Snapshot()

    def _read(self, path: Path) -> Snapshot | None:
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            if path == self._next:  # it was being written
                return None
            _log.warning(
                "%s can not be read (%s), and is set aside: what running workers counted so far "
                "may be counted again",
                path,
                error,
            )
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".aside"))
            return None
