"""Outgrow runs a Python backend, says what will break first as it grows, and moves that limit."""

from importlib import import_module
from typing import TYPE_CHECKING

from outgrow.errors import (
    CallError,
    DeadlineExceededError,
    OutgrowError,
    OverloadedError,
    RemoteError,
    UnavailableError,
    ValueMismatchError,
)

if TYPE_CHECKING:
    from outgrow.host import Clock, call, client, lifespan, see_through, uses, wait
    from outgrow.model import App, from_env, on_start, on_stop, operation, provides, service
    from outgrow.store import Database, database
    from outgrow.wire import Baggage, deadline

__version__ = "0.1.0.dev0"

__all__ = [
    "App",
    "Baggage",
    "CallError",
    "Clock",
    "Database",
    "DeadlineExceededError",
    "OutgrowError",
    "OverloadedError",
    "RemoteError",
    "UnavailableError",
    "ValueMismatchError",
    "__version__",
    "call",
    "client",
    "database",
    "deadline",
    "from_env",
    "lifespan",
    "on_start",
    "on_stop",
    "operation",
    "provides",
    "see_through",
    "service",
    "uses",
    "wait",
]

# Where each name lives; a room is imported when one of its names is first asked for.
_ROOMS = {
    "host": ("Clock", "call", "client", "lifespan", "see_through", "uses", "wait"),
    "model": ("App", "from_env", "on_start", "on_stop", "operation", "provides", "service"),
    "store": ("Database", "database"),
    "wire": ("Baggage", "deadline"),
}
_HOMES = {name: f"outgrow.{room}" for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'outgrow' has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
