"""An app as a whole, for those who want to name it: its services, providers and edges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class App:
    """Services that belong together.

    Attributes:
        name: For people.
        services: The classes; what they need comes with them.
        providers: Functions as for `@provides`, which come before all that are marked so.
        edges: Import strings of the ASGI and WSGI apps through which outsiders enter, by name.
    """

    name: str = "app"
    services: Sequence[type]
    providers: Sequence[Callable[..., Any]] = ()
    edges: Mapping[str, str] = field(default_factory=dict[str, str])
