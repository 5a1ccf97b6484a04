"""The HTTP routes of the probe."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
import threading
import warnings

from probe_parts import (
    Receive,
    Route,
    Scope,
    Send,
    answer,
    body,
    gate,
    gate_file,
    key,
    note,
    notes,
    open_gate,
    query,
    read,
    record,
    start,
    tenant,
)

LENGTH_2 = (b"content-length", b"2")
MEGABYTE = b"x" * 1_000_000


async def show_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, dict(scope))


async def scope_after_body(scope: Scope, receive: Receive, send: Send) -> None:
    await read(receive)
    await answer(send, dict(scope))


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, LENGTH_2))
    await send(body(b"hi"))


async def show_notes(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, await notes(key(scope), int(query(scope)["count"])))


async def open_one(scope: Scope, receive: Receive, send: Send) -> None:
    open_gate(key(scope))
    await answer(send, "open")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, await read(receive))


async def digest(scope: Scope, receive: Receive, send: Send) -> None:
    data = await read(receive)
    await answer(send, (len(data), hashlib.sha256(data).hexdigest()[:16]))


async def first_message(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, await receive())


async def status(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(int(query(scope)["code"])))
    await send(body())


async def headers(scope: Scope, receive: Receive, send: Send) -> None:
    pairs = [(b"X-One", b"1"), (b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")]
    await send(start(200, *pairs, (b"X-Latin", "caf\xe9".encode("latin-1")), LENGTH_2))
    await send(body(b"hi"))


async def own_headers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"server", b"mine"), (b"date", b"never"), LENGTH_2))
    await send(body(b"hi"))


async def no_length(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"one", more=True))
    await send(body(b"", more=True))
    await send(body(b"two"))


async def own_chunked(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"transfer-encoding", b"chunked")))
    await send(body(b"hi"))


async def bare_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


async def says_close(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"connection", b"close"), LENGTH_2))
    await send(body(b"hi"))


async def gated_parts(scope: Scope, receive: Receive, send: Send) -> None:
    kind = query(scope).get("kind", "text/plain").encode()
    await send(start(200, (b"content-type", kind)))
    await send(body(b"data: 1\n\n", more=True))
    await gate(key(scope))
    await send(body(b"data: 2\n\n"))


async def hold(scope: Scope, receive: Receive, send: Send) -> None:
    note(key(scope), "holds")
    await gate(key(scope))
    await hello(scope, receive, send)


async def hold_file(scope: Scope, receive: Receive, send: Send) -> None:
    note(key(scope), "holds")
    try:
        await gate_file(query(scope)["file"])
    except asyncio.CancelledError:
        record("cancelled")
        raise
    record("answered")
    await hello(scope, receive, send)


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    await hello(scope, receive, send)
    await gate_file(query(scope)["file"])
    record("background finished")


async def sees_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    note(key(scope), "started")
    while (message := await receive())["type"] != "http.disconnect":
        pass
    note(key(scope), dict(message))


async def streams_until_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(start())
    await send(body(b"data: 1\n\n", more=True))
    note(key(scope), (await receive())["type"])
    await send(body(b"data: 2\n\n", more=True))
    note(key(scope), "send after the disconnect returned")


async def receives_after_response(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await hello(scope, receive, send)
    note(key(scope), dict(await receive()))


async def waits_after_body(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    further = asyncio.ensure_future(receive())
    done, _ = await asyncio.wait([further], timeout=0.2)
    await answer(send, "returned" if done else "waits")
    note(key(scope), dict(await further))


async def counts_sent(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    for _ in range(64):
        await send(body(MEGABYTE, more=True))
        note(key(scope), 1)
    await send(body())


async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send(body(b"hi"))


async def start_twice(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, LENGTH_2))
    await send(start(200, LENGTH_2))


async def body_after_end(scope: Scope, receive: Receive, send: Send) -> None:
    await hello(scope, receive, send)
    try:
        await send(body(b"more"))
    except RuntimeError as error:
        note(key(scope), str(error))


async def unknown_message(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await send({"type": "http.response.nonsense"})
    except RuntimeError as error:
        note(key(scope), str(error))
    await hello(scope, receive, send)


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def unfinished(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part", more=True))


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("the probe raises")


async def raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part", more=True))
    raise ValueError("the probe raises late")


async def raises_at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await hello(scope, receive, send)
    raise ValueError("the probe raises at the end")


async def cancels_itself(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


async def returns_value(scope: Scope, receive: Receive, send: Send) -> str:
    await hello(scope, receive, send)
    return "a value"


async def too_long(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, LENGTH_2))
    await send(body(b"three"))


async def too_short(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"content-length", b"9")))
    await send(body(b"four"))


async def bad_header(scope: Scope, receive: Receive, send: Send) -> None:
    pair = {"name": (b"x y", b"1"), "value": (b"x", b"1\r\ny: 2")}[query(scope)["part"]]
    try:
        await send(start(200, pair, LENGTH_2))
    except RuntimeError as error:
        note(key(scope), str(error))
        raise


async def state(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["shared"].append(1)
    scope["state"]["mine"] = 1
    await answer(send, scope["state"])


async def context(scope: Scope, receive: Receive, send: Send) -> None:
    seen = tenant.get()
    tenant.set("from a request")
    await answer(send, seen)


async def process(scope: Scope, receive: Receive, send: Send) -> None:
    main = threading.current_thread() is threading.main_thread()
    loop = asyncio.get_running_loop()
    await answer(send, (f"{type(loop).__module__}.{type(loop).__name__}", main, loop.get_debug()))


async def pid(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, os.getpid())


async def environ(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, {name: os.environ.get(name) for name in query(scope)["names"].split(",")})


async def first_path(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, (sys.path[0], str(os.getcwd())))  # noqa: PTH109


async def says(scope: Scope, receive: Receive, send: Send) -> None:
    print("the probe prints", flush=True)  # noqa: T201
    print("the probe prints to stderr", file=sys.stderr, flush=True)  # noqa: T201
    logging.getLogger("probe").warning("the probe warns")
    logging.getLogger("probe").info("the probe informs")
    warnings.warn("the probe deprecates", DeprecationWarning, stacklevel=1)
    await answer(send, "said")


async def loggers(scope: Scope, receive: Receive, send: Send) -> None:
    root = logging.getLogger()
    seen = [(root.level, len(root.handlers))]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logger = logging.getLogger(name)
        seen.append((logger.level, len(logger.handlers)))
    await answer(send, seen)


ROUTES: dict[str, Route] = {
    f"/{route.__name__.replace('_', '-')}": route
    for route in (
        *(
            scope_after_body,
            hello,
            echo,
            digest,
            first_message,
            status,
            headers,
            own_headers,
            no_length,
        ),
        *(own_chunked, bare_start, says_close, gated_parts, hold, hold_file, background),
        *(sees_disconnect, streams_until_disconnect, receives_after_response),
        *(waits_after_body, counts_sent, body_first, start_twice, body_after_end),
        *(unknown_message, nothing, unfinished, raises, raises_late, raises_at_the_end),
        *(cancels_itself, returns_value, too_long, too_short, bad_header, state, context),
        *(process, pid, environ, first_path, says, loggers),
    )
}
ROUTES |= {"/scope": show_scope, "/notes": show_notes, "/open": open_one, "*": show_scope}
