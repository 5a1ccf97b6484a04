"""nats-py: request and reply through nats-server, whose work counts as the answering end's."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from sysconfig import get_path

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoServersError

from . import Place, Ways
from .record import RECORD, Record

CALL_SECONDS = 10.0
_START_SECONDS = 10.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


async def serve(place: Place) -> None:
    """Start the broker, and answer."""
    program = Path(get_path("scripts")) / "nats-server"
    words = [str(program), "--addr", "127.0.0.1", "--port", str(place.port)]
    # Who ends this process ends its children too.
    subprocess.Popen(words, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    connection = await _connected(place)

    async def answer(message: Msg) -> None:
        await message.respond(_encode(_decode(message.data)))

    await connection.subscribe("records.record", cb=answer)
    await connection.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _connected(place: Place) -> Client:
    where = f"nats://127.0.0.1:{place.port}"
    async with asyncio.timeout(_START_SECONDS):
        while True:
            try:
                return await nats.connect(where, allow_reconnect=False, error_cb=_ignore)
            except (OSError, NoServersError):
                await asyncio.sleep(0.05)


async def _ignore(_: Exception) -> None:
    """Keep quiet while the broker is not there yet; otherwise it would print all of them."""


@asynccontextmanager
async def asking(place: Place) -> AsyncGenerator[Ways]:
    """Call."""
    connection = await _connected(place)

    async def record() -> Record:
        given = _encode(RECORD)
        reply = await connection.request("records.record", given, timeout=CALL_SECONDS)
        return _decode(reply.data)

    yield Ways(record=record)
    await connection.close()
