"""The least an ASGI app can do: 5 bytes, about 1 kB of JSON, and the process id."""

import json
import os

ORDER = {
    "id": 4711,
    "email": "ada@example.com",
    "lines": [
        {"sku": f"tea-{number:03}", "name": "Green tea, loose", "quantity": 2, "price_cents": 499}
        for number in range(13)
    ],
    "total_cents": 12974,
}
_BODIES = {"/": (b"text/plain", b"hello"), "/order": (b"application/json", None)}


async def app(scope, receive, send):
    """Answer `/`, `/order` and `/pid`."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    kind, body = _BODIES.get(scope["path"], (b"text/plain", b"%d" % os.getpid()))
    if body is None:
        body = json.dumps(ORDER).encode()
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    return await send({"type": "http.response.body", "body": body})


async def _lifespan(receive, send):
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": f"{message['type']}.complete"})
