"""What one database may use, and how long things may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one `Database`.

    Attributes:
        connections_max: Connections of one process; on SQLite those that read.
        turn_seconds_max: How long `begin()` and `read()` wait to begin.
        held_seconds_warn: Who writes to SQLite longer than this is named in the log.
    """

    connections_max: int
    turn_seconds_max: float
    held_seconds_warn: float
