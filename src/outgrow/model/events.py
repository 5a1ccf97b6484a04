"""Events: facts in the past tense that services publish, and the methods that receive them."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeVar, cast, dataclass_transform, overload

from outgrow.errors import ServiceError
from outgrow.model.retry import Backoff

F = TypeVar("F", bound=Callable[..., Any])

ATTEMPTS_MAX = 5

_events: list[weakref.ref[type[Event]]] = []


@dataclass(frozen=True)
class EventOptions:
    """What the header of an event's class was given.

    Attributes:
        name: The topic; stays when the class is renamed, if it is given.
        key: The field by which events are kept in order; None for no order.
    """

    name: str
    key: str | None


@dataclass(frozen=True)
class SubscriptionOptions:
    """What `@subscribe` was given.

    Attributes:
        name: By which its cursor is found again; of the service and the method where None.
        start: Where it begins when it is new.
        attempts_max: How often an event is tried.
        backoff: Pauses between attempts.
        timeout_seconds: What one attempt may take; None for any time.
        repeatable: Whether handling an event twice has the effect of once, so that blocks of
            `begin()` need not be kept from running again.
    """

    name: str | None = None
    start: Literal["beginning", "end"] | datetime = "end"
    attempts_max: int = ATTEMPTS_MAX
    backoff: Backoff = field(default_factory=Backoff)
    timeout_seconds: float | None = None
    repeatable: bool = False


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,)
)
class Event:
    """A fact that others may want to know of; its fields are given by name and never change.

        class OrderPlaced(Event, key="order_id"):
            order_id: int
            sku: str

    Events whose key is the same are handled one at a time, in the order of their commits, by each
    subscription. Without a key there is no order.
    """

    __outgrow_event__: ClassVar[EventOptions]

    def __init_subclass__(cls, *, name: str | None = None, key: str | None = None) -> None:
        """Make the class a dataclass.

        Args:
            name: The topic; the class's name where None. To rename the class, name the old one.
            key: The field that is the key; as in the class above it where None.
        """
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)
        above: EventOptions | None = getattr(cls, "__outgrow_event__", None)
        key = key or (above.key if above else None)
        names = {one.name for one in dataclasses.fields(cast("Any", cls))}
        if key is not None and key not in names:
            raise ServiceError(
                f"`{cls.__name__}` has no field `{key}` that could be its key",
                hint=f"Name one of {', '.join(sorted(names)) or 'its fields; it has none'}",
            )
        cls.__outgrow_event__ = EventOptions(name or cls.__name__, key)
        _events.append(weakref.ref(cls))


def options_of_event(kind: type[Event]) -> EventOptions:
    """What the header of an event's class says."""
    return kind.__outgrow_event__


def key_of_event(event: Event) -> str | None:
    """The key of an event, as text; None where it has none."""
    key = event.__outgrow_event__.key
    value = getattr(event, key) if key is not None else None
    return None if value is None else str(value)


def all_events(modules: Container[str] | None = None) -> list[type[Event]]:
    """Every class of events so far, in order, while it exists.

    Args:
        modules: Names of modules, to leave out those of others.

    Raises:
        ServiceError: Two have the same name.
    """
    found: dict[str, type[Event]] = {}
    for reference in _events:
        kind = reference()
        if kind is None or (modules is not None and kind.__module__ not in modules):
            continue
        other = found.setdefault(kind.__outgrow_event__.name, kind)
        if other is not kind and (other.__module__, other.__qualname__) != (
            kind.__module__,
            kind.__qualname__,
        ):
            raise ServiceError(
                f"`{other.__module__}.{other.__qualname__}` and "
                f"`{kind.__module__}.{kind.__qualname__}` are both the event "
                f"`{kind.__outgrow_event__.name}`",
                hint='Give one of them another name: `class ...(Event, name="...")`',
            )
        found[kind.__outgrow_event__.name] = kind  # anew where its module was imported again
    return list(found.values())


def events_named(name: str) -> list[type[Event]]:
    """The classes of events with this name, the last that was written first."""
    kinds = [kind for reference in reversed(_events) if (kind := reference()) is not None]
    return [kind for kind in kinds if kind.__outgrow_event__.name == name]


def has_events() -> bool:
    """Whether any class of events is there."""
    return any(reference() is not None for reference in _events)


@overload
def subscribe(function: F, /) -> F: ...
@overload
def subscribe(
    *,
    name: str | None = None,
    start: Literal["beginning", "end"] | datetime = "end",
    attempts_max: int = ATTEMPTS_MAX,
    backoff: Backoff | None = None,
    timeout: float | None = None,
    repeatable: bool = False,
) -> Callable[[F], F]: ...
def subscribe(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    start: Literal["beginning", "end"] | datetime = "end",
    attempts_max: int = ATTEMPTS_MAX,
    backoff: Backoff | None = None,
    timeout: float | None = None,
    repeatable: bool = False,
) -> Any:
    """Have this method receive every event of the type of its one parameter, at least once.

    Args:
        function: The method, where the decorator is written without parentheses.
        name: By which its cursor is found again; give it before you rename the method.
        start: Where it begins when it is new: with what comes from now on, with all there is, or
            with what came at this time or later; that has a time zone.
        attempts_max: How often an event is tried before it goes to the dead letters.
        backoff: Pauses between attempts.
        timeout: Seconds that one attempt may take.
        repeatable: Whether handling an event twice has the effect of once.
    """
    options = SubscriptionOptions(
        name, start, attempts_max, backoff or Backoff(), timeout, repeatable
    )

    def marked(method: F) -> F:
        if attempts_max < 1:
            shown = getattr(method, "__qualname__", repr(method))
            raise ServiceError(
                f"`attempts_max` of `{shown}` is {attempts_max}", hint="Give it 1 or more"
            )
        if isinstance(start, datetime) and start.tzinfo is None:
            shown = getattr(method, "__qualname__", repr(method))
            raise ServiceError(
                f"`start` of `{shown}` has no time zone: {start}",
                hint="Give it one: `datetime(2026, 3, 1, tzinfo=UTC)`",
            )
        setattr(method, "__outgrow_subscription__", options)  # noqa: B010
        return method

    return marked if function is None else marked(function)
