"""`X-Forwarded-For` and `X-Forwarded-Proto`, from proxies that are trusted and others."""

from __future__ import annotations

from .behave_websocket import scope as websocket_scope
from .launches import PLAIN, launch
from .registry import on
from .servers import Server
from .wire import ask

FAR = launch(trusted_proxies="10.0.0.1")
LIST = launch(trusted_proxies="127.0.0.1, 10.0.0.0/8, ::1, fd00::/8")
ALL = launch(trusted_proxies="*")
NONE = launch(proxy_headers=False)


def seen(server: Server, *, proto: str = "", host: str = "", **forwarded: str) -> object:
    """Scheme and client of the scope; a client that was not forwarded has its port blanked."""
    headers = [("X-Forwarded-For", value) for value in forwarded.values()]
    headers += [("X-Forwarded-Proto", proto)] if proto else []
    headers += [("X-Forwarded-Host", host)] if host else []
    scope = ask(server, "/scope", headers=headers).value()
    address, port = scope["client"] or (None, None)
    return scope["scheme"], address, "port" if address == "127.0.0.1" and port else port


@on(PLAIN, "proxies", "a trusted proxy sets client and scheme")
def trusted(server: Server) -> object:
    return seen(server, a="203.0.113.9", proto="https")


@on(FAR, "proxies", "a proxy that is not trusted sets nothing")
def untrusted(server: Server) -> object:
    return seen(server, a="203.0.113.9", proto="https")


@on(NONE, "proxies", "`proxy_headers=false` trusts nobody")
def turned_off(server: Server) -> object:
    return seen(server, a="203.0.113.9", proto="https")


@on(ALL, "proxies", "`trusted_proxies=*` takes the first of the list")
def trusts_all(server: Server) -> object:
    return seen(server, a="203.0.113.9, 198.51.100.7, 10.0.0.2")


@on(LIST, "proxies", "of a list, the last that is not trusted is the client")
def lists(server: Server) -> object:
    return seen(server, a="192.0.2.1, 203.0.113.9, 10.1.2.3, 10.0.0.2")


@on(LIST, "proxies", "several headers count as one list")
def several(server: Server) -> object:
    return seen(server, a="192.0.2.1, 203.0.113.9", b="10.1.2.3")


@on(LIST, "proxies", "a list of trusted proxies alone gives the first")
def all_trusted(server: Server) -> object:
    return seen(server, a="10.1.2.3, 10.0.0.2")


@on(LIST, "proxies", "IPv6, bare, in brackets and with a port")
def six(server: Server) -> object:
    values = ("2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:443", "2001:db8::7, fd00::1")
    return [seen(server, a=value) for value in values]


@on(PLAIN, "proxies", "IPv4 with a port")
def with_port(server: Server) -> object:
    return seen(server, a="203.0.113.9:4711"), seen(server, a="203.0.113.9:x")


@on(PLAIN, "proxies", "an empty list and words that are no address")
def wild(server: Server) -> object:
    return [seen(server, a=value) for value in ("", " ", "unknown", "a b, ,c")]


@on(PLAIN, "proxies", "a scheme that is none is left out")
def wild_scheme(server: Server) -> object:
    return [seen(server, proto=value) for value in ("ftp", "HTTPS", " https ", "https,http", "wss")]


@on(PLAIN, "proxies", "`X-Forwarded-Host` changes nothing")
def host(server: Server) -> object:
    scope = ask(server, "/scope", headers=[("X-Forwarded-Host", "elsewhere.test")]).value()
    return scope["server"][0], (b"host", b"probe") in scope["headers"]


@on(PLAIN, "proxies", "a WebSocket's scheme becomes wss")
def websocket(server: Server) -> object:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    scope = websocket_scope(server, "/scope", additional_headers=headers)
    return scope["scheme"], scope["client"][0]
