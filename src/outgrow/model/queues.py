"""What bounds a queue of jobs, as a setting has it: `mail: concurrency=8, slots=4, rate=100/60`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNT_MAX = 10_000
SECONDS_MAX = 86_400.0
_SHAPE = re.compile(r"(?P<name>[^:]+):(?P<limits>.+)")
_RATE = re.compile(r"(?P<count>\d+)/(?P<seconds>\d+(\.\d+)?)")
_HINT = "Write it as `mail: concurrency=8, slots=4, rate=100/60`, any of the three"


@dataclass(frozen=True, kw_only=True)
class QueueBounds:
    """What bounds one queue; None where nothing does.

    Attributes:
        concurrency: How many of its jobs run at once, over all machines.
        slots: How many run at once in one worker.
        rate_count: How many may start in `rate_seconds`, over all machines.
        rate_seconds: In which time.
    """

    concurrency: int | None = None
    slots: int | None = None
    rate_count: int | None = None
    rate_seconds: float = 1.0


def queue_bounds(texts: Iterable[str]) -> dict[str, QueueBounds]:
    """The bounds of each queue that is named.

    Raises:
        SettingValueError: One is not understood, or a queue is named twice.
    """
    found: dict[str, QueueBounds] = {}
    for text in texts:
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            raise _wrong(text, "it names no limit")
        name = shape["name"].strip()
        if name in found:
            raise _wrong(text, f"`{name}` is named twice")
        found[name] = _bounds(text, shape["limits"])
    return found


def _bounds(text: str, limits: str) -> QueueBounds:
    given: dict[str, int | float] = {}
    for part in limits.split(","):
        what, _, value = (each.strip() for each in part.partition("="))
        rate = _RATE.fullmatch(value)
        if what in ("concurrency", "slots") and value.isdigit():
            given[what] = _counted(text, what, int(value))
        elif what == "rate" and rate is not None:
            given["rate_count"] = _counted(text, what, int(rate["count"]))
            given["rate_seconds"] = float(rate["seconds"])
        else:
            raise _wrong(text, f"`{part.strip()}` is no limit")
    if not 0 < given.get("rate_seconds", 1.0) <= SECONDS_MAX:
        raise _wrong(text, f"the time of its rate is not within 0 and {SECONDS_MAX:g} s")
    return QueueBounds(**given)  # type: ignore[arg-type]


def _counted(text: str, what: str, count: int) -> int:
    if not 1 <= count <= COUNT_MAX:
        raise _wrong(text, f"`{what}` is not within 1 and {COUNT_MAX}")
    return count


def _wrong(text: str, why: str) -> SettingValueError:
    return SettingValueError(f"`queue` cannot be `{text}`: {why}", hint=_HINT)
