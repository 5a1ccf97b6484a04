"""What the ASGI scope of an HTTP request holds."""

from __future__ import annotations

from typing import Any

from .launches import PLAIN, launch
from .registry import on
from .servers import Server
from .wire import ask

ROOTED = launch(root_path="/api", header="X-Added: by the server", server_header=False)


# Requests that a server may treat apart by sampling: one in so many, or fewer.
SAMPLE_COUNT = 16


def scope(server: Server, target: str, **how: Any) -> dict[str, Any]:
    """The scope that the app saw, with the ports blanked."""
    seen: dict[str, Any] = ask(server, target, **how).value()
    for name in ("client", "server"):
        if seen.get(name):
            host, port = seen[name]
            seen[name] = (host, "port" if port else port)
    return seen


@on(PLAIN, "scope", "the scope holds the same keys and values, whole")
def whole(server: Server) -> object:
    target = "/scope/a%20b?q=%201&r"
    seen = [scope(server, target, headers=[("X-A", "1")]) for _ in range(SAMPLE_COUNT)]
    return seen[0], all(each.keys() == seen[0].keys() for each in seen)


@on(PLAIN, "scope", "`path` is decoded, `raw_path` is as sent")
def path(server: Server) -> object:
    seen = scope(server, "/scope/caf%C3%A9%2Fx")
    return seen["path"], seen["raw_path"]


@on(PLAIN, "scope", "bytes of a path that are no UTF-8 become replacement characters")
def path_latin(server: Server) -> object:
    seen = scope(server, "/scope/%E9%FF")
    return seen["path"], seen["raw_path"]


@on(PLAIN, "scope", "dots and double slashes in a path stay")
def path_dots(server: Server) -> object:
    return scope(server, "/scope//a/../b/./c;d=e")["path"]


@on(PLAIN, "scope", "`query_string` keeps its percent-encoding and plus signs")
def query_string(server: Server) -> object:
    return scope(server, "/scope?a=%C3%A9+b&c=d%26e?f")["query_string"]


@on(PLAIN, "scope", "an empty query and none are the same")
def query_empty(server: Server) -> object:
    return scope(server, "/scope?")["query_string"], scope(server, "/scope")["query_string"]


@on(PLAIN, "scope", "a fragment in the target")
def fragment(server: Server) -> object:
    seen = scope(server, "/scope/a?b=c#d")
    return seen["path"], seen["raw_path"], seen["query_string"]


@on(PLAIN, "scope", "a target in absolute form gives the path alone")
def absolute(server: Server) -> object:
    seen = scope(server, "http://elsewhere.test:81/scope/a?b")
    return seen["path"], seen["raw_path"], seen["query_string"], seen["headers"]


@on(PLAIN, "scope", "header names are lower case; order and duplicates stay")
def headers(server: Server) -> object:
    pairs = [("X-B", "2"), ("x-a", "1"), ("X-B", "3"), ("COOKIE", "a=1"), ("cookie", "b=2")]
    return scope(server, "/scope", headers=pairs)["headers"]


@on(PLAIN, "scope", "header values: blanks around are cut, Latin-1 bytes stay, empty is empty")
def header_values(server: Server) -> object:
    pairs = [("X-Blank", "  a  b  "), ("X-Latin", "caf\xe9"), ("X-Empty", "")]
    return scope(server, "/scope", headers=pairs)["headers"]


@on(PLAIN, "scope", "`http_version` is 1.0 for HTTP/1.0")
def http_version(server: Server) -> object:
    return scope(server, "/scope", version="1.0")["http_version"]


@on(PLAIN, "scope", "`method` is upper case, also for rare methods")
def method(server: Server) -> object:
    rare = ("PATCH", "OPTIONS", "PROPFIND", "TRACE")
    return [scope(server, "/scope", method=each)["method"] for each in rare]


@on(PLAIN, "scope", "`client` is the peer's address and port")
def client(server: Server) -> object:
    return scope(server, "/scope")["client"]


@on(PLAIN, "scope", "`server` is the address and port that were connected to")
def server_address(server: Server) -> object:
    host, port = ask(server, "/scope").value()["server"]
    return host, port == server.address[1]


@on(PLAIN, "scope", "OPTIONS with the target *")
def asterisk(server: Server) -> object:
    answer = ask(server, "*", method="OPTIONS")
    return answer.status_line, answer.body[:60]


@on(ROOTED, "scope", "`root_path` is set and put before `path` and `raw_path`")
def root_path(server: Server) -> object:
    seen = scope(server, "/scope/a%20b")
    return seen["root_path"], seen["path"], seen["raw_path"]


@on(ROOTED, "scope", "a path that already begins with `root_path`")
def root_path_twice(server: Server) -> object:
    answer = ask(server, "/api/scope/a")
    return answer.status_line, answer.body[:60]


@on(PLAIN, "scope", "`state` holds what the lifespan put there, as a copy for each request")
def state(server: Server) -> object:
    return scope(server, "/scope")["state"]["greeting"], sorted(
        ask(server, "/scope").value()["state"]
    )
