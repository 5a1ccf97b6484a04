"""What the tests of an app need: its services running, and fakes of those that are not meant."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from outgrow.errors import FakeError
from outgrow.host import Clock, Host, app_of
from outgrow.model import App, describe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

__all__ = ["ManualClock", "Placement", "RunningApp", "fake", "running"]

S = TypeVar("S")
Placement = Literal["local", "rpc"]


class ManualClock(Clock):
    """A clock that a test sets: time stands still between two calls of `advance`.

    Args:
        start: The time it shows first; 1 January 2026 where None. Without a zone it means UTC.
    """

    def __init__(self, start: datetime | None = None) -> None:
        start = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._now = start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The time that was set, in UTC."""
        return self._now

    @property
    def sleepers_count(self) -> int:
        """How many tasks sleep by this clock."""
        return sum(not sleeper.done() for _, sleeper in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by so much."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Set it forward, and wake those whose time has come, the earliest first.

        They run when the caller next awaits; who then sleeps again, sleeps from the new time on.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot be advanced by {seconds} s")
        self._now += timedelta(seconds=seconds)
        still: list[tuple[datetime, asyncio.Future[None]]] = []
        for due, sleeper in sorted(self._sleepers, key=lambda each: each[0]):
            if due > self._now:
                still.append((due, sleeper))
            elif not sleeper.done():
                sleeper.set_result(None)
        self._sleepers = still


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
    clock: Clock | None = None,
) -> AsyncGenerator[RunningApp]:
    """Run services for the time of an `async with` block.

    Args:
        app: The services; what they need comes with them.
        placement: `local` as in one process. `rpc` as between two: everything is written and read,
            each call yields and has a context of its own, and each idempotent one is repeated once.
        fakes: Made by `fake`; they stand in for the services of their class.
        providers: They come before those of the app.
        environment: Where fields find their values; that of the process where None.
        clock: What their fields of type `Clock` become, such as a `ManualClock`.

    Raises:
        ServiceError: The services cannot work together, or one could not be started.
    """

    def given() -> Clock:
        assert clock is not None
        return clock

    meant = app_of(app)
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
