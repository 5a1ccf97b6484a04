"""Responses on the wire: framing, default headers, and what the app's own headers change."""

from __future__ import annotations

import re

from .behave_scope import ROOTED
from .launches import PLAIN
from .registry import on
from .servers import Server
from .wire import Connection, ask, request


@on(PLAIN, "responses", "status line, headers and body of a small response, whole")
def whole(server: Server) -> object:
    return ask(server, "/hello").shape()


@on(PLAIN, "responses", "without `content-length` the body is chunked; an empty part sends none")
def chunked(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/no-length", headers=[("Connection", "close")]))
        return connection.rest().partition(b"\r\n\r\n")[2]


@on(PLAIN, "responses", "HTTP/1.0 without `content-length`")
def chunked_old(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/no-length", version="1.0"))
        head, _, body = connection.rest().partition(b"\r\n\r\n")
        return b"transfer-encoding" in head, body


@on(PLAIN, "responses", "the app's own `transfer-encoding: chunked` is kept, once")
def own_chunked(server: Server) -> object:
    return ask(server, "/own-chunked").shape()


@on(PLAIN, "responses", "a start without headers and a body without bytes")
def bare(server: Server) -> object:
    return ask(server, "/bare-start").shape()


@on(PLAIN, "responses", "HEAD keeps the headers and sends no body")
def head(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hello", method="HEAD", headers=[("Connection", "close")]))
        start, _, body = connection.rest().partition(b"\r\n\r\n")
        return b"content-length: 2" in start, body


@on(PLAIN, "responses", "HEAD without `content-length` adds no framing")
def head_chunked(server: Server) -> object:
    return ask(server, "/no-length", method="HEAD").names()


@on(PLAIN, "responses", "204 and 304 carry no framing and leave the connection open")
def without_body(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/status?code=204") + request("/status?code=304"))
        first, second = connection.answer(), connection.answer()
        connection.send(request("/hello"))
        return first.shape(), second.shape(), connection.answer().body


@on(PLAIN, "responses", "reason phrases, also of rare and unknown codes")
def reasons(server: Server) -> object:
    codes = (201, 206, 299, 302, 418, 422, 451, 499, 599)
    return [ask(server, f"/status?code={code}").status_line for code in codes]


@on(PLAIN, "responses", "a status below 100 or above 599")
def wild_status(server: Server) -> object:
    codes = (42, 600)
    return [ask(server, f"/status?code={code}").status_line for code in codes]


@on(PLAIN, "responses", "`date` is an RFC 9110 date, `server` names the server")
def defaults(server: Server) -> object:
    answer = ask(server, "/hello")
    dated = re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", answer.header("date") or "")
    return bool(dated), answer.header("server")


@on(PLAIN, "responses", "header names are sent in lower case; duplicates, order, Latin-1 stay")
def headers(server: Server) -> object:
    return [pair for pair in ask(server, "/headers").headers if pair[0] != "date"]


@on(PLAIN, "responses", "the app's own `server` and `date` come beside the server's")
def own_headers(server: Server) -> object:
    return ask(server, "/own-headers").names()


@on(ROOTED, "responses", "`server_header=false` and a `header` of the settings")
def set_headers(server: Server) -> object:
    return ask(server, "/hello").shape()
