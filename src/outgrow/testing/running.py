"""An app's services at work for the time of a test."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from outgrow.host import Clock, Host, app_of
from outgrow.model import App
from outgrow.testing.apart import apart
from outgrow.testing.watched import work_of_test

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from outgrow.model import Event
    from outgrow.testing.watched import TestWork

S = TypeVar("S")
Placement = Literal["local", "rpc", "split"]
IDLE_SECONDS_MAX = 10.0


class RunningApp:
    """Services at work in a test."""

    def __init__(self, client: Callable[[type], Any], work: TestWork) -> None:
        self._client = client
        self._work = work

    @property
    def published(self) -> list[Event]:
        """The events published so far, in order; those of a transaction once it has committed."""
        return list(self._work.store.watched.published)

    async def until_idle(self, *, seconds: float = IDLE_SECONDS_MAX) -> None:
        """Wait until every event is handled and every job is done that could be, now.

        What waits for its time, or to be tried again, is not waited for: advance the clock.

        Args:
            seconds: The longest to wait.

        Raises:
            TimeoutError: Something is still to be done; says what.
        """
        await self._work.until_idle(seconds)

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
    with work_of_test(clock) as work:
        if placement == "split":
            async with apart(meant, providers, fakes, environment, clock, work) as clients:
                yield RunningApp(clients.__getitem__, work)
        else:
            whole = _with_clock(meant, providers, clock)
            async with AsyncExitStack() as exits:
                source = work.source()
                exits.push_async_callback(source.close)
                host = Host(
                    whole,
                    placement=placement,
                    fakes=fakes,
                    environment=environment,
                    source=source,
                )
                await host.start()
                exits.push_async_callback(host.stop)
                yield RunningApp(host.client, work)


def _with_clock(meant: App, providers: Sequence[Callable[..., Any]], clock: Clock | None) -> App:

    def given() -> Clock:
        assert clock is not None
        return clock

    first = [given] if clock is not None else []
    return App(
        name=meant.name,
        services=meant.services,
        providers=[*first, *providers, *meant.providers],
        edges=meant.edges,
    )
