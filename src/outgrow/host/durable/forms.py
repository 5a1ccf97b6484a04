"""How events and jobs become what the store keeps, and are read again.

Both are kept as maps by name, so that a later version may have fields and parameters more, with
defaults, and overlooks those that it no longer has.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import inspect
from typing import TYPE_CHECKING, Any, cast

from outgrow.errors import ServiceError
from outgrow.host.durable.hints import queue_name, topic_name
from outgrow.host.tracing import extras_with
from outgrow.model import (
    Event,
    describe_work,
    described,
    events_named,
    fingerprint_of,
    key_of_event,
    shape_of_event,
    topic_of,
)
from outgrow.store import NewJob, Publication, new_id
from outgrow.telemetry import note_handed
from outgrow.wire import Codec, calling

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from outgrow.model import BoundJob, EnqueueOptions, JobModel, JobOptions
    from outgrow.store import ClaimedJob

_HASH_CHARACTERS = 32


class EventForm:
    """How events of one class are kept.

    Attributes:
        topic: The name by which they are found.
        schema: The same while the shape of the fields is.
        described: That shape.
    """

    def __init__(self, kind: type[Event]) -> None:
        self.topic = topic_of(kind)
        self._codec = Codec(kind, f"the event `{kind.__name__}`")
        shape = shape_of_event(kind)
        self.schema = fingerprint_of(shape)
        self.described = described(shape)

    def publication(self, event: Event) -> Publication:
        """An event on its way into the log, with the trace and the baggage of who publishes it.

        Raises:
            ValueMismatchError: A field holds what its type does not say.
        """
        return Publication(
            id=new_id(),
            topic=self.topic,
            key=key_of_event(event),
            body=self._codec.encode(self._codec.crossed(event)),
            schema=self.schema,
            headers=headers_here(),
        )

    def event(self, body: bytes) -> Event:
        """The event that was kept.

        Raises:
            ValueMismatchError: It is none of this class.
        """
        return self._codec.decode(body)


class JobForm:
    """How jobs of one kind are kept.

    Args:
        model: Of the job.
        shown: Its name for people, such as `Mail.send_receipt`.
        queues: Those from which jobs of its service are run.

    Attributes:
        schema: The same while the shape of the parameters is.
        described: That shape.
    """

    def __init__(self, model: JobModel, shown: str, queues: Collection[str]) -> None:
        self.model = model
        self._queues = queues
        self.shown = shown
        self.schema = model.fingerprint
        self.described = described(model.shape)
        parameters = list(inspect.signature(model.function).parameters.values())[1:]
        self._signature = inspect.Signature(parameters)
        self._kind = _arguments_kind(model)
        self._arguments = Codec(self._kind, f"the arguments of `{model.name}`")
        self._each = {
            one.name: Codec(one.type, f"`{one.name}` of `{model.name}`") for one in model.parameters
        }
        self._result = Codec(model.result, f"the result of `{model.name}`")

    def handed_as(self, queue: str) -> str:
        """What its enqueueing is counted as, such as `queue mail Mail.send_receipt`."""
        return f"{queue_name(queue)} {self.shown}"

    def new_job(
        self, chosen: EnqueueOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> NewJob:
        """A job on its way into its queue.

        Raises:
            ServiceError: Nobody would run it from the queue that was chosen.
            TypeError: The arguments are not those of the method.
            ValueMismatchError: One is not what its type says.
        """
        if chosen.queue is not None and chosen.queue not in self._queues:
            raise ServiceError(
                f"`{self.shown}` cannot wait in the queue `{chosen.queue}`: no job of its service "
                "is run from there",
                hint=f"Name one of {', '.join(sorted(self._queues))}; or give a job of the service "
                f'this queue: `@job(queue="{chosen.queue}")`',
            )
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = {name: self._each[name].crossed(value) for name, value in bound.arguments.items()}
        declared, model = self.model.options, self.model
        expires = _first(chosen.expires_after_seconds, declared.expires_after_seconds)
        unique_for = declared.unique_for_seconds
        return NewJob(
            id=new_id(),
            kind=model.name,
            queue=chosen.queue or model.queue,
            body=self._arguments.encode(self._kind(**given)),
            headers=headers_here(),
            schema=self.schema,
            priority=_first(chosen.priority, declared.priority) or 0,
            attempts_max=declared.attempts_max,
            delay_ms=_ms(chosen.delay_seconds) or 0,
            run_at_ms=int(chosen.run_at.timestamp() * 1e3) if chosen.run_at else None,
            expires_after_ms=_ms(expires),
            unique=self._unique(chosen, declared, given),
            unique_for_ms=_ms(unique_for) or 0,
            key=_key(model.name, declared, given),
            key_slots=declared.key_concurrency,
            timeout_ms=_ms(declared.timeout_seconds),
        )

    def _unique(
        self, chosen: EnqueueOptions, declared: JobOptions, given: Mapping[str, Any]
    ) -> str | None:
        if chosen.unique is not None:
            return f"{self.model.name} {chosen.unique}"
        if not declared.unique:
            return None
        mark = hashlib.sha256()
        for name in declared.unique:
            mark.update(self._each[name].encode(given[name]))
            mark.update(b"\0")
        return f"{self.model.name} {mark.hexdigest()[:_HASH_CHARACTERS]}"

    def arguments(self, job: ClaimedJob) -> dict[str, Any]:
        """What the method is called with.

        Raises:
            ValueMismatchError: The job was enqueued by a version with other parameters.
        """
        found = self._arguments.decode(job.body)
        return {name: getattr(found, name) for name in self._each}

    def encoded_result(self, result: Any) -> bytes:
        """What a run returned.

        Raises:
            ValueMismatchError: It is not what its type says.
        """
        return self._result.encode(self._result.crossed(result))

    def result(self, encoded: bytes) -> Any:
        """What a run returned, read again."""
        return self._result.decode(encoded)


def forms_of(topic: str) -> list[EventForm]:
    """How the events of a topic are kept, by each class with this name."""
    return [event_form(kind) for kind in events_named(topic)]


@functools.cache
def event_form(kind: type[Event]) -> EventForm:
    """How events of a class are kept."""
    return EventForm(kind)


@functools.cache
def job_form(owner: type, method: str) -> JobForm:
    """How the jobs of a method are kept."""
    jobs = describe_work(owner).jobs
    queues = frozenset(one.queue for one in jobs.values())
    return JobForm(jobs[method], f"{owner.__name__}.{method}", queues)


def form_of(bound: BoundJob[..., Any]) -> JobForm:
    """How a job read from an object or a client of its service is kept.

    Raises:
        ServiceError: It was made in another way.
    """
    # `__class__`, as a client says there whose client it is.
    owner = cast("type", bound.owner.__class__)
    for name, model in describe_work(owner).jobs.items():
        if model.function is bound.function:
            return job_form(owner, name)
    raise ServiceError(
        f"`{bound.function.__qualname__}` is no job of `{owner.__qualname__}`",
        hint="Read it from the service: `enqueue(self.send_receipt, ...)`",
    )


def publication_of(event: object) -> Publication:
    """An event on its way into the log; it is counted as published by who runs here.

    Raises:
        ServiceError: It is no event.
    """
    if not isinstance(event, Event):
        raise ServiceError(
            f"{type(event).__name__} is no event", hint="Derive its class from `outgrow.Event`"
        )
    made = event_form(type(event)).publication(event)
    note_handed(calling().operation, topic_name(made.topic))
    return made


def headers_here() -> dict[str, str]:
    """What travels beside a message: the baggage that is set here, and the trace."""
    frame = calling()
    extras = extras_with(frame.segment, frame.span)
    return {name: base64.b64encode(value).decode() for name, value in extras.items()}


def extras_of(headers: Mapping[str, str]) -> dict[str, bytes]:
    """What travelled beside a message, as calls have it."""
    return {name: base64.b64decode(value) for name, value in headers.items()}


def _arguments_kind(model: JobModel) -> Any:
    fields: list[Any] = []
    for one in model.parameters:
        if one.default is ...:
            fields.append((one.name, one.type))
        else:
            given = functools.partial(_same, one.default)
            fields.append((one.name, one.type, dataclasses.field(default_factory=given)))
    return dataclasses.make_dataclass("Arguments", fields, kw_only=True, frozen=True)


def _same(value: Any) -> Any:
    return value


def _key(kind: str, declared: JobOptions, given: Mapping[str, Any]) -> str | None:
    return None if declared.key is None else f"{kind} {given[declared.key]}"


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e3)


def _first(chosen: Any, declared: Any) -> Any:
    return declared if chosen is None else chosen
