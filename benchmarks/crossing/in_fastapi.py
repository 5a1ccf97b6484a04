"""FastAPI on uvicorn, asked by aiohttp or by httpx; models of pydantic at both ends."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from uvicorn import Config, Server

from . import Place, Ways
from .record import RECORD

CALL_SECONDS = 60.0
_CONNECTIONS_MAX = 128


class Record(BaseModel):
    """A line of an order."""

    id: int
    sku: str
    name: str
    quantity: int
    price_cents: int
    currency: str
    note: str
    tags: tuple[str, ...]
    weight_grams: float
    is_gift: bool


app = FastAPI()
_given = Record(**asdict(RECORD))
_JSON = {"Content-Type": "application/json"}


@app.post("/record")
async def give_back(record: Record) -> Record:
    return record


@app.post("/blob")
async def give_back_bytes(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def serve(place: Place) -> None:
    """Answer."""
    listener = socket.create_server(("127.0.0.1", place.port), backlog=_CONNECTIONS_MAX)
    print("ready", flush=True)
    config = Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    await Server(config).serve([listener])


def asking(place: Place) -> AbstractAsyncContextManager[Ways]:
    """Call."""
    return (_by_aiohttp if place.variant == "aiohttp" else _by_httpx)(place)


@asynccontextmanager
async def _by_aiohttp(place: Place) -> AsyncGenerator[Ways]:
    import aiohttp  # only one of the two has to be installed

    where = f"http://127.0.0.1:{place.port}"
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS_MAX)
    limit = aiohttp.ClientTimeout(CALL_SECONDS)
    async with aiohttp.ClientSession(where, connector=connector, timeout=limit) as session:

        async def record() -> Record:
            given = _given.model_dump_json()
            async with session.post("/record", data=given, headers=_JSON) as response:
                response.raise_for_status()
                return Record.model_validate_json(await response.read())

        async def echo(body: bytes) -> bytes:
            async with session.post("/blob", data=body) as response:
                response.raise_for_status()
                return await response.read()

        yield Ways(record=record, blob=echo)


@asynccontextmanager
async def _by_httpx(place: Place) -> AsyncGenerator[Ways]:
    import httpx

    where = f"http://127.0.0.1:{place.port}"
    limits = httpx.Limits(
        max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX
    )
    async with httpx.AsyncClient(base_url=where, limits=limits, timeout=CALL_SECONDS) as session:

        async def record() -> Record:
            given = _given.model_dump_json()
            response = await session.post("/record", content=given, headers=_JSON)
            response.raise_for_status()
            return Record.model_validate_json(response.content)

        yield Ways(record=record)
