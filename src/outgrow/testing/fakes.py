"""Stand-ins for services, made of functions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from outgrow.errors import FakeError
from outgrow.model import describe

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")


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
