"""Whether so much traffic is borne: what is asked by `outgrow verify --at`, and the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outgrow.cli.show import ms_shown
from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.capacity import Step
    from outgrow.cli.loading import Found

_ASKED = re.compile(r"(\d+(?:\.\d+)?)(x|/s)")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Traffic that is asked about.

    Attributes:
        words: As people say it.
    """

    per_second: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Bearing:
    """The answer.

    Attributes:
        is_borne: Nearly all was served, within the objectives; None where that is not known.
        sentence: The answer in words.
    """

    asked: Asked
    is_borne: bool | None
    sentence: str

    @property
    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "per_second": self.asked.per_second,
            "is_borne": self.is_borne,
            "sentence": self.sentence,
        }


def asked_of(text: str, now_per_second: float) -> Asked:
    """What `--at` asks about.

    Args:
        text: `3x` for three times the traffic of now, or `120/s`.
        now_per_second: That traffic.

    Raises:
        SettingValueError: It is neither.
    """
    seen = _ASKED.fullmatch(text.strip())
    if seen is None or not (amount := float(seen[1])):
        raise SettingValueError(
            f"`--at {text}` is no amount of traffic",
            hint="Write 3x for three times the traffic of now, or 120/s for requests a second",
        )
    if seen[2] == "/s":
        return Asked(per_second=amount, words=f"{amount:g} requests/s")
    rate = amount * now_per_second
    return Asked(
        per_second=rate, words=f"{amount:g} times the traffic of now, {rate:,.1f} requests/s"
    )


def bearing(
    asked: Asked, found: Found, routes: Sequence[str], objectives: Iterable[dict[str, Any]]
) -> Bearing:
    """Whether it was borne.

    Args:
        asked: What was asked.
        found: The load test.
        routes: Kinds of what was sent.
        objectives: As the API tells them; those on the time of a route that was sent to count.
    """
    last = found.steps[-1]
    if found.end == "limit":
        full = found.told["first_measured"]
        said = f"of {last.sent_per_second:,.1f}/s that were sent {last.good_per_second:,.1f}/s were"
        said += " served" + (f", and `{full}` was full" if full else "")
        return Bearing(asked=asked, is_borne=False, sentence=f"{_NOT} {asked.words}: {said}.")
    if found.end != "bound":
        sentence = f"It is not known whether the app bears {asked.words}."
        return Bearing(asked=asked, is_borne=None, sentence=sentence)
    if broken := _broken(last, routes, objectives):
        return Bearing(asked=asked, is_borne=False, sentence=f"{_NOT} {asked.words}: {broken}.")
    p99_ms = 1e3 * last.p99_seconds
    said = f"{last.good_per_second:,.1f}/s were served, {last.bad} badly, p99 {ms_shown(p99_ms)} ms"
    return Bearing(asked=asked, is_borne=True, sentence=f"It bears {asked.words}: {said}.")


_NOT = "It does not bear"


def _broken(step: Step, routes: Sequence[str], objectives: Iterable[dict[str, Any]]) -> str:
    """The first objective that was not kept, in words; empty where all were."""
    for one in objectives:
        if one["latency_ms"] is None or one["operation"] not in routes:
            continue
        kind, goal = routes.index(one["operation"]), one["goal_percent"]
        took_ms = 1e3 * step.quantile_seconds(kind, goal / 100)
        if took_ms > one["latency_ms"]:
            return (
                f"all were served, but {goal:g} % of `{one['operation']}` took up to "
                f"{ms_shown(took_ms)} ms, and {ms_shown(one['latency_ms'])} are promised"
            )
    return ""
