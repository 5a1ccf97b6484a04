"""The services of one process: made in the order of their needs, and stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from outgrow.errors import (
    OutgrowError,
    ProviderMissingError,
    ServiceStartError,
    UnavailableError,
)
from outgrow.host.bridge import ThreadOperation, use_loop_in_thread
from outgrow.host.client import client_of
from outgrow.host.clock import system_clock
from outgrow.host.distance import at_a_distance
from outgrow.host.durable.attempts import Handler
from outgrow.host.durable.durable import Work
from outgrow.host.durable.forms import job_form
from outgrow.host.durable.here import activate, deactivate
from outgrow.host.durable.outboxes import DatabaseOutbox
from outgrow.host.durable.source import source_here
from outgrow.host.gate import Gate
from outgrow.host.path import CallPath
from outgrow.host.remote import OperationAnswerer
from outgrow.host.threads import in_thread, in_thread_to_its_end
from outgrow.model import (
    App,
    all_providers,
    describe_work,
    does_work,
    graph_of,
    may_publish,
    topic_of,
)
from outgrow.store import Database
from outgrow.telemetry import LinkBook, station_book

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.host.durable.durable import Durable
    from outgrow.host.durable.source import DurableSource
    from outgrow.model import Field, Operation, ServiceModel
    from outgrow.telemetry import Station, StationTotals
    from outgrow.wire import Answerer

TestPlacement = Literal["local", "rpc"]
CALLS_END_SECONDS = 2.0
_LOOK_SECONDS = 0.01
_ITERATORS = (AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator)
_logger = logging.getLogger("outgrow.services")


class Host:
    """Runs services in this process, on the event loop that starts it.

    Args:
        app: The services, with all that they need.
        placement: `rpc` has calls go as if to another process, for tests.
        fakes: Stand in for services of their class.
        environment: Where fields find their values; the process's own where None.
        running: Clients of services that run already, which are not made again.
        source: Of the durable work, for services that publish, receive or enqueue; as the
            environment says where None.
        is_durable: Whether they may; the keeper itself may not.

    Attributes:
        book: All calls, counted.
        graph: The services.

    Raises:
        ServiceError: They cannot work together; says why.
    """

    def __init__(
        self,
        app: App,
        *,
        placement: TestPlacement = "local",
        fakes: Sequence[object] = (),
        environment: Mapping[str, str] | None = None,
        running: Mapping[type, Any] | None = None,
        source: DurableSource | None = None,
        is_durable: bool = True,
    ) -> None:
        self.book = LinkBook()
        self.graph = graph_of(app.services)
        self._placement: TestPlacement = placement
        self._fakes = {fake.__class__: fake for fake in fakes}
        self._environment = os.environ if environment is None else environment
        self._providers = [*app.providers, *reversed(all_providers()), system_clock]
        self._clients: dict[type, Any] = {}
        self._paths: list[CallPath] = []
        self._running = running or {}
        self._exits = contextlib.AsyncExitStack()
        self._give_up_seconds = 0.0
        self._owns_source = source is None
        self._source = (source or source_here(self._environment)) if is_durable else None
        self._durable: Durable | None = None
        self._work = Work()
        self._pools: dict[str, tuple[ThreadPoolExecutor, Station]] = {}

    async def start(self) -> None:
        """Make and start all services; what was started is stopped again where one fails.

        Raises:
            ServiceError: One could not be made or started; names it.
        """
        try:
            if self._source is not None:
                await self._open_durable(self._source)
            for model in self.graph.services.values():
                await self._start(model)
            if self._durable is not None:
                with _told("durable work"):
                    await self._durable.serve(self._work)
                self._exits.push_async_callback(self._durable.drain, CALLS_END_SECONDS)
        except BaseException as problem:
            try:
                await self.stop()
            except Exception as another:
                problem.add_note(f"While what had started was stopped: {another}")
            raise

    async def _open_durable(self, source: DurableSource) -> None:
        """Have services publish and enqueue; who receives and runs needs the store at once."""
        if self._owns_source:
            self._exits.push_async_callback(source.close)
        activate(source)
        self._exits.callback(deactivate, source)
        if does_work(self.graph) or source.is_asked:
            self._durable = await source.get()

    async def stop(self) -> None:
        """Stop all services, each before what it needs.

        Each first refuses new calls and lets those end that run; not for ever.
        """
        self._give_up_seconds = asyncio.get_running_loop().time() + CALLS_END_SECONDS
        self._clients.clear()
        self._paths.clear()
        exits, self._exits = self._exits, contextlib.AsyncExitStack()
        await exits.aclose()

    def client(self, cls: type) -> Any:
        """The client of a service that runs here.

        Raises:
            ServiceError: It is none of this host's, or the host is not started.
        """
        found = self._clients.get(cls)
        if found is None:
            known = ", ".join(each.cls.__qualname__ for each in self.graph.services.values())
            raise ServiceStartError(
                f"`{cls.__qualname__}` does not run here", hint=f"Running: {known or 'nothing'}"
            )
        return found

    def answerers(self) -> list[Answerer]:
        """All operations that run here, for calls that come from other processes."""
        return [
            OperationAnswerer(path.operation, path.entrance(crosses=False)) for path in self._paths
        ]

    async def _start(self, model: ServiceModel) -> None:
        if model.cls in self._running:
            self._clients[model.cls] = self._running[model.cls]
            return
        fake = self._fakes.get(model.cls)
        if fake is not None:
            self._clients[model.cls] = self._client(model, fake)
            return
        values: dict[str, Any] = {}
        made: dict[Any, Any] = {}
        for field in model.fields.values():
            if field.kind != "value":
                values[field.name] = await self._value(model, field, made)
        instance = model.cls(**values)
        # What one start hook began, the stop hooks end, even where the next one fails.
        for name in model.starts[:1]:
            await self._hook(model, instance, name)
        for name in reversed(model.stops):
            self._exits.push_async_callback(self._hook, model, instance, name)
        for name in model.starts[1:]:
            await self._hook(model, instance, name)
        self._clients[model.cls] = self._client(model, instance)
        self._take_work(model, instance)

    def _take_work(self, model: ServiceModel, instance: object) -> None:
        """Have its subscriptions and jobs run here, once all services have started."""
        work = describe_work(model.cls)
        for method, subscription in work.subscriptions.items():
            run = self._worker(model, subscription.kind, getattr(instance, method))
            topic = f"topic {topic_of(subscription.event)}"
            handler = self._handler(model, subscription.name, method, topic, run)
            is_repeatable = subscription.options.repeatable
            self._work.subscriptions.append(
                (subscription, replace(handler, is_repeatable=is_repeatable))
            )
        for method, job in work.jobs.items():
            run = self._worker(model, job.kind, partial(job.function, instance))
            handler = self._handler(model, job.name, method, f"queue {job.queue}", run)
            handler = replace(handler, is_repeatable=job.options.repeatable)
            self._work.jobs.append((job_form(model.cls, method), handler))

    def _handler(
        self, model: ServiceModel, name: str, method: str, caller: str, run: Callable[..., Any]
    ) -> Handler:
        return Handler(
            name=name,
            shown=f"{model.cls.__name__}.{method}",
            service=model.name,
            caller=caller,
            run=run,
            is_repeatable=False,
            book=self.book,
        )

    def _worker(self, model: ServiceModel, kind: str, function: Any) -> Any:
        if kind != "thread":
            return function
        pool, station = self._threads(model)
        return in_thread_to_its_end(pool, function, station)

    async def _hook(self, model: ServiceModel, instance: Any, name: str) -> None:
        where = f"`{model.cls.__qualname__}.{name}`"
        with _told(where):
            done = getattr(instance, name)()
            if inspect.isawaitable(done):
                await done

    # What fills the fields.

    async def _value(self, model: ServiceModel, field: Field, made: dict[Any, Any]) -> Any:
        if field.kind == "service":
            return self.client(field.type)
        if field.kind == "environment":
            return field.from_environment(self._environment)
        if field.type not in made:
            where = f"`{field.name}` of `{model.cls.__qualname__}`"
            opened = self._resource if field.kind == "resource" else self._provided
            made[field.type] = await opened(field, where)
        return made[field.type]

    async def _resource(self, field: Field, where: str) -> Any:
        options = None if field.default is ... else field.default
        with _told(where):
            resource = field.type.of_service(field.service, options, self._environment)
            await resource.start()
        self._exits.push_async_callback(resource.stop)
        if self._source is not None and isinstance(resource, Database) and may_publish(self.graph):
            outbox = DatabaseOutbox(resource, self._source)
            with _told(where):
                await outbox.attach(is_needed=self._durable is not None)
            self._exits.push_async_callback(outbox.stop)
        return resource

    async def _provided(self, field: Field, where: str) -> Any:
        for provider in self._providers:
            if _makes(provider, field.type):
                with _told(f"`{provider.__qualname__}`, which makes {where},"):
                    return await self._made_by(provider)
        raise ProviderMissingError(
            f"nothing makes {where}, a `{getattr(field.type, '__qualname__', field.type)}`"
        )

    async def _made_by(self, provider: Callable[..., Any]) -> Any:
        if inspect.isasyncgenfunction(provider):
            manager = contextlib.asynccontextmanager(provider)()
            return await self._exits.enter_async_context(manager)
        if inspect.isgeneratorfunction(provider):
            return self._exits.enter_context(contextlib.contextmanager(provider)())
        made = provider()
        return await made if inspect.isawaitable(made) else made

    # Clients.

    def _client(self, model: ServiceModel, instance: object) -> Any:
        options = model.options
        what = f"service `{model.name}`"
        gate = Gate(what, options.concurrent_calls_max, options.queue_max)
        threads = None
        if any(each.kind == "thread" for each in model.operations.values()):
            threads = self._threads(model)
        gates = {name: _gate_of(each, gate) for name, each in model.operations.items()}
        _tell_of(model, gate, gates)
        entrances = {
            name: self._entrance(each, getattr(instance, name), gates[name], threads)
            for name, each in model.operations.items()
        }
        self._exits.push_async_callback(self._closed, what, {gate, *gates.values()})
        return client_of(model, entrances)

    def _threads(self, model: ServiceModel) -> tuple[ThreadPoolExecutor, Station]:
        """The threads of a service, for its `def` operations, subscriptions and jobs."""
        known = self._pools.get(model.name)
        if known is not None:
            return known
        loop, limit = asyncio.get_running_loop(), model.options.threads_max
        pool = ThreadPoolExecutor(limit, f"outgrow-{model.name}", use_loop_in_thread, (loop,))
        self._exits.callback(pool.shutdown, wait=False, cancel_futures=True)
        station = station_book.meet(f"threads {model.cls.__qualname__}", "threads", limit)
        self._pools[model.name] = (pool, station)
        return pool, station

    async def _closed(self, what: str, gates: set[Gate]) -> None:
        """Refuse calls of a service from now on, and let those end that run."""
        for gate in gates:
            gate.shut(f"{what} has stopped")
        loop = asyncio.get_running_loop()
        while running := sum(gate.running for gate in gates):
            if loop.time() > self._give_up_seconds:
                _logger.warning("%s stops while %d of its calls run", what, running)
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _entrance(
        self,
        operation: Operation,
        function: Any,
        gate: Gate,
        threads: tuple[ThreadPoolExecutor, Station] | None,
    ) -> Any:
        if operation.kind == "thread":
            assert threads is not None
            threaded = _unless_stopped(in_thread(threads[0], function, gate, threads[1]), gate)
            path = CallPath(operation, threaded, gate, self.book)
        else:
            path = CallPath(operation, function, gate, self.book)
        self._paths.append(path)
        entrance = path.entrance()
        if self._placement == "rpc":
            entrance = at_a_distance(path, entrance)
        return ThreadOperation(operation, entrance) if operation.kind == "thread" else entrance


def _unless_stopped(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """The function, whose caller hears of it where the pool's end is what cancelled it."""

    async def begun(**arguments: Any) -> Any:
        try:
            return await function(**arguments)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if gate.closed and task is not None and not task.cancelling():
                raise UnavailableError(gate.closed) from None
            raise

    return begun


def _gate_of(operation: Operation, shared: Gate) -> Gate:
    options = operation.options
    if options.concurrent_calls_max is None:
        return shared
    queue_max = shared.queue_max if options.queue_max is None else options.queue_max
    return Gate(f"`{operation.shown}`", options.concurrent_calls_max, queue_max)


def _tell_of(model: ServiceModel, gate: Gate, gates: Mapping[str, Gate]) -> None:
    """Have the gates of a service told of as stations."""
    shown = {f"bulkhead {model.cls.__qualname__}": gate}
    shown |= {
        f"bulkhead {model.operations[name].shown}": own
        for name, own in gates.items()
        if own is not gate
    }
    for name, each in shown.items():
        station_book.add(name, "bulkhead", partial(_gate_totals, name, each))


def _gate_totals(name: str, gate: Gate) -> StationTotals:
    return gate.use.told(name, gate.running)


def product_of(provider: Callable[..., Any]) -> Any:
    """The type that a provider makes; None where it does not say.

    Raises:
        NameError: Its annotation names something that is not there.
    """
    made = typing.get_type_hints(provider, include_extras=True).get("return")
    is_generator = inspect.isgeneratorfunction(provider) or inspect.isasyncgenfunction(provider)
    if is_generator and typing.get_origin(made) in _ITERATORS:
        return typing.get_args(made)[0]
    return made


def _makes(provider: Callable[..., Any], kind: Any) -> bool:
    try:
        return product_of(provider) == kind
    except NameError:
        return False  # a type that is not there when the program runs is no field's type either


@contextlib.contextmanager
def _told(what: str) -> Generator[None]:
    """Have an exception say what could not be started or stopped."""
    try:
        yield
    except OutgrowError:
        raise
    except Exception as problem:
        raise ServiceStartError(f"{what} raised {type(problem).__name__}: {problem}") from problem


def app_of(what: App | type | Iterable[type]) -> App:
    """The app that is meant: itself, one service, or several."""
    if isinstance(what, App):
        return what
    return App(services=[what] if isinstance(what, type) else list(what))
