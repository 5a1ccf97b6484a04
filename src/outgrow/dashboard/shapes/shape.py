"""What all answers have in common, and those that several are made of."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused.

    Attributes:
        text: What is wrong, naming the parameter or the thing.
        hint: One thing to do; may be empty.
    """

    text: str
    hint: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What happened at a moment: a deploy, a move of a service, a change by somebody.

    Attributes:
        kind: Such as `deploy`, `placement` or `audit`.
    """

    at_ms: float
    kind: str
    text: str


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What was marked in a period, oldest first."""

    marks: list[Mark]


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """A number and how sure it is: 90 of 100 draws lie from `low` to `high`."""

    best: float
    low: float
    high: float
