"""Ids, partitions and clocks, the same on every engine and in every version."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from uuid import UUID

# Fixed for ever: another number would send a key's later events elsewhere than its earlier ones.
PARTITIONS_COUNT = 64

Clock = Callable[[], int]
"""The time in milliseconds since 1970."""

_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62
_RANDOM_MASK = (0xFFF << 64) | ((1 << 62) - 1)


def wall_clock() -> int:
    """The computer's own."""
    return time.time_ns() // 1_000_000


def new_id(now_ms: int | None = None, random: Callable[[int], bytes] = os.urandom) -> UUID:
    """A UUID of version 7: unique, and in the order of time to a millisecond."""
    at_ms = wall_clock() if now_ms is None else now_ms
    chance = int.from_bytes(random(10)) & _RANDOM_MASK
    return UUID(int=(at_ms & (1 << 48) - 1) << 80 | _VERSION_AND_VARIANT | chance)


def first_id_of(at_ms: int) -> UUID:
    """The lowest id of this millisecond."""
    return UUID(int=max(0, at_ms) << 80)


def partition_of(key: str | None, id: UUID) -> int:
    """Where an event stands: by its key where it has one, so that one reader sees all of it."""
    text = id.bytes if key is None else key.encode()
    return zlib.crc32(text) % PARTITIONS_COUNT
