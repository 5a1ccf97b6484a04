"""pyzmq: a ROUTER that answers each message in a task of its own, and a DEALER with futures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import zmq
import zmq.asyncio

from . import Place, Ways
from .record import RECORD, Record

CALL_SECONDS = 10.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


async def serve(place: Place) -> None:
    """Answer."""
    socket = zmq.asyncio.Context().socket(zmq.ROUTER)
    socket.bind(_address(place))
    running: set[asyncio.Task[None]] = set()

    async def answer(caller: bytes, call: bytes, body: bytes) -> None:
        await socket.send_multipart([caller, call, _encode(_decode(body))])

    print("ready", flush=True)
    while True:
        task = asyncio.create_task(answer(*await socket.recv_multipart()))
        running.add(task)
        task.add_done_callback(running.discard)


@asynccontextmanager
async def asking(place: Place) -> AsyncGenerator[Ways]:
    """Call."""
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(_address(place))
    waiting: dict[bytes, asyncio.Future[bytes]] = {}
    loop, count = asyncio.get_running_loop(), 0

    async def read() -> None:
        while True:
            call, body = await socket.recv_multipart()
            waiting.pop(call).set_result(body)

    async def record() -> Record:
        nonlocal count
        count += 1
        call = count.to_bytes(8)
        answer = waiting[call] = loop.create_future()
        await socket.send_multipart([call, _encode(RECORD)])
        return _decode(await answer)

    reader = asyncio.create_task(read())
    yield Ways(record=record)
    reader.cancel()
    context.destroy(linger=0)


def _address(place: Place) -> str:
    return f"ipc://{place.folder / 'zmq.sock'}"
