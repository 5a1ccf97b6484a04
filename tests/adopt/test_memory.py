"""The measure that the memory tests trust."""

from __future__ import annotations

import os

from tests.adopt.memory import MemoryPeak

BLOCK_BYTES = 80 * 1024 * 1024


def test_a_peak_is_seen_after_it_is_over_and_forgotten_by_the_next() -> None:
    memory = MemoryPeak(os.getpid())
    block = bytearray(b"x") * BLOCK_BYTES
    del block
    assert memory.growth_bytes() > 0.9 * BLOCK_BYTES
    assert MemoryPeak(os.getpid()).growth_bytes() < 0.1 * BLOCK_BYTES
