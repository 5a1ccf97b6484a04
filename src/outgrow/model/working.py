"""What a service does beside answering calls, read from its class: subscriptions and jobs.

Like operations they are read when they are first asked for, when every module has been imported.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

from outgrow.errors import FieldTypeError, ServiceError, SignatureError
from outgrow.model.described import Parameter, describe
from outgrow.model.events import Event, SubscriptionOptions, has_events, options_of_event
from outgrow.model.jobs import Job, JobOptions
from outgrow.model.schema import Shape, fingerprint_of, shape_of

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outgrow.model.declare import ServiceOptions
    from outgrow.model.graph import Graph
    from outgrow.model.schedule import Schedule

_REFUSED = (
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
    inspect.Parameter.POSITIONAL_ONLY,
)


@dataclass(frozen=True)
class SubscriptionModel:
    """A method that receives events.

    Attributes:
        name: By which its cursor is found again, such as `mail.on_order_placed`.
        service: Name of its service.
        method: Its name.
        function: The method itself, unbound.
        kind: `async`, or `thread` for a `def`.
        event: What it receives.
        options: What `@subscribe` was given.
    """

    name: str
    service: str
    method: str
    function: Callable[..., Any]
    kind: Literal["async", "thread"]
    event: type[Event]
    options: SubscriptionOptions


@dataclass(frozen=True)
class JobModel:
    """A method whose calls are kept.

    Attributes:
        name: By which waiting ones are found again, such as `mail.send_receipt`.
        service: Name of its service.
        method: Its name.
        function: The method itself, unbound.
        kind: `async`, or `thread` for a `def`.
        parameters: Without `self`.
        result: Type of the result.
        options: What `@job` was given.
        schedules: When it is enqueued by itself.
    """

    name: str
    service: str
    method: str
    function: Callable[..., Any]
    kind: Literal["async", "thread"]
    parameters: tuple[Parameter, ...]
    result: Any
    options: JobOptions
    schedules: tuple[Schedule, ...]

    @property
    def queue(self) -> str:
        """Where it waits, unless who enqueues it says otherwise."""
        return self.options.queue or self.service

    @property
    def shape(self) -> Shape:
        """The shape of its arguments."""
        return shape_of({one.name: (one.type, one.default is ...) for one in self.parameters})

    @property
    def fingerprint(self) -> str:
        """The same while the shape of its arguments is."""
        return fingerprint_of(self.shape)


@dataclass(frozen=True)
class WorkModel:
    """All that a service does beside answering calls; by method."""

    subscriptions: Mapping[str, SubscriptionModel]
    jobs: Mapping[str, JobModel]


def describe_work(cls: type) -> WorkModel:
    """What a service receives and runs.

    Raises:
        NotAServiceError: The class is no service.
        SignatureError: A subscription or a job cannot be called from what is stored.
        FieldTypeError: An annotation names something that cannot be found.
    """
    known: WorkModel | None = cls.__dict__.get("__outgrow_work__")
    if known is not None:
        return known
    describe(cls)
    read = readable_work(cls)
    for _, problem in read.problems.values():
        raise problem
    model = WorkModel(MappingProxyType(read.subscriptions), MappingProxyType(read.jobs))
    setattr(cls, "__outgrow_work__", model)  # noqa: B010
    return model


@dataclass(frozen=True)
class ReadableWork:
    """As far as a service's work can be read; all by method.

    Attributes:
        subscriptions: Those that can.
        jobs: Likewise.
        problems: Of the others, with the class that each is written in.
    """

    subscriptions: dict[str, SubscriptionModel]
    jobs: dict[str, JobModel]
    problems: dict[str, tuple[type, ServiceError]]


def readable_work(cls: type) -> ReadableWork:
    """What can be read of what a service receives and runs, although parts of it are wrong."""
    options: ServiceOptions = getattr(cls, "__outgrow_service__")  # noqa: B009
    found = ReadableWork({}, {}, {})
    for owner in reversed(cls.__mro__[:-1]):
        for name, member in vars(owner).items():
            for known in (found.subscriptions, found.jobs, found.problems):
                known.pop(name, None)
            shown = f"{cls.__qualname__}.{name}"
            try:
                if isinstance(member, Job):
                    job = cast("Job[..., Any]", member)
                    found.jobs[name] = _job(job, name, shown, options)
                elif marks := getattr(member, "__outgrow_subscription__", None):
                    made = _subscription(member, name, shown, marks, options)
                    found.subscriptions[name] = made
            except ServiceError as problem:
                found.problems[name] = owner, problem
    return found


def does_work(graph: Graph) -> bool:
    """Whether any service of these receives or runs something."""
    works = [describe_work(model.cls) for model in graph.services.values()]
    return any(work.subscriptions or work.jobs for work in works)


def shared_queues(graph: Graph) -> dict[str, list[str]]:
    """The services whose jobs wait in the same queue, by queue, where these are several."""
    found: dict[str, set[str]] = {}
    for model in graph.services.values():
        for job in describe_work(model.cls).jobs.values():
            found.setdefault(job.queue, set()).add(model.name)
    return {queue: sorted(names) for queue, names in found.items() if len(names) > 1}


def may_publish(graph: Graph) -> bool:
    """Whether any of these services may publish or enqueue."""
    return has_events() or does_work(graph)


def shape_of_event(kind: type[Event]) -> Shape:
    """The shape of an event's fields."""
    fields = dataclasses.fields(cast("Any", kind))
    hints = _hints(kind, f"the event `{kind.__name__}`", {})
    missing = dataclasses.MISSING
    return shape_of(
        {
            one.name: (hints[one.name], one.default is missing and one.default_factory is missing)
            for one in fields
        }
    )


def topic_of(kind: type[Event]) -> str:
    """The name by which an event is published."""
    return options_of_event(kind).name


def _job(one: Job[..., Any], name: str, shown: str, options: ServiceOptions) -> JobModel:
    parameters, result = _signature(one.function, shown, options)
    if one.schedules and (needed := [each.name for each in parameters if each.default is ...]):
        raise SignatureError(
            f"`{shown}` has a schedule, and needs `{needed[0]}`, which nobody gives it",
            hint="Give it a default",
        )
    return JobModel(
        name=one.options.name or f"{options.name}.{name}",
        service=options.name,
        method=name,
        function=one.function,
        kind=_kind(one.function, shown),
        parameters=parameters,
        result=result,
        options=one.options,
        schedules=one.schedules,
    )


def _subscription(
    function: Any, name: str, shown: str, marks: SubscriptionOptions, options: ServiceOptions
) -> SubscriptionModel:
    parameters, _ = _signature(function, shown, options)
    event: Any = parameters[0].type if len(parameters) == 1 else None
    if not (isinstance(event, type) and issubclass(event, Event)) or event is Event:
        raise SignatureError(
            f"`{shown}` subscribes, but does not take one event",
            hint="Write `async def ...(self, event: OrderPlaced) -> None`",
        )
    return SubscriptionModel(
        name=marks.name or f"{options.name}.{name}",
        service=options.name,
        method=name,
        function=function,
        kind=_kind(function, shown),
        event=event,
        options=marks,
    )


def _kind(function: Any, shown: str) -> Literal["async", "thread"]:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise SignatureError(f"`{shown}` yields, which nobody waits for", hint="Return instead")
    return "async" if inspect.iscoroutinefunction(function) else "thread"


def _signature(
    function: Any, shown: str, options: ServiceOptions
) -> tuple[tuple[Parameter, ...], Any]:
    hints = _hints(function, f"`{shown}`", options.names)
    found: list[Parameter] = []
    for each in list(inspect.signature(function).parameters.values())[1:]:
        if each.kind in _REFUSED:
            raise SignatureError(
                f"`{shown}` takes `{each}`, which cannot be stored by its name",
                hint="Name each parameter, or take one list",
            )
        if each.name not in hints:
            raise SignatureError(
                f"the parameter `{each.name}` of `{shown}` has no type",
                hint=f"Write `{each.name}: TYPE`",
            )
        default = ... if each.default is inspect.Parameter.empty else each.default
        is_keyword_only = each.kind is inspect.Parameter.KEYWORD_ONLY
        found.append(Parameter(each.name, hints[each.name], default, is_keyword_only))
    if "return" not in hints:
        raise SignatureError(
            f"`{shown}` does not say what it returns", hint="Write `-> TYPE`, or `-> None`"
        )
    return tuple(found), hints["return"]


def _hints(thing: Any, what: str, names: Mapping[str, object]) -> dict[str, Any]:
    try:
        # Where each class of its line was written, or the function.
        return typing.get_type_hints(thing, localns=dict(names), include_extras=True)
    except NameError as problem:
        raise FieldTypeError(
            f"{what} names `{problem.name}`, which {thing.__module__} does not have when it runs",
            hint=f"Import `{problem.name}` there for real, not under `if TYPE_CHECKING:`",
        ) from None
