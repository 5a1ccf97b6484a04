"""Asking the API without a network."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from outgrow.dashboard.access import Access
from outgrow.dashboard.app import api_app
from tests.unit.dashboard.shop import ShopAnswers

MOMENT_NS = 1_795_513_290_000_000_000


def ask(
    target: str,
    *,
    method: str = "GET",
    host: str = "localhost:8800",
    access: Access | None = None,
    answers: Any = None,
    **options: Any,
) -> httpx.Response:
    """What the API answers to one request."""

    async def exchange() -> httpx.Response:
        known = answers or ShopAnswers()
        app = api_app(known, version="0", access=access, clock_ns=lambda: MOMENT_NS)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, target, **options)

    return asyncio.run(exchange())
