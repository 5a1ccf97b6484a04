"""Clocks that a test puts forward, so that none waits for a limit."""

from __future__ import annotations

import asyncio

import pytest

SECOND_NS = 10**9


class Clock(asyncio.SelectorEventLoop):
    """Tells the time, and `ahead_seconds` more."""

    ahead_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_seconds


class Stopwatch:
    """Stands for `perf_counter_ns`, and stands still unless it is put forward."""

    def __init__(self) -> None:
        self.now_ns = SECOND_NS

    def __call__(self) -> int:
        return self.now_ns

    def pass_seconds(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)


def stopped(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """The clock by which requests wait, stopped."""
    watch = Stopwatch()
    for module in ("line", "protocol", "request"):
        monkeypatch.setattr(f"outgrow.host.{module}.perf_counter_ns", watch)
    return watch
