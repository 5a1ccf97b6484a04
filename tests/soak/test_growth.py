"""The fit of the soak: what it takes for growth, and what not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.soak.growth import MB, descriptors, growth, lived_through, memory
from tests.soak.samples import Sample, sampled

SPAN_SECONDS = 1800.0
COUNT = 120


def samples(
    megabytes: Callable[[float], float], pid: int = 1, count: Callable[[int], int] = lambda _: 10
) -> list[Sample]:
    """Of one process, over the span; memory in MB by the part of the span that has passed."""
    return [
        Sample(
            seconds=SPAN_SECONDS * number / (COUNT - 1),
            role="front/1",
            pid=pid,
            rss_bytes=int(megabytes(number / (COUNT - 1)) * MB),
            pss_bytes=0,
            private_bytes=0,
            descriptors=count(number),
            threads=1,
        )
        for number in range(COUNT)
    ]


@pytest.mark.parametrize(
    ("megabytes", "grown_mb"),
    [
        pytest.param(lambda _: 80.0, 0.0, id="flat"),
        pytest.param(lambda passed: 80.0 + 4 * passed, 4.0, id="a leak"),
        pytest.param(lambda passed: 80.0 - 4 * passed, -4.0, id="memory given back"),
        pytest.param(lambda passed: 80.0 + 50 * (0.4 < passed < 0.6), 0.0, id="a peak"),
        pytest.param(lambda passed: 80.0 + 50 * (passed > 0.9), 0.0, id="a jump near the end"),
    ],
)
def test_the_fit_tells_a_leak_from_a_peak(
    megabytes: Callable[[float], float], grown_mb: float
) -> None:
    assert growth(samples(megabytes), memory(1.0)).grown == pytest.approx(grown_mb, abs=0.01)


def test_a_leak_is_seen_through_noise_and_breaks_its_bound() -> None:
    dice = random.Random(1)
    found = growth(samples(lambda passed: 80 + 2 * passed + dice.gauss(0, 0.5)), memory(1.0))
    assert found.grown == pytest.approx(2, abs=0.5)
    assert not found.is_kept


def test_only_who_lived_through_the_whole_span_is_judged() -> None:
    old, young = samples(lambda _: 80.0), samples(lambda _: 80.0, pid=2)[COUNT // 2 :]
    assert [one[0].pid for one in lived_through([*old, *young], 0, SPAN_SECONDS)] == [1]


@pytest.mark.parametrize(
    ("count", "is_kept"),
    [
        pytest.param(lambda number: 70 + 5 * (number % 4) * (number > 60), True, id="busy clients"),
        pytest.param(lambda number: 70 + number // 20, False, id="one in a while, never closed"),
    ],
)
def test_descriptors_that_stay_are_told_from_those_that_come_and_go(
    count: Callable[[int], int], is_kept: bool
) -> None:
    assert growth(samples(lambda _: 80.0, count=count), descriptors(3.0)).is_kept is is_kept


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the children")
def test_children_that_are_no_workers_are_told_apart() -> None:
    modules = {"keeper": "outgrow.host.durable", "observer": "outgrow.dashboard"}
    said = "print(flush=True); input()"
    roles = [*modules, "nursery", "front/1"]
    started = {
        role: subprocess.Popen(
            [sys.executable, "-c", said, "-m", modules.get(role, "x")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for role in roles
    }
    try:
        for child in started.values():
            assert child.stdout is not None
            child.stdout.readline()
        found = sampled(0.0, os.getpid(), {started["front/1"].pid: "front/1"})
        told = {each.pid: each.role for each in found}
        assert [told[started[role].pid] for role in roles] == roles
    finally:
        for child in started.values():
            child.communicate()
