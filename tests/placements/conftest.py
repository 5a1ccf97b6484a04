"""Every test here runs in all placements that need no other process, and must see the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from outgrow.testing import RunningApp, running

from .sockets import apart

Play = Callable[..., Any]
Placed = Literal["local", "rpc", "sockets", "split"]


@pytest.fixture(params=["local", "rpc", "sockets"])
def placement(request: pytest.FixtureRequest) -> Placed:
    return request.param


@pytest.fixture
def play(placement: Placed) -> Play:
    """Run services and do something with them; returns what that returns."""

    def played(services: Any, piece: Callable[[RunningApp], Awaitable[Any]], **options: Any) -> Any:
        async def run() -> Any:
            if placement != "sockets":
                async with running(services, placement, **options) as app:
                    return await piece(app)
            with tempfile.TemporaryDirectory(prefix="og") as folder:
                async with apart(services, Path(folder), **options) as app:
                    return await piece(app)

        return asyncio.run(run())

    return played
