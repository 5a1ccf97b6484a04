"""What a load test sends next, as somebody writes it down in Python: `outgrow verify --scenario`.

A scenario is a file with a function `visitor`. Each call of it is one visitor, who sends requests
one after the other and is told each answer before the next.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Request:
    """What a visitor sends.

    Attributes:
        path: With its query, from the first slash on.
        json: Sent as the body, where it is not None; `body` is not sent then.
    """

    method: str
    path: str
    body: bytes = b""
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if self.json is None else json_format.dumps(self.json).encode()


class Answer(Protocol):
    """What came back: only answers that came at all are told."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in small letters."""
        ...

    @property
    def body(self) -> bytes:
        """Its first megabyte."""
        ...

    def json(self) -> Any:
        """What the body says; `ValueError` where it is no JSON."""
        ...


Visitor = Callable[[Random], Generator[Request, Answer, None]]
"""One visitor, who draws by what is given, so that tests are alike."""
