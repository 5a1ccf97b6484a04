"""What was measured, in words: a load test beside its forecast, and the numbers of a sign."""

from __future__ import annotations

import os
import time
from typing import Any

DISTURBED_RATIO = 0.1
"""Others that take this part of the cores make a test say little."""
DAY_SECONDS = 86_400


def is_disturbed(others_cores: float) -> bool:
    """Whether others took so many of the cores that a load test says little."""
    return others_cores > DISTURBED_RATIO * (os.cpu_count() or 1)


def verdict(told: dict[str, Any]) -> list[str]:
    """A load test beside its forecast, in words."""
    first = " or ".join(f"`{name}`" for name in told["first_foretold"])
    lines = [f"foretold: {first} at {interval(told['foretold'])} requests/s"]
    measured = interval(told["measured"])
    if not told["is_reached"]:
        lines.append(f"measured: {measured} requests/s were borne, and the limit was not reached")
        if told["is_held"] is False:
            lines.append("That is more than was foretold: the forecast did not hold.")
        return lines
    binds = f"`{told['first_measured']}` " if told["first_measured"] else ""
    lines.append(f"measured: {binds}at {measured} requests/s")
    if told["is_held"] is None and not is_disturbed(told["others_cores"]):
        lines.append(
            f"{told['mix_off_percent']:.0f} % of what was sent went to other routes than before: "
            "the forecast is of another mix."
        )
        return lines
    if told["is_held"] is None:
        lines.append(
            f"Others took {told['others_cores']:.1f} cores meanwhile: less than was foretold says "
            "little then, verify again in a quieter time."
        )
        return lines
    way = "above" if told["error_percent"] > 0 else "below"
    held = "The forecast held" if told["is_held"] else "The forecast did not hold"
    lines.append(f"{held}: it was {abs(told['error_percent']):.0f} % {way} what was measured.")
    return lines


def interval(one: dict[str, float]) -> str:
    """A number with how sure it is."""
    return f"{one['best']:,.0f} ({one['low']:,.0f} to {one['high']:,.0f})"


def gain_in_words(one: dict[str, Any]) -> str:
    """What a change brings."""
    gain = one["gain"]
    return (
        f"{gain['best']:.1f} times ({gain['low']:.1f} to {gain['high']:.1f}), "
        f"{interval(one['after'])} requests/s"
    )


def applied_in_words(one: dict[str, Any]) -> str:
    """A plan that was carried out, and what came of it, in one line."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one["at_ms"] / 1e3))
    line = f"applied {when}, {one['what']}: foretold {gain_in_words(one['foretold'])}"
    measured = one["measured"]
    if measured is None:
        return f"{line}; {one['note']}"
    gain = measured["gain"]
    word = "held" if measured["is_held"] else "did not hold"
    over = "" if one["is_in_force"] else "; no longer in force"
    return (
        f"{line}; by {measured['by']} since: {gain['best']:.1f} times ({gain['low']:.1f} to "
        f"{gain['high']:.1f}), {interval(measured['knee'])} requests/s, "
        f"`{measured['first']}` first: {word}{over}"
    )


def age(at_ms: float, now_ms: float) -> str:
    """How long ago a moment was, for people."""
    seconds = max(now_ms - at_ms, 0.0) / 1e3
    for name, length in (("day", DAY_SECONDS), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds / length)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def learned(rung: dict[str, Any]) -> str:
    """What load tests have taught of a limit, in one line; empty where nothing was learned."""
    found = rung["learned"]
    if found is None or not found["tests"]:
        return ""
    tests = "1 load test" if found["tests"] == 1 else f"{found['tests']} load tests"
    shift = found["shift_percent"]
    moved = f"{abs(shift):.0f} % {'more' if shift > 0 else 'less'} than the model alone says"
    return (
        f"`{rung['station']}` is corrected by {tests}: {moved}, and what no evidence shows is "
        f"drawn {found['width_ratio']:.1f} times as wide"
    )


def last_verified(one: dict[str, Any]) -> str:
    """The last load test in one line."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one["to_ms"] / 1e3))
    line = f"last verified {when}, {age(one['to_ms'], time.time() * 1e3)}: "
    line += f"foretold {interval(one['foretold'])}, measured "
    line += (
        interval(one["measured"])
        if one["is_reached"]
        else f"at least {one['measured']['best']:,.0f}"
    )
    if one["first_measured"]:
        as_foretold = one["first_measured"] in one["first_foretold"]
        line += f", `{one['first_measured']}` first" + (", as foretold" if as_foretold else "")
    unknown = "others kept the machine busy" if one["is_reached"] else "the limit was not reached"
    word = {True: "held", False: "did not hold", None: unknown}
    return f"{line}: {word[one['is_held']]}"


_UNITS = {"ms": " ms", "seconds": " s", "percent": " %", "bytes": " bytes", "count": ""}


def numbers(told: dict[str, float]) -> str:
    """The numbers of a sign, such as `mean 3.1 ms, runs 600`."""
    return ", ".join(_number(name, value) for name, value in told.items())


def _number(name: str, value: float) -> str:
    words, _, unit = name.rpartition("_")
    if unit not in _UNITS or not words:
        words, unit = name, "count"
    shown = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"
    return f"{words.replace('_', ' ')} {shown}{_UNITS[unit]}"
