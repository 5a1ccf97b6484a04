"""The probe: one ASGI 3 app with a route for each thing a server can be asked."""

from __future__ import annotations

from probe_http import ROUTES
from probe_parts import Receive, Scope, Send, answer, record, tenant
from probe_websocket import SOCKETS


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a connection to its route."""
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    own = scope["path"].removeprefix(scope["root_path"])
    first = "/" + own.split("/")[1] if own.startswith("/") else own
    routes = ROUTES if scope["type"] == "http" else SOCKETS
    if first not in routes:
        return await answer(send, "no such probe", 404)
    return await routes[first](scope, receive, send)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer start-up and shutdown, leaving state, a context variable and a record of both."""
    await receive()
    record("startup")
    scope["state"].update(greeting="hello", shared=[])
    tenant.set("from the lifespan")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    record("shutdown")
    await send({"type": "lifespan.shutdown.complete"})
