"""The server for apps of our own answers on any socket, and stops though a stream goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from outgrow.host import WebServer


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Say hello, or `more` for ever."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            await asyncio.wait({asyncio.Future[None]()}, timeout=0.01)

    answer = StreamingResponse(pieces()) if scope["path"] == "/stream" else Response("hello")
    await answer(scope, receive, send)


def listening(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen()
    return sock


async def ask(
    sock: socket.socket, path: str
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """The first of the answer, and where more may come."""
    if sock.family == socket.AF_UNIX:
        reader, writer = await asyncio.open_unix_connection(sock.getsockname())
    else:
        reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    return head, reader, writer


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_it_answers_and_stops_while_a_stream_goes_on(
    kind: str, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async def exchange() -> None:
        path = str(tmp_path_factory.mktemp("s") / "s")
        is_tcp = kind == "tcp"
        sock = (
            listening(socket.AF_INET, ("127.0.0.1", 0))
            if is_tcp
            else listening(socket.AF_UNIX, path)
        )
        server = WebServer(app, [sock])
        await server.start()
        head, _, first = await ask(sock, "/")
        assert head.startswith(b"HTTP/1.1 200")
        _, stream, second = await ask(sock, "/stream")
        await asyncio.wait_for(server.stop(), 10)
        assert b"more" in await asyncio.wait_for(stream.read(), 10)
        await server.stop()  # again, and nothing happens
        first.close()
        second.close()
        assert not [record for record in caplog.records if record.levelname == "ERROR"]

    asyncio.run(exchange())
