"""An app's services at work for the time of a test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from outgrow.host import Clock, Host, app_of
from outgrow.model import App
from outgrow.testing.apart import apart

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

S = TypeVar("S")
Placement = Literal["local", "rpc", "split"]


class RunningApp:
    """Services at work in a test."""

    def __init__(self, client: Callable[[type], Any]) -> None:
        self._client = client

    def client(self, cls: type[S]) -> S:
        """The client of one of its services."""
        return cast("S", self._client(cls))


@asynccontextmanager
async def running(
    app: App | type | Iterable[type],
    placement: Placement = "local",
    *,
    fakes: Sequence[object] = (),
    providers: Sequence[Callable[..., Any]] = (),
    environment: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[RunningApp]:
    """Run services for the time of an `async with` block.

    Args:
        app: The services; what they need comes with them.
        placement: `local` as in one process. `rpc` as between two: everything is written and read,
            each call yields and has a context of its own, and each idempotent one is repeated once.
            `split` runs each service in a process of its own; fakes stay in that of the test.
            Services and providers must then be found at the top of a module.
        fakes: Made by `fake`; they stand in for the services of their class.
        providers: They come before those of the app.
        environment: Where fields find their values; that of the process where None.
        clock: What their fields of type `Clock` become, such as a `ManualClock`.

    Raises:
        ServiceError: The services cannot work together, or one could not be started.
    """
    meant = app_of(app)
    if placement == "split":
        async with apart(meant, providers, fakes, environment, clock) as clients:
            yield RunningApp(clients.__getitem__)
        return

    def given() -> Clock:
        assert clock is not None
        return clock

    first = [given] if clock is not None else []
    meant = App(
        name=meant.name,
        services=meant.services,
        providers=[*first, *providers, *meant.providers],
        edges=meant.edges,
    )
    host = Host(meant, placement=placement, fakes=fakes, environment=environment)
    await host.start()
    try:
        yield RunningApp(host.client)
    finally:
        await host.stop()
