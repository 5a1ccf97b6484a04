"""The WebSocket routes of the probe."""

from __future__ import annotations

from probe_parts import Receive, Route, Scope, Send, gate, key, note, plain, query, record


async def accept(receive: Receive, send: Send, **more: object) -> None:
    await receive()
    await send({"type": "websocket.accept", **more})


async def show_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send({"type": "websocket.send", "text": repr(plain(dict(scope)))})
    await receive()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    note(key(scope), dict(message))


async def keys(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the keys of each message received."""
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": repr(dict(message))})


async def connect_message(scope: Scope, receive: Receive, send: Send) -> None:
    first = await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": repr(dict(first))})


async def protocol(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send, subprotocol=query(scope)["choose"])
    await send({"type": "websocket.send", "text": repr(scope["subprotocols"])})


async def headers(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send, headers=[(b"X-One", b"1"), (b"set-cookie", b"a=1")])


async def reject(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4000})
    note(key(scope), dict(await receive()))


async def response(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    head = [(b"x-one", b"1"), (b"content-type", b"text/html")]
    await send({"type": "websocket.http.response.start", "status": 451, "headers": head})
    await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"way"})
    note(key(scope), dict(await receive()))


async def close(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    wanted = query(scope)
    message: dict[str, object] = {"type": "websocket.close"}
    if "code" in wanted:
        message |= {"code": int(wanted["code"]), "reason": wanted["reason"]}
    await send(message)
    note(key(scope), dict(await receive()))


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ValueError("the socket raises")


async def raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    raise ValueError("the socket raises late")


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)


async def send_first(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await send({"type": "websocket.send", "text": "too early"})
    except RuntimeError as error:
        note(key(scope), str(error))
        raise


async def send_after_close(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send({"type": "websocket.close"})
    try:
        await send({"type": "websocket.send", "text": "too late"})
    except RuntimeError as error:
        note(key(scope), str(error))


async def send_to_gone(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    note(key(scope), (await receive())["type"])
    try:
        await send({"type": "websocket.send", "text": "anyone?"})
    except Exception as error:
        note(key(scope), isinstance(error, OSError))


async def records(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    note(key(scope), "open")
    while (message := await receive())["type"] == "websocket.receive":
        pass
    record(f"websocket ended with {message['code']}")


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Read nothing until the gate opens, then count what comes."""
    await accept(receive, send)
    await gate(key(scope))
    count = 0
    while (message := await receive())["type"] == "websocket.receive":
        count += len(message.get("bytes") or b"")
    note(key(scope), count)


SOCKETS: dict[str, Route] = {
    f"/{route.__name__.replace('_', '-')}": route
    for route in (
        *(echo, keys, connect_message, protocol, headers, reject, response, close, raises),
        *(raises_late, nothing, returns, send_first, send_after_close, send_to_gone),
        *(records, slow),
    )
}
SOCKETS |= {"/scope": show_scope}
