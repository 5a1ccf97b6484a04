"""Who is dead: a worker whose signs of life have stopped, by the clock of who watches.

Signs are counted, not timed, so that no clock of another machine matters, nor one that is set back
or forth. What the watcher did not see it does not hold against a worker: after a pause of its own,
when the whole machine was asleep for instance, it begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.store.durable.records import Lease, Sighting

LEASE_SECONDS = 30.0
LOOK_SECONDS = 5.0
BEAT_SECONDS = 5.0


class DeathWatch:
    """Looks at the workers every few seconds.

    Args:
        lease_seconds: A worker without a sign for so long is dead.
        look_seconds: How often `look` is called; a pause of more than twice that does not count.
    """

    def __init__(
        self, *, lease_seconds: float = LEASE_SECONDS, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._lease_seconds = lease_seconds
        self._gap_seconds_max = 2 * look_seconds
        self._silent_seconds: dict[Lease, tuple[int, float]] = {}
        self._last: float | None = None

    def look(self, sightings: Iterable[Sighting], at: float) -> list[Sighting]:
        """Those that are dead; `at` is in seconds of a clock that is never set.

        Each is to be buried with the beat seen here, so that one that woke up meanwhile is spared.
        """
        passed = 0.0 if self._last is None else at - self._last
        if passed > self._gap_seconds_max:
            passed = 0.0
            self._silent_seconds.clear()
        self._last = at
        silent: dict[Lease, tuple[int, float]] = {}
        dead: list[Sighting] = []
        for one in sightings:
            beat, seconds = self._silent_seconds.get(one.lease, (one.beat, -passed))
            seconds = seconds + passed if beat == one.beat else 0.0
            silent[one.lease] = (one.beat, seconds)
            if seconds >= self._lease_seconds:
                dead.append(one)
        self._silent_seconds = silent
        return dead
