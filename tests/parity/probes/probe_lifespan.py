"""Apps that answer the lifespan in every way there is."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from probe_parts import Receive, Route, Scope, Send, answer, record

Lifespan = Callable[[Scope, Receive, Send], Awaitable[None]]


def app_with(lifespan: Lifespan) -> Route:
    """An app of one route and this lifespan."""

    @functools.wraps(lifespan)
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            record("lifespan")
            await lifespan(scope, receive, send)
        else:
            await answer(send, scope["state"])

    return app


@app_with
async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database here"})


@app_with
async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("the lifespan raises")


@app_with
async def raises_when_started(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    record("shutdown")
    raise ValueError("the shutdown raises")


@app_with
async def returns_early(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


@app_with
async def leaves_after_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["kept"] = True
    await send({"type": "lifespan.startup.complete"})


@app_with
async def fails_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "could not flush"})


@app_with
async def shows_messages(scope: Scope, receive: Receive, send: Send) -> None:
    record(repr({name: scope[name] for name in scope if name != "state"}))
    record(repr(dict(await receive())))
    await send({"type": "lifespan.startup.complete"})
    record(repr(dict(await receive())))
    await send({"type": "lifespan.shutdown.complete"})


@app_with
async def says_nonsense(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.nonsense"})
