"""The ASGI app of the observer: the JSON API, the live stream and the page."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from outgrow.dashboard.access import COOKIE, Access, AccessError, Guest, check_origin
from outgrow.dashboard.answers import Answers
from outgrow.dashboard.asking import Asked, AskingError, understood
from outgrow.dashboard.live import LISTENERS_MAX, Live
from outgrow.dashboard.openapi import document
from outgrow.dashboard.page import PAGES, SAFETY, Files
from outgrow.dashboard.placing import Supervision
from outgrow.dashboard.routes import Token, routes_to
from outgrow.dashboard.shapes import Problem
from outgrow.dashboard.tending import Tending
from outgrow.errors import OutgrowError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from outgrow.dashboard.foresight import Foresight
    from outgrow.dashboard.objectives import Promise
    from outgrow.dashboard.openapi import Route
    from outgrow.dashboard.reaching import Reach
    from outgrow.dashboard.routes import Answering
    from outgrow.dashboard.source import Source

BODY_BYTES_MAX = 64 * 1024
QUERY_BYTES_MAX = 4 * 1024
ASKED_AT_ONCE_MAX = 8
WAITING_MAX = 64
_SESSION_SECONDS = 30 * 86_400

_log = logging.getLogger(__name__)


def page_app(
    source: Source,
    *,
    app: str,
    version: str,
    folder: Path | None = None,
    access: Access | None = None,
    promises: tuple[Promise, ...] = (),
    foresight: Foresight | None = None,
    reach: Reach | None = None,
    further: Sequence[HttpRoute] = (),
) -> Starlette:
    """The observer's app: what a source of telemetry knows, as JSON and as the page.

    Args:
        source: Such as the telemetry store.
        app: Name of the app that is observed.
        version: Of Outgrow.
        folder: Of its supervisor; None where there is none near.
        access: Who may ask; programs of this machine where nothing is said.
        promises: Objectives.
        foresight: Foresees limits; None where nothing can.
        reach: Asks durable work; None where nobody here knows where it is kept.
        further: Routes beside the API's, such as the receivers of telemetry.
    """
    supervision = Supervision(folder) if folder else None
    known = Answers(
        source,
        app=app,
        supervision=supervision,
        promises=promises,
        foresight=foresight,
        tending=Tending(reach, supervision),
    )
    return api_app(known, version=version, access=access, further=further)


def api_app(
    known: Answering,
    *,
    version: str,
    access: Access | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
    further: Sequence[HttpRoute] = (),
) -> Starlette:
    """An app that answers what is known.

    Args:
        known: What is known.
        version: Of Outgrow, for the OpenAPI document.
        access: Who may ask; programs of this machine where nothing is said.
        clock_ns: The time of the wall clock, in nanoseconds since 1970.
        further: Routes beside the API's, such as the receivers of telemetry.
    """
    desk = _Desk(known, access or Access(), clock_ns, version)
    files = Files()
    routes = [desk.http(route) for route in desk.routes]
    routes += [
        HttpRoute("/api/live", desk.live),
        HttpRoute("/api/openapi.json", desk.openapi),
        HttpRoute("/api/session", desk.session, methods=["POST"]),
        HttpRoute("/api/{rest:path}", desk.missing, methods=["GET", "POST"]),
        *further,
        HttpRoute("/static/{name}", files.file),
        *(HttpRoute(f"/{page}", files.page) for page in PAGES),
        *(HttpRoute(f"/{page}/{{rest:path}}", files.page) for page in PAGES if page),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Safety)])


class _Safety:
    """Adds the headers that every answer carries."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in SAFETY.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, sending)


class _Desk:
    """Takes requests, and has them answered in threads, so many at once."""

    def __init__(
        self, known: Answering, access: Access, clock_ns: Callable[[], int], version: str
    ) -> None:
        self.routes = routes_to(known)
        self._access = access
        self._clock_ns = clock_ns
        self._document = json.dumps(document(self.routes, version)).encode()
        self._places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self._waiting = 0
        self._live = Live(lambda: msgspec.json.encode(known.now(Asked(now_ns=clock_ns()))))

    def http(self, route: Route) -> HttpRoute:
        """The route as Starlette has it. Names of operations have slashes in them."""

        async def endpoint(request: Request) -> Response:
            return await self._guarded(request, route)

        path = f"/api/{route.path}".replace("{name}", "{name:path}")
        return HttpRoute(path, endpoint, methods=[route.method])

    async def live(self, request: Request) -> Response:
        """The object of each second."""
        try:
            self._access.admit(request.headers, request.cookies)
        except AccessError as problem:
            return _refused(problem.status, problem.text, problem.hint)
        if self._live.is_full:
            return _refused(
                503, f"{LISTENERS_MAX} listen already", "Close a page, or ask /api/now at times"
            )
        return self._live.response()

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document."""
        try:
            self._access.admit(request.headers, request.cookies)
        except AccessError as problem:
            return _refused(problem.status, problem.text, problem.hint)
        return Response(self._document, media_type="application/json")

    async def session(self, request: Request) -> Response:
        """Keep a token as a cookie, which scripts cannot read and other sites cannot send."""
        try:
            check_origin(request.headers)
            sent = msgspec.json.decode(await _body(request), type=Token)
            guest = self._access.guest_of(sent.token)
        except (AccessError, AskingError) as problem:
            return _refused(problem.status, problem.text, problem.hint)
        except msgspec.MsgspecError as problem:
            return _refused(400, f"the body is not understood: {problem}", "Send {token: TOKEN}")
        if guest is None:
            return _refused(401, "the token is not known", "Ask whoever runs this observer")
        answer = Response(b"{}", media_type="application/json")
        answer.set_cookie(
            COOKIE,
            sent.token,
            max_age=_SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def missing(self, request: Request) -> Response:
        """What is not there."""
        path = f"/api/{request.path_params['rest']}"
        return _refused(
            404, f"there is no `{path[:80]}`", "See /api/openapi.json for what there is"
        )

    async def _guarded(self, request: Request, route: Route) -> Response:
        try:
            guest = self._access.admit(request.headers, request.cookies)
            if route.method == "POST":
                self._access.check_change(guest, request.headers)
            asked = await self._asked(request, route, guest)
            return await self._answered(route, asked)
        except (AccessError, AskingError) as problem:
            return _refused(problem.status, problem.text, problem.hint)
        except OutgrowError as problem:
            return _refused(409, problem.text, problem.hint)
        except Exception:
            _log.exception("/api/%s could not be answered", route.path)
            return _refused(500, "the observer could not answer", "See its log: `outgrow logs`")

    async def _asked(self, request: Request, route: Route, guest: Guest) -> Asked:
        if len(request.scope["query_string"]) > QUERY_BYTES_MAX:
            raise AskingError("the query is too long", f"Send at most {QUERY_BYTES_MAX} bytes")
        now_ns = self._clock_ns()
        body: Any = None
        if route.body is not None:
            try:
                body = msgspec.json.decode(await _body(request), type=route.body)
            except msgspec.MsgspecError as problem:
                raise AskingError(
                    f"the body is not understood: {problem}", "See /api/openapi.json"
                ) from None
        return Asked(
            now_ns=now_ns,
            values=understood(route.parameters, request.query_params, now_ns),
            name=request.path_params.get("name", ""),
            body=body,
            who=guest.name,
            may_change=guest.may_change,
        )

    async def _answered(self, route: Route, asked: Asked) -> Response:
        if self._waiting >= WAITING_MAX:
            raise AskingError("too much is asked at once", "Ask again in a second", status=503)
        self._waiting += 1
        try:
            async with self._places:
                answer = await asyncio.to_thread(route.call, asked)
        finally:
            self._waiting -= 1
        headers = {"cache-control": "no-store"}
        return Response(msgspec.json.encode(answer), headers=headers, media_type="application/json")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise AskingError(
                "the body is too large", f"Send at most {BODY_BYTES_MAX} bytes", status=413
            )
    return bytes(body)


def _refused(status: int, text: str, hint: str) -> Response:
    content = msgspec.json.encode(Problem(text=text, hint=hint))
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return Response(content, status, headers=headers, media_type="application/json")
