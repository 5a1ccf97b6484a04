"""What the tests of an app need: its services running, and fakes of those that are not meant."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from outgrow.errors import FakeError
from outgrow.host import Host, app_of
from outgrow.model import App, describe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

__all__ = ["Placement", "RunningApp", "fake", "running"]

S = TypeVar("S")
Placement = Literal["local", "rpc"]


class RunningApp:
    """Services at work in a test."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def client(self, cls: type[S]) -> S:
        """The client of one of its services."""
        return cast("S", self._host.client(cls))


@asynccontextmanager
async def running(
    app: App | type | Iterable[type],
    placement: Placement = "local",
    *,
    fakes: Sequence[object] = (),
    providers: Sequence[Callable[..., Any]] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[RunningApp]:
    """Run services for the time of an `async with` block.

    Args:
        app: The services; what they need comes with them.
        placement: `local` as in one process. `rpc` as between two: everything is written and read,
            each call yields and has a context of its own, and each idempotent one is repeated once.
        fakes: Made by `fake`; they stand in for the services of their class.
        providers: They come before those of the app.
        environment: Where fields find their values; that of the process where None.

    Raises:
        ServiceError: The services cannot work together, or one could not be started.
    """
    meant = app_of(app)
    meant = App(
        name=meant.name,
        services=meant.services,
        providers=[*providers, *meant.providers],
        edges=meant.edges,
    )
    host = Host(meant, placement=placement, fakes=fakes, environment=environment)
    await host.start()
    try:
        yield RunningApp(host)
    finally:
        await host.stop()


def fake(cls: type[S], **operations: Callable[..., Any]) -> S:
    """A stand-in for a service, with functions in the place of some of its operations.

    Args:
        cls: The service.
        operations: By name; each takes what the operation takes, without `self`.

    Raises:
        FakeError: A function has no such name or parameters; or, later, an operation is called
            that was given no function.
    """
    model = describe(cls)
    shown = cls.__qualname__
    for name, function in operations.items():
        known = model.operations.get(name)
        if known is None:
            have = ", ".join(model.operations) or "none"
            raise FakeError(f"`{name}` is no operation of `{shown}`", hint=f"It has: {have}")
        wanted = [each.name for each in known.parameters]
        given = inspect.signature(function).parameters
        if list(given) != wanted:
            raise FakeError(
                f"the fake of `{shown}.{name}` takes ({', '.join(given)}), "
                f"the operation takes ({', '.join(wanted)})"
            )

    def missing(name: str) -> Callable[..., Any]:
        def unmade(*_args: object, **_kwargs: object) -> Any:
            raise FakeError(
                f"`{shown}.{name}` was called, which the fake does not have",
                hint=f"Give it: `fake({shown}, {name}=...)`",
            )

        return unmade

    members: dict[str, Any] = {
        name: staticmethod(operations.get(name) or missing(name)) for name in model.operations
    }
    members["__class__"] = property(lambda _self: cls)
    members["__repr__"] = lambda _self: f"<fake of {shown}>"  # type: ignore[misc]
    return cast("S", type(f"Fake{cls.__name__}", (), members)())
