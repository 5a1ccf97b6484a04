"""The OpenAPI document, made from the routes and the values that they answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from outgrow.dashboard.shapes import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outgrow.dashboard.asking import Asked, Parameter

_REFERENCE = "#/components/schemas/{name}"
_REFUSALS = {
    "400": "A parameter is not understood or asks for too much",
    "401": "A token is needed",
    "403": "The token's role, or the site that asks, does not allow it",
    "404": "There is no such thing",
    "421": "The name in `Host` is not one of this observer",
    "503": "Too much is asked at once",
}


@dataclass(frozen=True, kw_only=True)
class Route:
    """One thing that can be asked.

    Attributes:
        path: Below /api; may end in or hold one `{name}`.
        answer: What comes back.
        text: What it is, as a sentence.
        call: Answers; runs in a thread, as the archive may have to read from disk.
        body: What is sent, for a POST.
    """

    path: str
    answer: type[msgspec.Struct]
    text: str
    call: Callable[[Asked], msgspec.Struct]
    parameters: tuple[Parameter, ...] = ()
    method: Literal["GET", "POST"] = "GET"
    body: type[msgspec.Struct] | None = None


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of these routes.

    Args:
        routes: What can be asked.
        version: Of Outgrow.
    """
    types = {route.answer for route in routes} | {Problem}
    types |= {route.body for route in routes if route.body is not None}
    ordered = sorted(types, key=lambda each: each.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(f"/api/{route.path}", {})[route.method.lower()] = _operation(route)
    paths["/api/live"] = {"get": _live()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Outgrow observer", "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    asked = [
        {"name": each.name, "in": "query", "description": each.text, "schema": each.schema()}
        for each in route.parameters
    ]
    found: dict[str, Any] = {
        "summary": route.text,
        "parameters": named + asked,
        "responses": {
            "200": {"description": "The answer", "content": _json(route.answer)},
            **{
                status: {"description": text, "content": _json(Problem)}
                for status, text in _REFUSALS.items()
            },
        },
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": _json(route.body)}
    return found


def _live() -> dict[str, Any]:
    return {
        "summary": "The object of /api/now each second, as server-sent events",
        "parameters": [],
        "responses": {
            "200": {
                "description": "Events without a name; the data of each is one object",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            "503": {"description": "Too many listen already", "content": _json(Problem)},
        },
    }


def _json(answer: type[msgspec.Struct]) -> dict[str, Any]:
    reference = _REFERENCE.format(name=answer.__name__)
    return {"application/json": {"schema": {"$ref": reference}}}
