"""A forecast as one file of HTML, to be sent to somebody: it loads nothing, and runs nothing."""

from __future__ import annotations

import re
import time
from html import escape
from typing import TYPE_CHECKING, Any

from outgrow.cli.costs_shown import bill_in_words
from outgrow.cli.verdict import interval, last_verified, learned, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH, HEIGHT = 760, 240
_LEFT, _BOTTOM = 64, 22
TOP_RATIO = 2.5
"""The axis of times ends at so many times p99 where four fifths of the limit are reached."""
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; } caption { text-align: left; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid; } td.n, th.n { text-align: right; }
code { font-family: ui-monospace, monospace; font-size: .92em; } .note { opacity: .75; }
svg { max-width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; }
.mean { stroke: #1f8bb0; } .p99 { stroke: #c4601f; } .mean, .p99 { fill: none; stroke-width: 2; }
.area { opacity: .18; } .limit { fill: #b3261e; opacity: .15; } .axis { stroke: currentColor; }
"""


def report(
    app: str,
    told: dict[str, Any],
    curve: dict[str, Any],
    plan: dict[str, Any],
    signs: dict[str, Any],
    costs: dict[str, Any],
) -> str:
    """The whole file; each argument as the API tells it."""
    body = [
        f"<h1>{_text(app)}: growth</h1>",
        f"<p><b>{_words(told['sentence'])}</b></p>",
        f'<p class="note">{_text(_basis(told))}</p>',
        "<h2>Limits in the order in which they bind</h2>",
        _ladder(told),
        f"<h2>How long calls of {_words('`' + curve['operation'] + '`')} take</h2>",
        _curve(curve["points"], told),
        f"<h2>A plan for {plan['times']:g} times</h2>",
        f"<p>{_words(plan['sentence'])}</p>",
        _steps(plan),
        _ways(plan),
        "<h2>Costs</h2>",
        _costs(costs),
        "<h2>Signs</h2>",
        _signs(signs),
        "<h2>How forecasts have held</h2>",
        *(f"<p>{_words(last_verified(one))}</p>" for one in told["record"]),
        f"<p>{_words(learned(told['ladder'][0]))}</p>",
        "" if told["record"] else "<p>None was verified yet: <code>outgrow verify</code></p>",
    ]
    head = f'<meta charset="utf-8"/><title>{_text(app)}: growth</title><style>{_STYLE}</style>'
    head += '<meta name="viewport" content="width=device-width"/>'
    whole = "\n".join(body)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{whole}</body></html>\n'


def _text(text: str) -> str:
    return escape(text)


def _words(text: str) -> str:
    """A sentence of the API: what stands between backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _basis(told: dict[str, Any]) -> str:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(told["to_ms"] / 1e3))
    return (
        f"Measured until {made}: {told['windows']} windows of 10 s at "
        f"{told['now_per_second']:.1f} requests/s. 90 of 100 draws lie in each interval. "
        f"{told['unmeasured_percent']:.0f} % of the time of calls passes where nothing is measured."
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: set[str]) -> str:
    """Rows of HTML; those of numbers go to the right."""

    def cell(tag: str, name: str, content: str) -> str:
        mark = ' class="n"' if name in numbers else ""
        return f"<{tag}{mark}>{content}</{tag}>"

    head = "".join(cell("th", name, _text(name)) for name in headings)
    lines = [
        "".join(cell("td", name, content) for name, content in zip(headings, row, strict=True))
        for row in rows
    ]
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _ladder(told: dict[str, Any]) -> str:
    headings = ("Limit", "Load now", "Binds at, requests/s", "Times now", "First", "What moves it")
    rows = [
        (
            _text(rung["station"]) + (" <b>binds</b>" if rung["binds"] else ""),
            f"{rung['load_percent']:.1f} %",
            interval(rung["calls_per_second"]),
            f"{rung['headroom']['best']:.1f}",
            f"{rung['first_percent']:.0f} %",
            _words(rung["pattern"]["how"] if rung["pattern"] else rung["by_hand"]),
        )
        for rung in told["ladder"]
    ]
    return _table(headings, rows, set(headings[1:5]))


def _steps(plan: dict[str, Any]) -> str:
    if not plan["steps"]:
        return ""
    lines = [
        f"<li>{_words(step['pattern']['title'])}: {_words(step['pattern']['how'])}"
        f'<br/><span class="note">bears {interval(step["knee_after"])} requests/s then</span></li>'
        for step in plan["steps"]
    ]
    return f"<ol>{''.join(lines)}</ol>"


def _ways(plan: dict[str, Any]) -> str:
    """Every pattern by itself, the best first."""
    if not plan["ways"]:
        return ""
    headings = (
        "Ways, each by itself",
        "Effort",
        "Gain",
        "Bears, requests/s",
        "Then binds",
        "Needs",
    )
    rows = [
        (
            _words(way["title"]) + f'<br/><span class="note">{_words(way["how"])}</span>',
            _text(way["effort"]),
            _gain(way["gain"]),
            interval(way["after"]),
            _text(way["first_after"]),
            _words("; ".join([*way["needs"], *filter(None, [way["assumes"]])])),
        )
        for way in plan["ways"]
    ]
    return _table(headings, rows, {"Gain", "Bears, requests/s"})


def _costs(costs: dict[str, Any]) -> str:
    """What each request takes, and what a month does."""
    headings = ("Service", "CPU ms/request", "Database ms/request", "Worker hours/million", "Share")
    rows = [
        (
            _text(one["name"]),
            f"{one['cpu_ms']:.2f}",
            f"{one['database_ms']:.2f}",
            f"{one['worker_hours_per_million']:.1f}",
            f"{one['share_percent']:.0f} %",
        )
        for one in [*costs["services"], costs["whole"]]
    ]
    bills = "".join(f"<p>{_text(bill_in_words(one, costs))}</p>" for one in costs["bills"])
    return _table(headings, rows, set(headings[1:])) + bills


def _gain(one: dict[str, float]) -> str:
    return f"{one['best']:.1f} ({one['low']:.1f} to {one['high']:.1f})"


def _note(text: str) -> str:
    return f'<br/><span class="note">{_text(text)}</span>' if text else ""


def _signs(signs: dict[str, Any]) -> str:
    if not signs["signs"]:
        return f"<p>None; {len(signs['missing'])} could not be looked for.</p>"
    rows = [
        (
            _text(one["sign"]),
            _text(one["subject"]),
            f"{one['gain']:.1f}" if one["gain"] else "",
            _words(one["text"]) + _note(numbers(one["numbers"])),
        )
        for one in signs["signs"]
    ]
    return _table(("Sign", "Where", "Gain", "Evidence"), rows, {"Gain"})


def _curve(points: Sequence[dict[str, Any]], told: dict[str, Any]) -> str:
    """Mean and p99 by load, with areas for how sure they are."""
    knee = told["saturation_per_second"]
    right = 1.05 * knee["high"]
    top = TOP_RATIO * points[int(len(points) * 0.8)]["p99_ms"]["best"] if points else 0.0
    if not top:
        return "<p>There is no curve.</p>"

    def x(rate: float) -> float:
        return _LEFT + rate / right * (WIDTH - _LEFT)

    def y(ms: float) -> float:
        return (1 - min(ms / top, 1.0)) * (HEIGHT - _BOTTOM)

    def line(name: str, part: str) -> list[str]:
        return [f"{x(one['calls_per_second']):.1f},{y(one[name][part]):.1f}" for one in points]

    drawn = [
        f'<rect class="limit" x="{x(knee["low"]):.1f}" y="0" height="{HEIGHT - _BOTTOM}" '
        f'width="{x(knee["high"]) - x(knee["low"]):.1f}"/>'
    ]
    for name, style in (("p99_ms", "p99"), ("mean_ms", "mean")):
        area = " ".join([*line(name, "low"), *reversed(line(name, "high"))])
        drawn.append(f'<polygon class="area" points="{area}"/>')
        drawn.append(f'<polyline class="{style}" points="{" ".join(line(name, "best"))}"/>')
    for part in (0.0, 0.5, 1.0):
        drawn.append(f'<text x="0" y="{max(y(part * top), 10):.0f}">{part * top:,.0f} ms</text>')
        drawn.append(
            f'<text x="{min(x(part * right), WIDTH - 40):.0f}" y="{HEIGHT - 6}">'
            f"{part * right:,.0f}/s</text>"
        )
    drawn.append(f'<path class="axis" d="M{_LEFT} 0V{HEIGHT - _BOTTOM}H{WIDTH}" fill="none"/>')
    told_too = _table(
        ("requests/s", "mean ms", "p99 ms"),
        [
            tuple(
                f"{number:,.0f}"
                for number in (
                    one["calls_per_second"],
                    one["mean_ms"]["best"],
                    one["p99_ms"]["best"],
                )
            )
            for one in points[::4]
        ],
        {"requests/s", "mean ms", "p99 ms"},
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Time of calls by load, as in '
        f'the table below">{"".join(drawn)}</svg>'
        '<p class="note">Blue: the mean; orange: p99; dyed: where the first limit binds.</p>'
        + told_too
    )
