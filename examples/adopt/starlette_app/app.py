"""A chat room and an echo over WebSocket, with a small page."""

import contextlib
from collections import defaultdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PAGE = Path(__file__).parent / "chat.html"
TEXT_MAX = 2_000

rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def page(_request: Request) -> FileResponse:
    """Show the chat."""
    return FileResponse(PAGE)


async def echo(socket: WebSocket) -> None:
    """Send back what comes, text as text and bytes as bytes."""
    await socket.accept(subprotocol=next(iter(socket.scope["subprotocols"]), None))
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])


async def chat(socket: WebSocket) -> None:
    """Pass on what one person says to all in the room."""
    await socket.accept()
    room = rooms[socket.path_params["room"]]
    room.add(socket)
    try:
        async for text in socket.iter_text():
            for other in tuple(room):
                with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                    await other.send_text(text[:TEXT_MAX])
    finally:
        room.discard(socket)
        if not room:
            rooms.pop(socket.path_params["room"], None)


app = Starlette(
    routes=[
        Route("/", page),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/chat/{room}", chat),
    ]
)
