"""A shop that was just opened, for each test of it, in every placement."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from examples.shop.app import shop
from examples.shop.order import Buyer
from examples.shop.payments import token_of
from examples.shop.places import databases_in
from outgrow.testing import ManualClock, RunningApp, running
from tests.placements.conftest import Placed, Play

OPENED = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY_SECONDS = 24 * 3600
BUYER = Buyer(customer="me", email="me@example.org", card=token_of("4242424242424242"))
TEA, CUP, LAST = "TEA-001", "CUP-001", "TEA-049"  # of the last one no more will come

Visit = Callable[..., Any]
Piece = Callable[[RunningApp], Awaitable[Any]]


@pytest.fixture(params=["local", "rpc", "sockets", pytest.param("split", marks=pytest.mark.slow)])
def placement(request: pytest.FixtureRequest) -> Placed:
    return request.param


@pytest.fixture(scope="session")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The databases of a shop that was just opened; to copy, not to use."""
    folder = tmp_path_factory.mktemp("new-shop")

    async def fill() -> None:
        async with running(shop, environment=databases_in(folder), clock=ManualClock(OPENED)):
            pass

    asyncio.run(fill())
    return folder


@pytest.fixture
def folder(new_shop: Path, tmp_path: Path) -> Path:
    """The databases of this test's shop."""
    return shutil.copytree(new_shop, tmp_path / "shop")


@pytest.fixture
def visit(play: Play, folder: Path) -> Visit:
    """Do something in the shop; returns what that returns."""

    def visited(piece: Piece, *, clock: ManualClock | None = None, **options: Any) -> Any:
        clock = clock or ManualClock(OPENED)
        return play(shop, piece, environment=databases_in(folder), clock=clock, **options)

    return visited
