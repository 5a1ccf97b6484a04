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
    from outgrow.host import (
        Clock,
        EnqueuedJob,
        Outbox,
        call,
        client,
        enqueue,
        enqueue_many,
        lifespan,
        progress,
        publish,
        see_through,
        step,
        uses,
        wait,
    )
    from outgrow.model import (
        App,
        Backoff,
        Event,
        from_env,
        job,
        on_start,
        on_stop,
        operation,
        provides,
        schedule,
        service,
        subscribe,
    )
    from outgrow.store import Database, database
    from outgrow.wire import Baggage, deadline

__version__ = "0.1.0.dev0"

__all__ = [
    "App",
    "Backoff",
    "Baggage",
    "CallError",
    "Clock",
    "Database",
    "DeadlineExceededError",
    "EnqueuedJob",
    "Event",
    "Outbox",
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
    "enqueue",
    "enqueue_many",
    "from_env",
    "job",
    "lifespan",
    "on_start",
    "on_stop",
    "operation",
    "progress",
    "provides",
    "publish",
    "schedule",
    "see_through",
    "service",
    "step",
    "subscribe",
    "uses",
    "wait",
]

# Where each name lives; a room is imported when one of its names is first asked for.
_ROOMS = {
    "host": (
        *("Clock", "EnqueuedJob", "Outbox", "call", "client", "enqueue", "enqueue_many"),
        *("lifespan", "progress", "publish", "see_through", "step", "uses", "wait"),
    ),
    "model": (
        *("App", "Backoff", "Event", "from_env", "job", "on_start", "on_stop", "operation"),
        *("provides", "schedule", "service", "subscribe"),
    ),
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
