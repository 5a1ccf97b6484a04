"""What a pattern is: a change of the system, written as a change of its model.

A pattern that needs something the model cannot see (that a service keeps no state, that nobody uses
a result) says so in `needs`; whether it holds is for others to check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from outgrow.capacity.model import Model

Effort = Literal["setting", "placement", "code", "data"]
EFFORT_COST: dict[Effort, float] = {"setting": 0.2, "placement": 0.4, "code": 1.0, "data": 2.0}
"""In doublings of the limit that must be won to make it worth the while."""


class Pattern(Protocol):
    """A change that may move a limit."""

    @property
    def title(self) -> str:
        """What is done, to what."""
        ...

    @property
    def effort(self) -> Effort:
        """What must be touched."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """What must hold for it, and the model cannot see."""
        ...

    @property
    def assumes(self) -> str:
        """A number that was not measured and that its gain rests on; empty where there is none.

        Then it tells what would have to be, and no plan counts on it.
        """
        ...

    @property
    def workers(self) -> int:
        """Worker processes that it adds; negative where it saves some."""
        ...

    def applied(self, model: Model) -> Model:
        """The system after the change."""
        ...


@dataclass(frozen=True)
class Together:
    """Several patterns at once, one after the other.

    Attributes:
        patterns: In the order in which they are applied.
    """

    patterns: tuple[Pattern, ...]
    assumes: str = ""

    @property
    def title(self) -> str:
        """What is done."""
        return "; ".join(one.title for one in self.patterns)

    @property
    def effort(self) -> Effort:
        """The largest of them."""
        return max((one.effort for one in self.patterns), key=lambda one: EFFORT_COST[one])

    @property
    def needs(self) -> tuple[str, ...]:
        """Those of all."""
        return tuple(dict.fromkeys(need for one in self.patterns for need in one.needs))

    @property
    def workers(self) -> int:
        """Those that all add."""
        return sum(one.workers for one in self.patterns)

    def applied(self, model: Model) -> Model:
        """The system after all of them."""
        for one in self.patterns:
            model = one.applied(model)
        return model
