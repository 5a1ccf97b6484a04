"""Every test here runs in both test placements, and must see the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from outgrow.testing import Placement, RunningApp, running

Play = Callable[..., Any]


@pytest.fixture(params=["local", "rpc"])
def placement(request: pytest.FixtureRequest) -> Placement:
    return request.param


@pytest.fixture
def play(placement: Placement) -> Play:
    """Run services and do something with them; returns what that returns."""

    def played(services: Any, piece: Callable[[RunningApp], Awaitable[Any]], **options: Any) -> Any:
        async def run() -> Any:
            async with running(services, placement, **options) as app:
                return await piece(app)

        return asyncio.run(run())

    return played
