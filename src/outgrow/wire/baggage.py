"""Small values that travel with every call: who asks, and for whom.

Only what is declared travels. Other context variables stay behind, as they would between machines.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from outgrow.errors import ServiceError
from outgrow.wire.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

OURS = ":"
TRACE = ":trace"  # what the trace travels by, beside the baggage
T = TypeVar("T")
_declared: dict[str, Baggage[Any]] = {}


class Baggage(Generic[T]):
    """One such value, declared once at the top of a module.

    Args:
        name: Unlike that of any other; it is its name between processes.
        kind: Its type; plain data.
    """

    def __init__(self, name: str, kind: type[T]) -> None:
        known = _declared.get(name)
        if known is not None and known.kind is not kind:
            raise ServiceError(
                f"the baggage `{name}` is declared twice, as {known.kind.__name__} and as "
                f"{kind.__name__}",
                hint="Declare it in one module and import it from there",
            )
        if name.startswith(OURS):
            raise ServiceError(
                f"the baggage `{name}` begins as what travels for outgrow itself",
                hint=f"Name it without the `{OURS}` in front",
            )
        self.name = name
        self.kind = kind
        self.codec = Codec(kind, f"the baggage `{name}`")
        self.variable: ContextVar[T | None] = (
            known.variable if known else ContextVar(name, default=None)
        )
        _declared[name] = self

    def get(self) -> T | None:
        """Its value here, None where nobody set it; a copy where it could be changed."""
        value = self.variable.get()
        return None if value is None else self.codec.crossed(value)

    @contextmanager
    def set(self, value: T) -> Generator[None]:
        """Give it a value for the calls made inside a `with` block.

        Raises:
            ValueMismatchError: The value is not of the declared type.
        """
        before = self.variable.get()
        self.variable.set(self.codec.crossed(value))
        try:
            yield
        finally:
            self.variable.set(before)


def packed_baggage() -> dict[str, bytes]:
    """All that is set here, as bytes by name."""
    if not _declared:
        return {}
    return {
        name: each.codec.encode(value)
        for name, each in _declared.items()
        if (value := each.variable.get()) is not None
    }


def unpack_baggage(packed: Mapping[str, bytes]) -> None:
    """Set what came from elsewhere; what is not declared here is left out."""
    for name, encoded in packed.items():
        each = _declared.get(name)
        if each is not None:
            each.variable.set(each.codec.decode(encoded))
