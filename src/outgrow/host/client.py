"""What a caller holds: the operations and jobs of a service, and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from outgrow.errors import NotAnOperationError
from outgrow.model import BoundJob, Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.model import ServiceModel


def client_of(model: ServiceModel, entrances: Mapping[str, Any]) -> Any:
    """A client of one service: its operations, and its jobs to be enqueued.

    It passes for an object of the service's class, as type checkers believe it to be.

    Args:
        model: The service.
        entrances: What is called, by the operation's name.
    """
    operations = ", ".join(model.operations) or "none"
    jobs = _jobs_of(model.cls)
    shown = model.cls.__qualname__

    def missing(_self: object, name: str) -> Any:
        raise NotAnOperationError(
            f"`{name}` is not an operation of `{shown}`",
            hint=f"Mark it with `@operation`, or call one of: {operations}",
        )

    def refuse(_self: object, name: str, _value: object = None) -> None:
        raise NotAnOperationError(f"`{name}` of `{shown}` is another service's own, and is not set")

    def as_text(_self: object) -> str:
        return f"<client of {shown}>"

    def shown_class(_self: object) -> type:
        return model.cls

    members: dict[str, Any] = {
        "__slots__": (*entrances, *jobs),
        "__module__": model.module,
        "__doc__": model.cls.__doc__,
        "__getattr__": missing,
        "__class__": property(shown_class),
        "__repr__": as_text,
    }
    kind = type(f"{model.cls.__name__}Client", (), members)
    made = kind()
    for name, entrance in entrances.items():
        setattr(made, name, entrance)
    for name, job in jobs.items():
        setattr(made, name, BoundJob[..., Any](job.function, job.options, made))
    setattr(kind, "__setattr__", refuse)  # noqa: B010
    setattr(kind, "__delattr__", refuse)  # noqa: B010
    return made


def _jobs_of(cls: type) -> dict[str, Job[..., Any]]:
    """The jobs that stand in a class; whether they can run is asked when it starts."""
    found: dict[str, Job[..., Any]] = {}
    for owner in reversed(cls.__mro__):
        for name, member in vars(owner).items():
            found.pop(name, None)
            if isinstance(member, Job):
                found[name] = cast("Job[..., Any]", member)
    return found
