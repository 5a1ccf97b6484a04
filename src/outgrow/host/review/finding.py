"""What a review found: where, what, and one thing to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outgrow.errors import OutgrowError


@dataclass(frozen=True)
class Place:
    """A line of a file.

    Attributes:
        file: As people name it: from the current folder where it lies below that.
        line: From 1; 0 where no line can be named.
    """

    file: str
    line: int


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: Where.
        line: From 1.
        code: Of the error that it is, or that it would become.
        text: What is wrong, naming the thing; one line.
        hint: One thing to do.
    """

    file: str
    line: int
    code: str
    text: str
    hint: str = field(compare=False)


def finding(
    kind: type[OutgrowError], place: Place, text: str, *, hint: str | None = None
) -> Finding:
    """A finding with the code of an error, and with its hint where none is given."""
    return Finding(place.file, place.line, kind.code, text, kind.hint if hint is None else hint)


def finding_of(problem: OutgrowError, place: Place) -> Finding:
    """An error that was raised, as a finding."""
    text = " ".join(problem.text.split())
    return Finding(place.file, place.line, problem.code, text, problem.hint)
