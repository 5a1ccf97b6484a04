"""Jobs: methods whose calls are kept, and run once somebody has a place for them.

A job of a service is read through its object as a `BoundJob`, which says what is to be enqueued:

    await enqueue(self.send_receipt.options(delay_seconds=60), order_id, to=email)

The parameters are the method's own, so that type checkers see every argument.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from outgrow.errors import ServiceError, WrongCallError
from outgrow.model.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime

    from outgrow.model.schedule import Schedule

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

ATTEMPTS_MAX = 5
PRIORITY_MAX = 9
CONCURRENCY_MAX = 10_000


@dataclass(frozen=True)
class JobOptions:
    """What `@job` was given.

    Attributes:
        name: By which waiting ones are found again; of the service and the method where None.
        queue: Where it waits; in one named as its service where None.
        priority: Those with a higher one start first; -9 to 9.
        attempts_max: How often it may be started.
        backoff: Pauses between attempts.
        timeout_seconds: What one attempt may take; None for any time.
        unique: The parameters whose values must differ from those of every unfinished one; empty
            for no such condition.
        unique_for_seconds: How long after one there is none with the same values.
        key: The parameter whose value is the key that `key_concurrency` is counted by.
        key_concurrency: How many of the same key run at once; None for any number.
        expires_after_seconds: When it is no longer worth starting; None for never.
        repeatable: Whether running twice has the effect of once.
    """

    name: str | None = None
    queue: str | None = None
    priority: int = 0
    attempts_max: int = ATTEMPTS_MAX
    backoff: Backoff = field(default_factory=Backoff)
    timeout_seconds: float | None = None
    unique: tuple[str, ...] = ()
    unique_for_seconds: float = 0.0
    key: str | None = None
    key_concurrency: int | None = None
    expires_after_seconds: float | None = None
    repeatable: bool = False


@dataclass(frozen=True)
class EnqueueOptions:
    """What one enqueued job shall have beyond what its kind says; None as its kind says.

    Attributes:
        delay_seconds: How long it waits before it may start.
        run_at: When it may start; has a time zone.
        priority: Higher starts first.
        queue: Where it waits.
        unique: What no other unfinished one of its kind may have.
        expires_after_seconds: When it is no longer worth starting.
    """

    delay_seconds: float | None = None
    run_at: datetime | None = None
    priority: int | None = None
    queue: str | None = None
    unique: str | None = None
    expires_after_seconds: float | None = None


class Job(Generic[P, R]):
    """A method made a job; what stands in the class.

    Attributes:
        function: The method.
        options: What `@job` was given.
        schedules: When it is enqueued by itself.
    """

    def __init__(self, function: Callable[..., Any], options: JobOptions) -> None:
        self.function = function
        self.options = options
        self.schedules: tuple[Schedule, ...] = ()
        self.name = function.__name__
        self.__doc__ = function.__doc__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__

    def __repr__(self) -> str:
        return f"<job {self.__qualname__}>"

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Job[P, R]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> BoundJob[P, R]: ...
    def __get__(self, instance: object | None, owner: type | None = None, /) -> Any:
        """The job of one object of its service."""
        if instance is None:
            return self
        return BoundJob[P, R](self.function, self.options, instance)


@dataclass(frozen=True, eq=False)
class BoundJob(Generic[P, R]):
    """A job of one object of its service, to be enqueued.

    Attributes:
        function: The method.
        declared: What `@job` was given.
        owner: The object, or a client of it.
        chosen: What this one shall have.
    """

    function: Callable[..., Any]
    declared: JobOptions
    owner: object
    chosen: EnqueueOptions = field(default_factory=EnqueueOptions)

    def options(
        self,
        *,
        delay_seconds: float | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        unique: str | None = None,
        expires_after_seconds: float | None = None,
    ) -> BoundJob[P, R]:
        """The same job, enqueued in another way.

        Args:
            delay_seconds: How long it waits before it may start.
            run_at: When it may start, instead of a delay; needs a time zone.
            priority: Those with a higher one start first; -9 to 9.
            queue: Where it waits.
            unique: No other unfinished one of its kind may have this.
            expires_after_seconds: When it is no longer worth starting.

        Raises:
            ServiceError: A value makes no sense.
        """
        given = EnqueueOptions(
            delay_seconds, run_at, priority, queue, unique, expires_after_seconds
        )
        _check_enqueue(f"`{self.function.__qualname__}`", given)
        said = {name: value for name, value in vars(given).items() if value is not None}
        return dataclasses.replace(self, chosen=dataclasses.replace(self.chosen, **said))

    def given(self, *args: P.args, **kwargs: P.kwargs) -> GivenJob[R]:
        """The same job with its arguments, to be enqueued beside others by `enqueue_many`."""
        return GivenJob[R](self, args, kwargs)

    async def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now, as a test does: nothing is kept, and nothing is tried again."""
        result: Any = self.function(self.owner, *args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    if not TYPE_CHECKING:  # for checkers it cannot be called at all

        def __call__(self, *args: object, **kwargs: object) -> object:
            """Refuse, and say how to do it."""
            raise WrongCallError(
                f"the job `{self.function.__qualname__}` was called, which would run it unkept",
                hint="Write `await enqueue(...)`, or in a test `await service.job.run(...)`",
            )


@dataclass(frozen=True, eq=False)
class GivenJob(Generic[R_co]):
    """A job and its arguments.

    Attributes:
        job: Which.
        args: Its arguments.
        kwargs: Likewise, by name.
    """

    job: BoundJob[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@overload
def job(function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Job[P, R]: ...
@overload
def job(function: Callable[Concatenate[Any, P], R], /) -> Job[P, R]: ...
@overload
def job(
    *,
    name: str | None = None,
    queue: str | None = None,
    priority: int = 0,
    attempts_max: int = ATTEMPTS_MAX,
    backoff: Backoff | None = None,
    timeout: float | None = None,
    unique: bool | tuple[str, ...] = (),
    unique_for: float = 0.0,
    key: str | None = None,
    key_concurrency: int | None = None,
    expires_after: float | None = None,
    repeatable: bool = False,
) -> _Marker: ...
def job(function: Callable[..., Any] | None = None, /, **given: Any) -> Any:
    """Make a method a job: its calls are kept, tried again, and run where there is a place.

    Args:
        function: The method, where the decorator is written without parentheses; `async def`, or
            `def`, which runs in a thread.
        given: All by name, as follows.

            name: By which waiting ones are found again; give it before you rename the method.
            queue: Where it waits; by itself in one named as its service. A queue is of the
                services of one group.
            priority: Those with a higher one start first; -9 to 9.
            attempts_max: How often it may be started before it goes to the dead letters.
            backoff: Pauses between attempts.
            timeout: Seconds that one attempt may take.
            unique: Parameters whose values must differ from those of every unfinished one; True
                for all of them.
            unique_for: Seconds after one in which there is none with the same values.
            key: The parameter by which `key_concurrency` counts.
            key_concurrency: How many of the same key run at once.
            expires_after: Seconds after which it is no longer worth starting.
            repeatable: Whether running twice has the effect of once.
    """
    if function is not None:
        return Job[..., Any](function, JobOptions())
    return _Marker(given)


class _Marker:
    """What `@job(...)` makes of a method."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    @overload
    def __call__(
        self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
    ) -> Job[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Job[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        options = _options_from(function, self._given)
        _check(function.__qualname__, options)
        return Job[..., Any](function, options)


def _options_from(function: Callable[..., Any], given: dict[str, Any]) -> JobOptions:
    parameters = tuple(inspect.signature(function).parameters)[1:]
    unique = given.get("unique", ())
    options = JobOptions(
        name=given.get("name"),
        queue=given.get("queue"),
        priority=given.get("priority", 0),
        attempts_max=given.get("attempts_max", ATTEMPTS_MAX),
        backoff=given.get("backoff") or Backoff(),
        timeout_seconds=given.get("timeout"),
        unique=parameters if unique is True else tuple(unique or ()),
        unique_for_seconds=given.get("unique_for", 0.0),
        key=given.get("key"),
        key_concurrency=given.get("key_concurrency"),
        expires_after_seconds=given.get("expires_after"),
        repeatable=given.get("repeatable", False),
    )
    for name in (*options.unique, *([options.key] if options.key else [])):
        if name not in parameters:
            raise ServiceError(
                f"`{function.__qualname__}` has no parameter `{name}`",
                hint=f"Name one of {', '.join(parameters) or 'its parameters; it has none'}",
            )
    return options


def _check(shown: str, options: JobOptions) -> None:
    limit = options.key_concurrency
    for name, value, low, high in (
        ("priority", options.priority, -PRIORITY_MAX, PRIORITY_MAX),
        ("attempts_max", options.attempts_max, 1, 10_000),
        ("key_concurrency", limit, 1, CONCURRENCY_MAX),
        ("timeout", options.timeout_seconds, 0.001, 1e9),
        ("unique_for", options.unique_for_seconds, 0, 1e9),
        ("expires_after", options.expires_after_seconds, 0, 1e9),
    ):
        if value is not None and not low <= value <= high:
            raise ServiceError(
                f"`{name}` of `{shown}` is {value}", hint=f"Give it {low:g} to {high:g}"
            )
    if limit is not None and options.key is None:
        raise ServiceError(
            f"`{shown}` has `key_concurrency`, but no `key` to count by",
            hint="Name a parameter: `key=...`; a whole queue is limited in outgrow.toml",
        )


def _check_enqueue(shown: str, chosen: EnqueueOptions) -> None:
    if chosen.run_at is not None and chosen.run_at.tzinfo is None:
        raise ServiceError(
            f"`run_at` of {shown} has no time zone: {chosen.run_at}",
            hint="Give it one: `datetime.now(UTC)`, or `ZoneInfo(...)`",
        )
    if chosen.run_at is not None and chosen.delay_seconds is not None:
        raise ServiceError(f"{shown} has `run_at` and `delay_seconds`", hint="Give one of them")
    for name in ("delay_seconds", "expires_after_seconds"):
        seconds = getattr(chosen, name)
        if seconds is not None and not 0 <= seconds <= 1e9:
            raise ServiceError(f"`{name}` of {shown} is {seconds}", hint="Give it 0 to 1e9")
    if chosen.priority is not None and not -PRIORITY_MAX <= chosen.priority <= PRIORITY_MAX:
        raise ServiceError(f"`priority` of {shown} is {chosen.priority}", hint="Give it -9 to 9")
