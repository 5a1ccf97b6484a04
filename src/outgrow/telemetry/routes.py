"""The route of a request as a template: `/items/{id}`, not `/items/17`.

Frameworks that route by template say which one they took: Starlette, FastAPI and Litestar in the
ASGI scope; Django and Flask when asked, which `watch_frameworks` does. Any other path is made
general by replacing the parts that look like identifiers.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Container, MutableMapping

ROUTE_KEY = "outgrow.route"
_NOT_FOUND = "(not found)"
_SEGMENTS_MAX = 8
_IDENTIFIER = re.compile(r"\d|^[0-9a-fA-F-]{8,}$|^.{33,}$|%|[=@:,]")


def route_of(scope: MutableMapping[str, Any], status: int = 200) -> str:
    """The template of the route that served this request.

    Args:
        scope: The ASGI scope, as the app left it.
        status: The response's status: an unknown path that was not found has no route, or each
            wrong guess of a stranger would become one.
    """
    told = _told_route(scope)
    if told is not None:
        return told
    return _NOT_FOUND if status == 404 else _general(scope["path"])


def route_here(scope: MutableMapping[str, Any], counted: Container[tuple[str, str]]) -> str | None:
    """The route of a request that is being served; None where nobody knows it, or not yet.

    Anybody can think of paths. So one that no framework tells the route of counts only if it is a
    route to which requests were counted before, which takes an answer other than 404.

    Args:
        scope: The ASGI scope, as the app has left it so far.
        counted: Method and route of all that was counted.
    """
    told = _told_route(scope)
    if told is None and (scope["method"], general := _general(scope["path"])) in counted:
        return general
    return told


def _told_route(scope: MutableMapping[str, Any]) -> str | None:
    """The template, as the framework told it; None where it did not, or not yet."""
    noted = scope.get(ROUTE_KEY)
    if noted is not None:
        return noted
    route = scope.get("route")
    if route is not None:
        included = scope.get("fastapi", {}).get("effective_route_context")
        template = getattr(included, "path_format", None) or getattr(route, "path_format", None)
        if template is None:
            template = getattr(route, "path", None)
        if template is not None:
            return template if _is_mount(route) else _mounted_at(scope) + template
    return scope.get("path_template")


def _is_mount(route: Any) -> bool:
    # A mount whose app is no router: the prefix is its own already.
    return hasattr(route, "app") and hasattr(route, "routes")


def _mounted_at(scope: MutableMapping[str, Any]) -> str:
    outer = scope.get("app_root_path")
    if outer is None:
        return ""
    names = {str(value): name for name, value in scope.get("path_params", {}).items()}
    parts = scope["root_path"].removeprefix(outer).split("/")
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in parts)


@lru_cache(maxsize=4096)
def _general(path: str) -> str:
    parts = path.split("/")
    if len(parts) > _SEGMENTS_MAX:
        parts = [*parts[:_SEGMENTS_MAX], "..."]
    return "/".join("{}" if _IDENTIFIER.search(part) else part for part in parts)


def watch_frameworks() -> None:
    """Ask Django and Flask, where they are loaded, to note the route of each request.

    Call it once the app is imported. Neither is imported by this.
    """
    django = sys.modules.get("django.core.handlers.base")
    if django is not None:
        _watch_django(django.BaseHandler)
    flask = sys.modules.get("flask")
    if flask is not None:
        _watch_flask(flask)


def _watch_django(handler: Any) -> None:
    resolve = cast("Callable[[Any, Any], Any]", handler.resolve_request)
    if getattr(resolve, "is_watched", False):
        return

    @wraps(resolve)
    def resolve_and_note(self: Any, request: Any) -> Any:
        match = resolve(self, request)
        scope = getattr(request, "scope", None) or request.META.get("asgi.scope")
        if scope is not None:
            scope[ROUTE_KEY] = "/" + match.route
        return match

    setattr(resolve_and_note, "is_watched", True)  # noqa: B010
    handler.resolve_request = resolve_and_note


def _watch_flask(flask: Any) -> None:
    def note(_app: Any, **_: Any) -> None:
        rule = flask.request.url_rule
        scope = flask.request.environ.get("asgi.scope")
        if rule is not None and scope is not None:
            scope[ROUTE_KEY] = rule.rule

    # The signal holds its receivers weakly; the module keeps this one alive.
    global _note_flask  # noqa: PLW0603
    if _note_flask is None:
        _note_flask = note
        flask.request_started.connect(note)


_note_flask: Callable[..., None] | None = None
