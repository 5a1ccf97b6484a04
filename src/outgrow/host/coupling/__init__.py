"""Reads any code base and its history, importing nothing: what in it cannot change alone."""

from outgrow.host.coupling.looking import Coupling, coupling_of
from outgrow.host.coupling.ways import (
    SHARERS_MIN,
    WRITERS_MIN,
    Shared,
    reached,
    shared_of,
)

__all__ = [
    "SHARERS_MIN",
    "WRITERS_MIN",
    "Coupling",
    "Shared",
    "coupling_of",
    "reached",
    "shared_of",
]
