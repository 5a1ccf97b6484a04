"""A FastAPI app that counts with prometheus_client over several processes."""

from __future__ import annotations

import os

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

app = FastAPI()
counted = Counter("orders", "Orders placed")


@app.post("/order")
async def order() -> dict[str, int]:
    """Count one order."""
    counted.inc()
    return {"pid": os.getpid()}


@app.get("/metrics")
async def metrics() -> Response:
    """All processes' counts, as prometheus_client's manual has it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return Response(generate_latest(registry), media_type="text/plain")
