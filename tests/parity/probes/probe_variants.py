"""The same small answer from every form an app may have: the interfaces that servers tell apart."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from probe_parts import Receive, Scope, Send, answer, tenant


async def three(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await answer(send, (scope["asgi"], tenant.get()))


class Instance:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await three(scope, receive, send)


class Awaited:
    """An ASGI 3 app as a class whose instances are awaited."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.work = three(scope, receive, send)

    def __await__(self) -> Generator[Any, None, None]:
        return self.work.__await__()


class Two:
    """An ASGI 2 app: a class that takes the scope, its instances the channels."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await three(self.scope, receive, send)


def two(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    """An ASGI 2 app as a function."""
    return functools.partial(three, scope)


def factory() -> Instance:
    return Instance()


def failing_factory() -> Instance:
    raise ValueError("the factory raises")


def needy_factory(name: str) -> Instance:
    return Instance()


class Holder:
    app = Instance()


def plain_wrapper(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """An ASGI 3 app behind a decorator that is no coroutine function."""
    return three(scope, receive, send)


instance = Instance()
partial = functools.partial(three)
