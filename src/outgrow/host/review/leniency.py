"""Importing an app although its services are wrong, so that all that is wrong can be told.

`client` and `uses` look at a service when a module is imported, and raise the first thing that is
wrong with it. While an app is imported for a review they take what can be read instead.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from outgrow.errors import ServiceError
from outgrow.host import house
from outgrow.host.review.sketch import sketch_of
from outgrow.model import Graph, Operation, OperationOptions, ServiceModel, ServiceOptions, describe

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


@contextlib.contextmanager
def lenient_clients() -> Generator[None]:
    """Let clients be made of services that are wrong, and of classes that are none."""
    strict = house.describe, house.graph_of
    house.describe, house.graph_of = _readable, _no_graph
    try:
        yield
    finally:
        house.describe, house.graph_of = strict


def _no_graph(services: Iterable[type]) -> Graph:
    return Graph({})


def _readable(cls: type) -> ServiceModel:
    try:
        return describe(cls)
    except ServiceError:
        options = getattr(cls, "__outgrow_service__", None) or ServiceOptions(cls.__name__.lower())
    operations: dict[str, Operation] = {}
    if "__outgrow_service__" in cls.__dict__:
        sketch = sketch_of(cls)
        operations |= sketch.operations
        operations |= {name: _any_operation(cls, name) for name in sketch.parts}
    return ServiceModel(
        cls=cls,
        name=options.name,
        module=cls.__module__,
        operations=operations,
        fields={},
        starts=(),
        stops=(),
        options=options,
    )


def _any_operation(cls: type, name: str) -> Operation:
    """In the place of an operation that cannot be read: nobody calls it during an import."""
    function: Any = getattr(cls, name)
    return Operation(
        service=cls.__name__.lower(),
        owner=cls.__qualname__,
        name=name,
        function=function,
        kind="async",
        parameters=(),
        result=None,
        options=OperationOptions(),
    )
