"""What turns plain classes into services: marks that are read later, when the program starts.

A mark changes nothing about how a class or a method works, so that a service can be made and called
in a test without any of us. What the marks mean is read by `describe`.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, dataclass_transform, overload

from outgrow.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

CALLS_MAX = 256
QUEUE_MAX = 256
THREADS_MAX = 16
SECONDS_MAX = 1e9

_services: list[weakref.ref[type]] = []
_providers: list[Callable[..., Any]] = []


@dataclass(frozen=True)
class ServiceOptions:
    """What `@service` was given.

    Attributes:
        name: Unlike that of any other service of the app; lower case.
        concurrent_calls_max: Calls that run at once; others wait.
        queue_max: Calls that wait; others are refused at once.
        threads_max: Threads for its `def` operations.
        names: Local names where the class was written, for annotations that are text.
    """

    name: str
    concurrent_calls_max: int = CALLS_MAX
    queue_max: int = QUEUE_MAX
    threads_max: int = THREADS_MAX
    names: Mapping[str, object] = dataclasses.field(default_factory=dict[str, object])


@dataclass(frozen=True)
class OperationOptions:
    """What `@operation` was given.

    Attributes:
        timeout_seconds: What a call may take at the most; None for what its caller allows.
        idempotent: Whether it may run twice with the effect of once.
        concurrent_calls_max: Calls of this operation that run at once; None to share the service's.
        queue_max: Calls of it that wait; None as for the service.
        hedge_after_seconds: How long a call waits before another process is asked as well; None
            where none ever is.
    """

    timeout_seconds: float | None = None
    idempotent: bool = False
    concurrent_calls_max: int | None = None
    queue_max: int | None = None
    hedge_after_seconds: float | None = None


class EnvironmentDefault:
    """The default of a field whose value comes from the environment."""

    def __init__(self, default: object, name: str | None, *, secret: bool) -> None:
        self.default = default
        self.name = name
        self.secret = secret


@overload
def service(cls: C, /) -> C: ...
@overload
def service(
    *,
    name: str | None = None,
    concurrent_calls_max: int = CALLS_MAX,
    queue_max: int = QUEUE_MAX,
    threads_max: int = THREADS_MAX,
) -> Callable[[C], C]: ...
@dataclass_transform(kw_only_default=True, eq_default=False)
def service(
    cls: type | None = None,
    /,
    *,
    name: str | None = None,
    concurrent_calls_max: int = CALLS_MAX,
    queue_max: int = QUEUE_MAX,
    threads_max: int = THREADS_MAX,
) -> Any:
    """Make a class a service: its fields are what it needs, its operations what others may call.

    The class becomes a dataclass whose fields are given by keyword.

    Args:
        cls: The class, where the decorator is written without parentheses.
        name: The service's name; the class's in lower case where None.
        concurrent_calls_max: Calls that run at once in one process; others wait.
        queue_max: Calls that wait; more are refused with `OverloadedError`.
        threads_max: Threads for `def` operations.
    """
    frame = cast("Any", sys)._getframe(1)
    names = dict(frame.f_locals) if frame.f_locals is not frame.f_globals else {}

    def marked(kind: Any) -> Any:
        _positive(kind, concurrent_calls_max=concurrent_calls_max, threads_max=threads_max)
        _defaults_from_outside(kind)
        made: Any = dataclass(kw_only=True, eq=False)(kind)
        options = ServiceOptions(
            name or kind.__name__.lower(), concurrent_calls_max, queue_max, threads_max, names
        )
        setattr(made, "__outgrow_service__", options)  # noqa: B010
        _services.append(weakref.ref(made))
        return made

    return marked if cls is None else marked(cls)


def _positive(kind: type, **limits: int) -> None:
    for name, value in limits.items():
        if value < 1:
            raise ServiceError(
                f"`{name}` of `{kind.__name__}` is {value}", hint="Give it 1 or more"
            )


def _defaults_from_outside(kind: type) -> None:
    """Have fields whose default stands for something else filled when the object is made."""
    for name, default in list(vars(kind).items()):
        if isinstance(default, EnvironmentDefault):
            setattr(kind, name, dataclasses.field(default_factory=_read(kind, name, default)))
        elif getattr(default, "__outgrow_option__", False):
            setattr(kind, name, dataclasses.field(default_factory=_refusal(kind, name, default)))


def _read(kind: type, name: str, default: EnvironmentDefault) -> Callable[[], object]:
    def read() -> object:
        from outgrow.model.described import describe

        return describe(kind).fields[name].from_environment(os.environ)

    setattr(read, "__outgrow_default__", default)  # noqa: B010
    return read


def _refusal(kind: type, name: str, option: object) -> Callable[[], object]:
    def refuse() -> NoReturn:
        raise TypeError(
            f"{kind.__name__}() needs `{name}`, which only a running app fills by itself"
        )

    setattr(refuse, "__outgrow_default__", option)  # noqa: B010
    return refuse


@overload
def operation(function: F, /) -> F: ...
@overload
def operation(
    *,
    timeout: float | None = None,
    idempotent: bool = False,
    hedge_after: float | None = None,
    concurrent_calls_max: int | None = None,
    queue_max: int | None = None,
) -> Callable[[F], F]: ...
def operation(
    function: Callable[..., Any] | None = None,
    /,
    *,
    timeout: float | None = None,
    idempotent: bool = False,
    hedge_after: float | None = None,
    concurrent_calls_max: int | None = None,
    queue_max: int | None = None,
) -> Any:
    """Let other services call this method, wherever they run.

    Args:
        function: The method, where the decorator is written without parentheses.
        timeout: Seconds that one call may take at the most, also where its caller allows more.
        idempotent: Whether it may run twice with the effect of once. Only then is it repeated
            where its answer was lost.
        hedge_after: Seconds after which a call to another process that has no answer yet is sent to
            a second one as well; the first answer counts. Only with `idempotent=True`.
        concurrent_calls_max: A limit of its own on calls at once, apart from its service's.
        queue_max: How many more calls may wait for that limit.
    """
    options = OperationOptions(
        timeout, idempotent, concurrent_calls_max, queue_max, hedge_after_seconds=hedge_after
    )

    def marked(method: F) -> F:
        _check_options(getattr(method, "__qualname__", repr(method)), options)
        if hedge_after is not None:
            _check_hedge(method, options)
        setattr(method, "__outgrow_operation__", options)  # noqa: B010
        return method

    return marked if function is None else marked(function)


def _check_options(shown: str, options: OperationOptions) -> None:
    for name, seconds in (
        ("timeout", options.timeout_seconds),
        ("hedge_after", options.hedge_after_seconds),
    ):
        # Not a number is neither more nor less than anything.
        if seconds is not None and not 0 < seconds <= SECONDS_MAX:
            raise ServiceError(
                f"`{name}` of `{shown}` is {seconds} s",
                hint=f"Give it more than 0 and at most {SECONDS_MAX:g} s, or leave it out",
            )
    calls_max = options.concurrent_calls_max
    if calls_max is not None and calls_max < 1:
        raise ServiceError(
            f"`concurrent_calls_max` of `{shown}` is {calls_max}", hint="Give it 1 or more"
        )


def _check_hedge(method: Callable[..., Any], options: OperationOptions) -> None:
    shown, timeout = getattr(method, "__qualname__", repr(method)), options.timeout_seconds
    hedge = options.hedge_after_seconds
    if inspect.isasyncgenfunction(method):
        raise ServiceError(
            f"`{shown}` is a stream, which cannot be asked for twice, but has `hedge_after`",
            hint="Leave `hedge_after` out",
        )
    if not options.idempotent:
        raise ServiceError(
            f"`{shown}` has `hedge_after`, but is not said to be idempotent",
            hint="Add `idempotent=True` if it may run twice with the effect of once",
        )
    if timeout is not None and hedge is not None and hedge >= timeout:
        raise ServiceError(
            f"`hedge_after` of `{shown}` is {hedge:g} s, when its `timeout` of {timeout:g} s is up",
            hint="Give it less than the timeout",
        )


def on_start(method: F) -> F:
    """Call this method before the service gets calls, after all that it needs has started."""
    setattr(method, "__outgrow_hook__", "start")  # noqa: B010
    return method


def on_stop(method: F) -> F:
    """Call this method after the service's last call, before what it needs is stopped."""
    setattr(method, "__outgrow_hook__", "stop")  # noqa: B010
    return method


@overload
def from_env(default: T, *, name: str | None = None, secret: bool = False) -> T: ...
@overload
def from_env(*, name: str | None = None, secret: bool = False) -> Any: ...
def from_env(default: Any = ..., *, name: str | None = None, secret: bool = False) -> Any:
    """A field whose value comes from the environment when its service is made.

    Args:
        default: The value where the variable is not set; without one, the variable must be.
        name: The variable; `SERVICE_FIELD` in capitals where None.
        secret: Whether the value is never shown.
    """
    return cast("Any", EnvironmentDefault(default, name, secret=secret))


def provides(function: F) -> F:
    """Make the values of fields that are no services by this function.

    It makes the values of exactly the type that it is annotated to return, one for each service
    that has such a field. It may be a `def`, an `async def`, or a generator of either kind that
    yields once: what follows the yield runs after the service has stopped.
    """
    _providers.append(function)
    return function


def all_services() -> list[type]:
    """Every class that was made a service so far, in order, while it exists."""
    found = [reference() for reference in _services]
    return [cls for cls in found if cls is not None]


def all_providers() -> list[Callable[..., Any]]:
    """Every function marked with `@provides` so far, in order."""
    return list(_providers)
