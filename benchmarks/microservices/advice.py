"""Recommendations, which have no part in an order: here so that the same processes run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from examples.shop.catalogue import Product
from examples.shop.recommendations import Recommendations

from .calling import CatalogueOverHttp, DeskOverHttp, session_to

the_recommendations: Recommendations


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Open the ways to the others."""
    global the_recommendations
    async with session_to("front") as to_front, session_to("desk") as to_desk:
        elsewhere: dict[str, Any] = {
            "orders": DeskOverHttp(to_desk),
            "catalogue": CatalogueOverHttp(to_front),
        }
        the_recommendations = Recommendations(**elsewhere)
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/recommendations/{sku}")
async def bought_together(sku: str) -> tuple[Product, ...]:
    return await the_recommendations.bought_together(sku)
