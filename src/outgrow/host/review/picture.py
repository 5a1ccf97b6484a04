"""How an app hangs together: its edges, services, providers, and who calls whom."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from outgrow.host.clock import system_clock
from outgrow.host.review.code import shown_path
from outgrow.host.review.links import Link, edges_of, links_of
from outgrow.host.review.reading import Reading
from outgrow.host.review.wiring import maker_of
from outgrow.host.services import product_of
from outgrow.model import options_of_event
from outgrow.store import variable_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from outgrow.host.review.code import Code
    from outgrow.host.review.sketch import Sketch
    from outgrow.model import Field, JobModel, Operation, Parameter, SubscriptionModel


@dataclass(frozen=True)
class ParameterEntry:
    """A parameter of an operation; `default` is None where it has none."""

    name: str
    type: str
    default: str | None
    is_keyword_only: bool


@dataclass(frozen=True)
class OperationEntry:
    """An operation; `result` is the type of each item where it streams."""

    name: str
    kind: Literal["async", "stream", "thread"]
    parameters: tuple[ParameterEntry, ...]
    result: str
    timeout_seconds: float | None
    idempotent: bool
    concurrent_calls_max: int | None
    queue_max: int | None


@dataclass(frozen=True)
class JobEntry:
    """A method whose calls are kept, and run later.

    Attributes:
        name: The method.
        kind: Whether it is a `def`, which runs in a thread.
        parameters: Without `self`.
        result: Type of the result.
        queue: Where it waits.
        attempts_max: How often it is tried.
        schedules: When it is enqueued by itself: cron and zone.
    """

    name: str
    kind: Literal["async", "thread"]
    parameters: tuple[ParameterEntry, ...]
    result: str
    queue: str
    attempts_max: int
    schedules: tuple[str, ...]


@dataclass(frozen=True)
class SubscriptionEntry:
    """A method that receives events.

    Attributes:
        name: The method.
        event: The topic.
        key: The event's field by which order is kept; None for no order.
        attempts_max: How often an event is tried.
    """

    name: str
    event: str
    key: str | None
    attempts_max: int


@dataclass(frozen=True)
class FieldEntry:
    """A field of a service, without any value from the environment.

    Attributes:
        name: The field.
        kind: Where its value comes from.
        type: As the code says it.
        service: Whose client it is, for a field of kind `service`.
        variable: The environment variable that sets it.
        is_secret: Whether its value is never shown.
        default: Where it has one that may be shown.
        provider: The function that makes it.
    """

    name: str
    kind: str
    type: str
    service: str | None = None
    variable: str | None = None
    is_secret: bool = False
    default: str | None = None
    provider: str | None = None


@dataclass(frozen=True)
class DatabaseEntry:
    """The database of a service's own.

    Attributes:
        field: The field that holds it.
        variable: The environment variable that says where it is.
        kind: What the code says that it is, unless the environment says otherwise.
        tables: Those that are made at start, in order.
        migrations: Alembic's folder.
    """

    field: str
    variable: str
    kind: str
    tables: tuple[str, ...]
    migrations: str | None


@dataclass(frozen=True)
class ServiceEntry:
    """A service."""

    name: str
    cls: str
    file: str
    line: int
    operations: tuple[OperationEntry, ...]
    subscriptions: tuple[SubscriptionEntry, ...]
    jobs: tuple[JobEntry, ...]
    fields: tuple[FieldEntry, ...]
    database: DatabaseEntry | None
    concurrent_calls_max: int
    queue_max: int
    threads_max: int
    problem_count: int


@dataclass(frozen=True)
class EdgeEntry:
    """A way in for outsiders; `app` is empty for a module that calls services and is no edge."""

    name: str
    app: str


@dataclass(frozen=True)
class ProviderEntry:
    """A function that makes the values of fields, and the services that have such a field."""

    function: str
    type: str
    services: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """An app.

    Attributes:
        app: Its name; may be empty.
        edges: By name.
        services: Callers before those whom they call.
        providers: By name.
        links: In the order of the code.
    """

    app: str
    edges: tuple[EdgeEntry, ...]
    services: tuple[ServiceEntry, ...]
    providers: tuple[ProviderEntry, ...]
    links: tuple[Link, ...]


def picture_of(code: Code) -> Picture:
    """Draw an app from its code; nothing is started, connected to or read from the environment."""
    reading = Reading(code)
    links = links_of(reading)
    edges = [EdgeEntry(name, code.edges.get(name, "")) for name in edges_of(reading, links)]
    return Picture(
        app=code.name,
        edges=tuple(edges),
        services=tuple(_service(each, code) for each in _callers_first(code.services, links)),
        providers=tuple(sorted(_providers(code), key=lambda one: one.function)),
        links=tuple(links),
    )


def _callers_first(services: Iterable[Sketch], links: list[Link]) -> list[Sketch]:
    """The services in an order in which the first needs the last; by name where nothing says so."""
    waiting = sorted(services, key=lambda one: one.name)
    ordered: list[Sketch] = []
    while waiting:
        names = {each.name for each in waiting}
        called = {link.called for link in links if link.caller in names and link.is_of_service}
        # In a circle everybody is called: then the first by name begins.
        found = next((each for each in waiting if each.name not in called), waiting[0])
        waiting.remove(found)
        ordered.append(found)
    return ordered


def _service(service: Sketch, code: Code) -> ServiceEntry:
    place = code.place_of(service.cls)
    options = service.options
    return ServiceEntry(
        name=service.name,
        cls=f"{service.cls.__module__}.{service.cls.__qualname__}",
        file=place.file,
        line=place.line,
        operations=tuple(_operation(each) for each in service.operations.values()),
        subscriptions=tuple(_subscription(each) for each in service.work.subscriptions.values()),
        jobs=tuple(_job(each) for each in service.work.jobs.values()),
        fields=tuple(_field(each, code) for each in service.fields.values()),
        database=next(filter(None, map(_database, service.fields.values())), None),
        concurrent_calls_max=options.concurrent_calls_max,
        queue_max=options.queue_max,
        threads_max=options.threads_max,
        problem_count=len(service.problems),
    )


def _operation(operation: Operation) -> OperationEntry:
    options = operation.options
    return OperationEntry(
        name=operation.name,
        kind=operation.kind,
        parameters=tuple(_parameter(each) for each in operation.parameters),
        result=type_shown(operation.result),
        timeout_seconds=options.timeout_seconds,
        idempotent=options.idempotent,
        concurrent_calls_max=options.concurrent_calls_max,
        queue_max=options.queue_max,
    )


def _job(job: JobModel) -> JobEntry:
    return JobEntry(
        name=job.method,
        kind=job.kind,
        parameters=tuple(_parameter(each) for each in job.parameters),
        result=type_shown(job.result),
        queue=job.queue,
        attempts_max=job.options.attempts_max,
        schedules=tuple(f"{each.cron} {each.zone}" for each in job.schedules),
    )


def _subscription(model: SubscriptionModel) -> SubscriptionEntry:
    event = options_of_event(model.event)
    return SubscriptionEntry(model.method, event.name, event.key, model.options.attempts_max)


def _parameter(parameter: Parameter) -> ParameterEntry:
    default = None if parameter.default is ... else repr(parameter.default)
    return ParameterEntry(
        parameter.name, type_shown(parameter.type), default, parameter.is_keyword_only
    )


def _field(field: Field, code: Code) -> FieldEntry:
    is_outside = field.kind == "environment"
    is_secret = is_outside and field.default.secret
    default = field.default.default if is_outside else field.default
    has_default = field.kind in ("environment", "value") and default is not ...
    maker = maker_of(field, code)
    return FieldEntry(
        name=field.name,
        kind=field.kind,
        type=type_shown(field.type),
        service=field.type.__outgrow_service__.name if field.kind == "service" else None,
        variable=field.variable if is_outside else None,
        is_secret=is_secret,
        default=_default_shown(default) if has_default and not is_secret else None,
        provider=maker.__qualname__ if maker is not None else None,
    )


def _default_shown(default: Any) -> str:
    # A factory, such as that of a list, is shown by what it is, without the address in memory.
    return f"{default.__qualname__}()" if callable(default) else repr(default)


def _database(field: Field) -> DatabaseEntry | None:
    if field.kind != "resource":
        return None
    options = field.default
    tables = getattr(options, "tables", None)
    migrations = getattr(options, "migrations", None)
    return DatabaseEntry(
        field=field.name,
        variable=variable_of(field.service),
        kind=re.split(r"\W", getattr(options, "url", None) or "sqlite")[0],
        tables=tuple(getattr(tables, "tables", ())),
        migrations=None if migrations is None else _folder_shown(migrations),
    )


def _folder_shown(folder: str | Path) -> str:
    return folder if isinstance(folder, str) else shown_path(folder)


def _providers(code: Code) -> Iterable[ProviderEntry]:
    for provider in code.providers:
        users = [
            service.name
            for service in code.services
            for field in service.fields.values()
            if maker_of(field, code) is provider
        ]
        if provider is system_clock and not users:
            continue
        try:
            made = type_shown(product_of(provider))
        except NameError:
            made = "?"
        name = f"{provider.__module__}.{provider.__qualname__}"
        yield ProviderEntry(name, made, tuple(sorted(set(users))))


def type_shown(kind: Any) -> str:
    """A type as people write it."""
    if kind is None or kind is type(None):
        return "None"
    if isinstance(kind, type) and not typing.get_args(kind):
        return kind.__qualname__
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=\w)", "", str(kind)).replace("NoneType", "None")
