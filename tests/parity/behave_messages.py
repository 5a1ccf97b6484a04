"""The receive and send protocol: what an app may do, and what happens when it does otherwise."""

from __future__ import annotations

from .launches import PLAIN
from .registry import on
from .servers import Server, until
from .wire import Connection, ask, notes, request

# Requests that a server may treat apart by sampling: one in so many, or fewer.
SAMPLE_COUNT = 16


def cut(server: Server, target: str) -> object:
    """All bytes of a response that ends with the connection: status line and what follows."""
    with Connection(server) as connection:
        connection.send(request(target))
        head, _, body = connection.rest().partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0], body


@on(PLAIN, "messages", "the first message of a request without a body")
def first(server: Server) -> object:
    return ask(server, "/first-message").value()


@on(PLAIN, "messages", "the first message of a request with a small body")
def first_with_body(server: Server) -> object:
    return ask(server, "/first-message", method="POST", body=b"abc").value()


@on(PLAIN, "messages", "after the body, `receive` waits until the response is sent")
def waits(server: Server) -> object:
    return ask(server, "/waits-after-body?key=waits").value(), notes(server, "waits")


@on(PLAIN, "messages", "after the response, `receive` returns `http.disconnect`")
def after_response(server: Server) -> object:
    ask(server, "/receives-after-response?key=after")
    return notes(server, "after")


@on(PLAIN, "messages", "a client that leaves is seen as `http.disconnect`")
def disconnect(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/sees-disconnect?key=leaves"))
        notes(server, "leaves")
    return notes(server, "leaves", 2)


@on(PLAIN, "messages", "a client that leaves in mid-response; sending on raises nothing")
def disconnect_streaming(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/streams-until-disconnect?key=midway"))
        connection.until(b"data: 1")
    return notes(server, "midway", 2)


@on(PLAIN, "messages", "a client that leaves in mid-upload is seen")
def disconnect_uploading(server: Server) -> object:
    with Connection(server) as connection:
        headers = [("Content-Length", "100")]
        connection.send(request("/sees-disconnect?key=up", method="POST", headers=headers) + b"abc")
        notes(server, "up")
    return notes(server, "up", 2)


@on(PLAIN, "messages", "a body before the start becomes 500")
def body_first(server: Server) -> object:
    return ask(server, "/body-first").shape()


@on(PLAIN, "messages", "two starts cut the connection")
def start_twice(server: Server) -> object:
    return cut(server, "/start-twice")


@on(PLAIN, "messages", "a body after the end raises in the app")
def body_after_end(server: Server) -> object:
    return ask(server, "/body-after-end?key=end").status_line, notes(server, "end")


@on(PLAIN, "messages", "an unknown message raises in the app, which may go on")
def unknown(server: Server) -> object:
    return ask(server, "/unknown-message?key=unknown").status_line, notes(server, "unknown")


@on(PLAIN, "messages", "an app that sends nothing gets 500")
def nothing(server: Server) -> object:
    return ask(server, "/nothing").shape()


@on(PLAIN, "messages", "an app that does not finish: the connection is cut, no last chunk")
def unfinished(server: Server) -> object:
    return cut(server, "/unfinished")


@on(PLAIN, "messages", "an exception before the start becomes 500 and closes")
def raises(server: Server) -> object:
    return ask(server, "/raises").shape()


@on(PLAIN, "messages", "an exception after the start cuts the connection, no last chunk")
def raises_late(server: Server) -> object:
    return cut(server, "/raises-late")


@on(PLAIN, "messages", "an exception after the end leaves the response whole")
def raises_at_the_end(server: Server) -> object:
    return ask(server, "/raises-at-the-end").body


@on(PLAIN, "messages", "an app that is cancelled gets 500, and the server lives")
def cancelled(server: Server) -> object:
    return ask(server, "/cancels-itself").status_line, ask(server, "/hello").status_line


@on(PLAIN, "messages", "an app that returns a value: the response stays, the mistake is logged")
def returns(server: Server) -> object:
    seen = [cut(server, "/returns-value") for _ in range(SAMPLE_COUNT)]
    said = "should return None, but returned 'a value'"
    until(lambda: server.output.text("stderr").count(said) >= SAMPLE_COUNT, 2.0)
    return seen[0], len(seen), server.output.text("stderr").count(said)


@on(PLAIN, "messages", "more body than `content-length` is not sent")
def too_long(server: Server) -> object:
    return cut(server, "/too-long")


@on(PLAIN, "messages", "less body than `content-length` cuts the connection")
def too_short(server: Server) -> object:
    return cut(server, "/too-short")


@on(PLAIN, "messages", "a header name with a blank is refused")
def bad_name(server: Server) -> object:
    return cut(server, "/bad-header?part=name&key=name"), notes(server, "name")


@on(PLAIN, "messages", "a header value with a line break is refused")
def bad_value(server: Server) -> object:
    return cut(server, "/bad-header?part=value&key=value"), notes(server, "value")
