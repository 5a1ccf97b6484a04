"""Marks what is seen of workers that come and go: deploys and restarts, which charts show.

A version or a commit is a deploy where no other worker of it is there, or was a moment ago. A
worker that vanished and has a successor of the same name was started again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.telemetry import Origin, Report

AWAY_SECONDS = 60.0
REMEMBERED_MAX = 10_000
DEPLOY, RESTART = "deploy", "restart"
_COMMIT_CHARACTERS = 12

Release = tuple[int, str]
"""Version and commit."""


class Kept(Protocol):
    """Where reports go, and marks."""

    def hear(self, origin: Origin, /) -> None:
        """A worker is there, or there again."""
        ...

    def take(self, origin: Origin, report: Report, /) -> None:
        """It has reported."""
        ...

    def left(self, origin: Origin, /) -> None:
        """Its connection has ended."""
        ...

    def mark(self, at_ns: int, kind: str, text: str, /) -> None:
        """Mark a moment."""
        ...


class Marking:
    """An intake for reports that marks what it sees, and passes all on.

    Args:
        kept: Where all goes.
        clock_ns: The time of the wall clock, in nanoseconds since 1970.
        known: Epochs of workers that were there before, and what they ran.
    """

    def __init__(
        self, kept: Kept, clock_ns: Callable[[], int], known: dict[str, Release] | None = None
    ) -> None:
        self._kept = kept
        self._clock_ns = clock_ns
        self._seen = dict.fromkeys(known or {})
        self._present: dict[str, Origin] = {}
        # Those of the observer before are known without their app, of which there is mostly one.
        self._seen_at_ns: dict[tuple[str, Release], int] = {
            ("", release): clock_ns() for release in (known or {}).values()
        }
        self._ended: set[str] = set()
        self._vanished: dict[tuple[str, str, str], int] = {}

    def hear(self, origin: Origin) -> None:
        """A worker is there, or there again."""
        self._kept.hear(origin)
        is_new = origin.epoch not in self._seen
        if is_new:
            self._mark_deploy(origin)
            self._mark_restart(origin)
        self._present[origin.epoch] = origin
        self._seen[origin.epoch] = None
        self._forget()

    def take(self, origin: Origin, report: Report) -> None:
        """It has reported."""
        self._kept.take(origin, report)
        if report.is_last:
            self._ended.add(origin.epoch)

    def left(self, origin: Origin) -> None:
        """Its connection has ended."""
        self._kept.left(origin)
        self._present.pop(origin.epoch, None)
        self._seen_at_ns[origin.app, _release_of(origin)] = self._clock_ns()
        if origin.epoch in self._ended:
            self._ended.discard(origin.epoch)
        else:
            self._vanished[_place_of(origin)] = self._clock_ns()

    def _mark_deploy(self, origin: Origin) -> None:
        now_ns = self._clock_ns()
        release = version, commit = _release_of(origin)
        is_there = any(
            (one.app, _release_of(one)) == (origin.app, release) for one in self._present.values()
        )
        was_there_ns = max(self._seen_at_ns.get((app, release), 0) for app in (origin.app, ""))
        if is_there or (was_there_ns and now_ns - was_there_ns < AWAY_SECONDS * 1e9):
            return
        text = f"version {version}"
        self._kept.mark(
            now_ns, DEPLOY, f"{text}, commit {commit[:_COMMIT_CHARACTERS]}" if commit else text
        )

    def _mark_restart(self, origin: Origin) -> None:
        now_ns = self._clock_ns()
        since_ns = self._vanished.pop(_place_of(origin), None)
        if since_ns is not None and now_ns - since_ns < AWAY_SECONDS * 1e9:
            self._kept.mark(now_ns, RESTART, f"{origin.worker} was started again")

    def _forget(self) -> None:
        for known in (self._seen, self._seen_at_ns, self._vanished):
            while len(known) > REMEMBERED_MAX:
                known.pop(next(iter(known)))  # pyright: ignore[reportArgumentType]


def _release_of(origin: Origin) -> Release:
    return origin.version, origin.labels.get("commit", "")


def _place_of(origin: Origin) -> tuple[str, str, str]:
    return origin.app, origin.machine, origin.worker
