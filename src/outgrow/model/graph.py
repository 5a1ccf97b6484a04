"""Which services call which, in the order in which they can start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.errors import CycleError, NameTakenError
from outgrow.model.described import ServiceModel, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Graph:
    """Services and what they need.

    Attributes:
        services: By name; each after all that it needs.
    """

    services: Mapping[str, ServiceModel]

    def callers_of(self, name: str) -> tuple[str, ...]:
        """Names of the services that have a field of this one."""
        cls = self.services[name].cls
        return tuple(each.name for each in self.services.values() if cls in each.needs)


def graph_of(services: Iterable[type]) -> Graph:
    """These services and all that they need, directly or not.

    Raises:
        CycleError: Services need one another; says which fields make the circle.
        NotAServiceError: A class is no service.
        NameTakenError: Two services have one name.
    """
    found: dict[type, ServiceModel] = {}
    for cls in services:
        _visit(cls, found, [])
    by_name: dict[str, ServiceModel] = {}
    for model in found.values():
        other = by_name.setdefault(model.name, model)
        if other is not model:
            raise NameTakenError(
                f"two services have the name `{model.name}`: {_where(other)} and {_where(model)}",
                hint='Give one of them another: `@service(name="...")`',
            )
    return Graph(by_name)


def _where(model: ServiceModel) -> str:
    return f"{model.module}.{model.cls.__qualname__}"


def _visit(cls: type, found: dict[type, ServiceModel], path: list[tuple[type, str]]) -> None:
    if cls in found:
        return
    above = [one for one, _ in path]
    if cls in above:
        circle = path[above.index(cls) :]
        steps = [f"{one.__qualname__}.{field}" for one, field in circle]
        raise CycleError(f"services need one another: {' -> '.join(steps)} -> {cls.__qualname__}")
    model = describe(cls)
    for field in model.fields.values():
        if field.kind == "service":
            _visit(field.type, found, [*path, (cls, field.name)])
    found[cls] = model
