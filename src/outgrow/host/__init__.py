"""One process at work: it loads the app, serves it on sockets handed to it, and leaves softly."""

from outgrow.host.orders import (
    Beat,
    Begin,
    Drain,
    Dump,
    Failed,
    Fork,
    Listen,
    Loaded,
    Order,
    Ready,
    Release,
    Report,
    Started,
    Worn,
)

__all__ = [
    "Beat",
    "Begin",
    "Drain",
    "Dump",
    "Failed",
    "Fork",
    "Listen",
    "Loaded",
    "Order",
    "Ready",
    "Release",
    "Report",
    "Started",
    "Worn",
]
