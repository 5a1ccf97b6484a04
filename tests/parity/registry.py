"""The list of behaviours that both servers are asked to show.

A behaviour is one small function that drives a running server, or starts one itself, and returns a
plain value: the observation. The suite compares the two; the table in the docs prints them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .launches import Launch
from .servers import Program, Server

Observation = Any
ON_SHARED = Callable[[Server], Observation]
ON_ITS_OWN = Callable[[Program], Observation]

# The order of the areas is the order of the table.
AREAS = (
    "scope",
    "apps",
    "lifespan",
    "messages",
    "responses",
    "connections",
    "bodies",
    "websocket",
    "websocket_ends",
    "proxies",
    "sockets",
    "limits",
    "logs",
    "signals",
    "settings",
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A behaviour on which the two servers differ on purpose: what each shows, and why."""

    uvicorn: Observation
    outgrow: Observation
    reason: str


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One thing a server does, and the function that observes it.

    Attributes:
        area: Heading of the table under which it stands; one of AREAS.
        title: The behaviour in words; unique.
        launch: The shared server it runs on; None for a behaviour that starts its own.
        observe: Drives the server and returns the observation.
        difference: The documented pair, where the servers differ; None where they must agree.
        slow: Whether only the whole suite runs it.
    """

    area: str
    title: str
    launch: Launch | None
    observe: Callable[[Any], Observation]
    difference: Difference | None
    slow: bool


_registered: dict[str, Behaviour] = {}


def _register(behaviour: Behaviour) -> None:
    assert behaviour.area in AREAS, behaviour.area
    assert behaviour.title not in _registered, behaviour.title
    _registered[behaviour.title] = behaviour


def on(
    launch: Launch, area: str, title: str, *, differs: Difference | None = None, slow: bool = False
) -> Callable[[ON_SHARED], ON_SHARED]:
    """Register an observation of a server that other behaviours share."""

    def register(observe: ON_SHARED) -> ON_SHARED:
        _register(
            Behaviour(
                area=area,
                title=title,
                launch=launch,
                observe=observe,
                difference=differs,
                slow=slow,
            )
        )
        return observe

    return register


def alone(
    area: str, title: str, *, differs: Difference | None = None, slow: bool = False
) -> Callable[[ON_ITS_OWN], ON_ITS_OWN]:
    """Register an observation that starts, and ends, a server of its own."""

    def register(observe: ON_ITS_OWN) -> ON_ITS_OWN:
        _register(
            Behaviour(
                area=area,
                title=title,
                launch=None,
                observe=observe,
                difference=differs,
                slow=slow,
            )
        )
        return observe

    return register


def behaviours() -> list[Behaviour]:
    """Every behaviour, in the order of the areas and, within one, of its file."""
    for area in AREAS:
        importlib.import_module(f".behave_{area}", __package__)
    return sorted(_registered.values(), key=lambda each: AREAS.index(each.area))
