"""What a request may ask for: every parameter with its kind, its limits, and a clear refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["time", "integer", "number", "text", "hex", "word"]

DAYS_MAX = 32
LIMIT_MAX = 1000
TEXT_CHARACTERS_MAX = 200
_DAY_NS = 86_400 * 1_000_000_000
_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": _DAY_NS}
_AGO = re.compile(r"-(\d{1,9})([smhd])")


class AskingError(Exception):
    """A parameter is not understood, or asks for too much.

    Attributes:
        status: Of HTTP.
        text: What is wrong, naming the parameter.
        hint: One thing to do.
    """

    def __init__(self, text: str, hint: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of the query.

    Attributes:
        text: What it means.
        default: Where it is not given; None says that then nothing is asked of it.
        min: For numbers.
        max: For numbers; the most characters of a text.
        digits: Of a `hex`.
        words: That a `word` may be.
    """

    name: str
    kind: Kind
    text: str
    default: str | float | None = None
    min: float = 0
    max: float = TEXT_CHARACTERS_MAX
    digits: int = 32
    words: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """As OpenAPI says it."""
        found: dict[str, Any] = {"type": "string"}
        if self.kind in ("integer", "number"):
            found = {"type": self.kind, "minimum": self.min, "maximum": self.max}
        elif self.kind == "hex":
            found["pattern"] = f"^[0-9a-f]{{{self.digits}}}$"
        elif self.kind == "word":
            found["enum"] = list(self.words)
        elif self.kind == "text":
            found["maxLength"] = int(self.max)
        if self.default is not None:
            found["default"] = self.default
        return found

    def value_of(self, text: str, now_ns: int) -> int | float | str:
        """What a text means.

        Raises:
            AskingError: It means nothing, or is beyond the limits.
        """
        if self.kind == "time":
            return self._time(text, now_ns)
        if self.kind in ("integer", "number"):
            return self._number(text)
        if self.kind == "hex":
            return self._hex(text)
        if self.kind == "word" and text not in self.words:
            raise AskingError(
                f"`{self.name}` is `{text[:40]}`, which it cannot be",
                f"Say one of: {', '.join(self.words)}",
            )
        if len(text) > self.max:
            raise AskingError(
                f"`{self.name}` has {len(text)} characters", f"Take at most {self.max:.0f}"
            )
        return text

    def _time(self, text: str, now_ns: int) -> int:
        ago = _AGO.fullmatch(text)
        if ago:
            return now_ns - int(ago[1]) * _UNITS_NS[ago[2]]
        if text == "now":
            return now_ns
        if re.fullmatch(r"\d{1,15}(\.\d{1,6})?", text):
            return int(float(text) * 1e6)
        raise AskingError(
            f"`{self.name}` is `{text[:40]}`, which is no time",
            "Give milliseconds since 1970, `now`, or a time ago such as `-15m`, `-6h`, `-7d`",
        )

    def _number(self, text: str) -> int | float:
        is_whole = self.kind == "integer"
        if not re.fullmatch(r"-?\d{1,15}" if is_whole else r"-?\d{1,15}(\.\d{1,9})?", text):
            raise AskingError(
                f"`{self.name}` is `{text[:40]}`, which is no {'whole ' if is_whole else ''}number",
                f"Give a number from {self.min:g} to {self.max:g}",
            )
        value = int(text) if is_whole else float(text)
        if not self.min <= value <= self.max:
            raise AskingError(
                f"`{self.name}` is {text}, which is out of range",
                f"Give a number from {self.min:g} to {self.max:g}",
            )
        return value

    def _hex(self, text: str) -> str:
        if not re.fullmatch(rf"[0-9a-f]{{{self.digits}}}", text):
            raise AskingError(
                f"`{self.name}` is `{text[:40]}`, which is not {self.digits} hexadecimal digits",
                "Copy it from a trace, a log line or a `traceparent` header",
            )
        return text


PERIOD = (
    Parameter(name="from", kind="time", text="Beginning of the period", default="-15m"),
    Parameter(name="to", kind="time", text="End of the period", default="now"),
)


# What a forecast rests on: long enough to see the traffic vary, and all of it of late.
HISTORY = (
    Parameter(name="from", kind="time", text="Beginning of what is measured", default="-1h"),
    PERIOD[1],
)


def limit(default: int = 100) -> Parameter:
    """How many to answer at most."""
    text = "How many to answer at most"
    return Parameter(name="limit", kind="integer", text=text, default=default, min=1, max=LIMIT_MAX)


BEFORE = Parameter(name="before", kind="time", text="Only older ones; from the answer before")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that was understood.

    Attributes:
        values: By parameter; None where it was not given and has no default.
        name: From the path; empty where the path names nothing.
        body: What was sent, of the route's kind.
        who: Who asks.
        may_change: Whether they may ask for a change.
    """

    now_ns: int
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str = ""
    body: Any = None
    who: str = ""
    may_change: bool = False

    @property
    def from_ns(self) -> int:
        """Beginning of the period."""
        return self.values["from"]

    @property
    def to_ns(self) -> int:
        """End of the period."""
        return self.values["to"]

    @property
    def seconds(self) -> float:
        """Length of the period."""
        return (self.to_ns - self.from_ns) / 1e9

    def text(self, name: str) -> str:
        """A text; empty where none was given."""
        return self.values[name] or ""

    def number(self, name: str) -> float:
        """A number; 0 where none was given."""
        return self.values[name] or 0

    def whole(self, name: str) -> int:
        """A whole number; 0 where none was given."""
        return int(self.number(name))


def understood(
    parameters: tuple[Parameter, ...], query: Mapping[str, str], now_ns: int
) -> dict[str, Any]:
    """The value of each parameter.

    Raises:
        AskingError: One is unknown, wrong, or beyond its limits.
    """
    known = {parameter.name for parameter in parameters}
    for name in query:
        if name not in known:
            some = ", ".join(sorted(known)) or "none at all"
            raise AskingError(f"`{name[:40]}` is no parameter here", f"There are: {some}")
    values: dict[str, Any] = {}
    for parameter in parameters:
        text = query.get(parameter.name) or parameter.default
        values[parameter.name] = None if text is None else parameter.value_of(str(text), now_ns)
    if "from" in values:
        _check_period(cast("int", values["from"]), cast("int", values["to"]))
    return values


def _check_period(from_ns: int, to_ns: int) -> None:
    if from_ns >= to_ns:
        raise AskingError("`from` is not before `to`", "Exchange them, or leave `to` out")
    if to_ns - from_ns > DAYS_MAX * _DAY_NS:
        raise AskingError(
            f"from `from` to `to` are more than {DAYS_MAX} days", "Ask for a shorter period"
        )
