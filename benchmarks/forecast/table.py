"""The table that issue and docs quote: what was promised, beside what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.forecast.score import Score, median_error

Told = Callable[[list[Score]], str]


def table(scores: Sequence[Score]) -> str:
    lines = ["Simulated systems: no measurement of real ones is in this table.", ""]
    titles = {
        "tuned": "tuned on",
        "apart": "kept apart",
    }
    parts = {title: [one for one in scores if one.part == key] for key, title in titles.items()}
    for title, part in parts.items():
        if part:
            lines += [*_part(title, part), ""]
    return "\n".join(lines)


def _part(title: str, scores: list[Score]) -> list[str]:
    names = {one.scenario for one in scores}
    near = [one for one in scores if not one.refused and one.load > 0.10]
    far = [one for one in scores if not one.refused and one.load <= 0.10]
    refused = sum(bool(one.refused) for one in scores)
    seeds, loads = len({one.seed for one in scores}), len({one.load for one in scores})
    head = f"{title}: {len(names)} scenarios, loads x seeds: {loads} x {seeds}, "
    head += f"{len(scores)} forecasts, {refused} refused"
    lines = [head, f"{'':48}{'from <= 25 %':>14}{'aim':>10}{'from <= 10 %':>14}{'aim':>10}"]
    for label, told, aim_near, aim_far in _ROWS:
        cells = [told(part) if part else "-" for part in (near, far)]
        lines.append(f"{label:48}{cells[0]:>14}{aim_near:>10}{cells[1]:>14}{aim_far:>10}")
    return lines


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _clustered(part: list[Score], field: str) -> str:
    """Share of intervals that hold the truth: mean over scenarios of their own shares."""
    names = sorted({one.scenario for one in part})
    shares = [np.mean([getattr(one, field) for one in part if one.scenario == n]) for n in names]
    return _percent(float(np.mean(shares)))


def _error(field: str, quantile: float) -> Told:
    return lambda part: _percent(median_error([getattr(one, field) for one in part], quantile))


def _width(field: str) -> Told:
    return lambda part: f"{np.median([getattr(one, field) for one in part]):.2f}"


def _share(field: str) -> Told:
    return lambda part: _percent(float(np.mean([getattr(one, field) for one in part])))


_ROWS: tuple[tuple[str, Told, str, str], ...] = (
    ("saturation, median error", _error("ratio", 0.5), "5 %", "10 %"),
    ("saturation, 90 in 100 errors below", _error("ratio", 0.9), "15 %", "25 %"),
    ("first limit right", _share("is_first_right"), "95 %", ""),
    ("90 % interval holds it, by scenario", lambda p: _clustered(p, "is_covered"), "85-95 %", ""),
    ("median width of the interval, p95/p5", _width("width"), "1.5", "2"),
    ("knee by objective, median error", _error("knee_ratio", 0.5), "5 %", "10 %"),
    ("knee by objective, 90 in 100 errors below", _error("knee_ratio", 0.9), "15 %", "25 %"),
    (
        *("90 % interval holds it, by scenario", lambda p: _clustered(p, "knee_is_covered")),
        *("85-95 %", ""),
    ),
    ("median width of the interval, p95/p5", _width("knee_width"), "1.5", "2"),
    ("mean time at 0.85 of saturation, median error", _error("mean_ratio", 0.5), "25 %", ""),
    ("90 % interval holds it", lambda p: _clustered(p, "mean_is_covered"), "", ""),
    ("p99 at 0.85 of saturation, median error", _error("p99_ratio", 0.5), "40 %", ""),
    ("90 % interval holds it", lambda p: _clustered(p, "p99_is_covered"), "", ""),
    ("baseline, CPU alone: saturation, median error", _error("cores_ratio", 0.5), "", ""),
    ("baseline, scalability law: the same", _error("law_ratio", 0.5), "", ""),
    ("baseline, last value: the same", _error("last_ratio", 0.5), "", ""),
    ("baseline, last value: mean time", _error("last_mean_ratio", 0.5), "", ""),
    ("baseline, last value: p99", _error("last_p99_ratio", 0.5), "", ""),
)
