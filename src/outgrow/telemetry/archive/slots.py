"""What was counted in the newest seconds, and in the windows of 10 s that are not written yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.archive.kinds import KINDS, OTHER, Count, Key, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECOND_NS = 10**9
WINDOW_NS = 10 * SECOND_NS
KEYS_MAX = 20_000
# How long seconds are told apart, besides their window.
LIVE_NS = 2 * WINDOW_NS
WAITING_WINDOWS_MAX = 60
# In all windows that wait; past it they are merged, down to one.
WAITING_KEYS_MAX = 200_000

Counts = dict[str, dict[Key, Count]]


def add_to(counts: Counts, kind: Kind, key: Key, count: Count) -> None:
    """Add a count; past 20,000 of a kind, all new ones are one."""
    known = counts.setdefault(kind.name, {})
    mine = known.get(key)
    if mine is None and len(known) >= KEYS_MAX:
        key = (OTHER,) * len(kind.keys)
        mine = known.get(key)
    if mine is None:
        known[key] = count.copy()
    else:
        mine.add(count)


class Slots:
    """What is counted now; whoever uses it holds the archive's lock.

    Attributes:
        live_from_ns: Seconds are told apart since then; 0 before there is any.
        changes: How often windows were taken away or given back.
    """

    def __init__(self) -> None:
        self.live_from_ns = 0
        self.changes = 0
        self._seconds: dict[int, Counts] = {}
        # Between these, seconds were dropped when the clock was set back.
        self._blurred_from_ns, self._blurred_until_ns = 1 << 63, 0
        self._waiting: dict[int, Counts] = {}
        self._taken: dict[int, Counts] = {}

    def add(self, now_ns: int, kind: Kind, key: Key, count: Count) -> None:
        """Add what was counted by now."""
        second_ns = now_ns // SECOND_NS * SECOND_NS
        if second_ns not in self._seconds:
            self._begin_second(second_ns)
        add_to(self._seconds[second_ns], kind, key, count)
        add_to(self._waiting.setdefault(now_ns // WINDOW_NS * WINDOW_NS, {}), kind, key, count)

    def _begin_second(self, second_ns: int) -> None:
        self._seconds[second_ns] = {}
        self.live_from_ns = max(self.live_from_ns or second_ns, second_ns - LIVE_NS)
        if second_ns < self.live_from_ns:  # the clock was set back
            dropped = [at_ns for at_ns in self._seconds if at_ns != second_ns]
            self._blurred_from_ns = min(self._blurred_from_ns, *dropped)
            self._blurred_until_ns = max(self._blurred_until_ns, *dropped)
            self.live_from_ns = second_ns
            self._seconds = {second_ns: {}}
        for old_ns in [at_ns for at_ns in self._seconds if at_ns < self.live_from_ns]:
            del self._seconds[old_ns]

    @property
    def waiting_count(self) -> int:
        """Windows that are not written."""
        return len(self._waiting) + len(self._taken)

    def first_ns(self) -> int | None:
        """When the first window begins that is not written; None without any."""
        return min((*self._waiting, *self._taken), default=None)

    def has_closed(self, now_ns: int) -> bool:
        """Whether a window waits that nothing is added to any more."""
        return any(window_ns + WINDOW_NS <= now_ns for window_ns in self._waiting)

    def take(self) -> dict[int, Counts]:
        """All that waits; next all of it is either `written` or `given_back`."""
        assert not self._taken, "what was taken before was neither written nor given back"
        self.changes += 1
        self._taken, self._waiting = self._waiting, {}
        return self._taken

    def written(self, windows: Iterable[int]) -> None:
        """These of what was taken are in the files."""
        self.changes += 1
        for window_ns in windows:
            del self._taken[window_ns]

    def given_back(self) -> None:
        """What is left of what was taken could not be written.

        Of more than 60 windows, or of too much in them, the oldest become one.
        """
        self.changes += 1
        later, self._waiting, self._taken = self._waiting, self._taken, {}
        for window_ns, counts in later.items():
            self._merge(window_ns, counts)
        while len(self._waiting) > 1 and (
            len(self._waiting) > WAITING_WINDOWS_MAX or self._keys_waiting() > WAITING_KEYS_MAX
        ):
            first, second = sorted(self._waiting)[:2]
            older, newer = self._waiting.pop(first), self._waiting.pop(second)
            self._waiting[second] = older
            self._merge(second, newer)

    def restore(self, windows: dict[int, Counts]) -> None:
        """Windows that another process of the archive had no time to write."""
        for window_ns, counts in windows.items():
            self._merge(window_ns, counts)

    def _keys_waiting(self) -> int:
        return sum(len(known) for counts in self._waiting.values() for known in counts.values())

    def _merge(self, window_ns: int, counts: Counts) -> None:
        mine = self._waiting.setdefault(window_ns, {})
        for name, known in counts.items():
            for key, count in known.items():
                add_to(mine, KINDS[name], key, count)

    def is_live(self, from_ns: int, to_ns: int) -> bool:
        """Whether all that was counted in a period is told apart by seconds."""
        is_blurred = from_ns <= self._blurred_until_ns and to_ns > self._blurred_from_ns
        return 0 < self.live_from_ns <= from_ns and not is_blurred

    def counts(self, kind: Kind, from_ns: int, to_ns: int) -> Iterator[tuple[int, Key, Count]]:
        """By second if the period is live, else by window what is in no file."""
        if self.is_live(from_ns, to_ns):
            parts = [(SECOND_NS, self._seconds)]
        else:
            parts = [(WINDOW_NS, self._taken), (WINDOW_NS, self._waiting)]
        for length_ns, slots in parts:
            for at_ns in sorted(slots):
                if from_ns // length_ns * length_ns <= at_ns < to_ns:
                    for key, count in slots[at_ns].get(kind.name, {}).items():
                        yield at_ns, key, count
