"""Connections whose statements what uses them tells of, so that the driver need not."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

_owned: WeakSet[Any] = WeakSet()


def own(connection: Any) -> None:
    """Have the driver leave the statements of a connection alone."""
    # aiosqlite's has one of sqlite3 in itself.
    inner = getattr(connection, "_connection", None) or getattr(connection, "_conn", None)
    for one in (connection, inner):
        try:
            _owned.add(one)
        except TypeError:  # it takes no weak reference, and so is none that we look at
            continue


def is_owned(connection: Any) -> bool:
    """Whether what uses this connection tells of its statements."""
    return connection in _owned
