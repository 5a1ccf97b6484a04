"""What the machine lacks, read from what its kernel says."""

from __future__ import annotations

import pytest

from outgrow.telemetry.pressure import Pressure, PressureGauge, stalled_ns, steal_ticks


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"cpu  1546181 275784 306500 499400 10305 0 12797 2172 0 0\ncpu0 1 2\n", 2172),
        (b"cpu  1 2 3 4 5 6 7\n", 0),
        (b"", 0),
    ],
)
def test_stolen_time_is_the_eighth_number(said: bytes, expected: int) -> None:
    assert steal_ticks(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"some avg10=77.14 avg60=74.06 avg300=55.84 total=6619633740\nfull ...", 6619633740_000),
        (b"full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n", 0),
        (b"", 0),
    ],
)
def test_a_stall_is_the_total_of_the_line_some(said: bytes, expected: int) -> None:
    assert stalled_ns(said) == expected


def test_what_came_since_is_never_less_than_nothing() -> None:
    gauge = PressureGauge()
    before = gauge.read()
    since = gauge.read().since(before)
    gauge.close()
    assert min(since.steal_ns, since.cpu_ns, since.io_ns, since.memory_ns) >= 0
    assert before.since(before) == Pressure()
