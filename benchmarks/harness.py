"""Rows, rounds and tables: what every benchmark shares.

A benchmark measures each contender once a round, in an order that turns from round to round. The
reported value is the median over the rounds; the reported ratio is the median of the per-round
ratios against the reference contender.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
RESULTS = Path(__file__).parent / "results"
REFERENCE = "uvicorn"
_PACKAGES = (
    *("outgrow", "uvicorn", "uvloop", "httptools", "starlette", "fastapi"),
    *("django", "gunicorn", "uvicorn-worker", "granian"),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured number.

    Attributes:
        bench: The benchmark's name.
        contender: Who was measured.
        metric: What was measured.
        value: Median over the rounds.
        unit: Its unit.
        ratio: Median of the per-round ratios to the reference; None for want of a reference.
        rounds: The value of each round, in order.
        versions: Package -> version, and the machine.
        date: Day of the run.
    """

    bench: str
    contender: str
    metric: str
    value: float
    unit: str
    ratio: float | None
    rounds: list[float]
    versions: dict[str, str]
    date: str


@dataclass
class Measurements:
    """Values collected round by round, per metric and contender.

    Attributes:
        bench: The benchmark's name.
        reference: The contender that ratios are taken against.
        tools: What else took part, such as the load generator, with its version.
    """

    bench: str
    reference: str = REFERENCE
    tools: dict[str, str] = field(default_factory=dict[str, str])
    _values: dict[tuple[str, str], list[float]] = field(
        default_factory=dict[tuple[str, str], list[float]]
    )
    _units: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, contender: str, metric: str, value: float, unit: str) -> None:
        """Keep one value of the current round."""
        self._units[metric] = unit
        self._values.setdefault((metric, contender), []).append(value)

    def rows(self) -> list[Row]:
        """One row for each metric and contender."""
        versions, date = {**_versions(), **self.tools}, time.strftime("%Y-%m-%d")
        return [
            Row(
                bench=self.bench,
                contender=contender,
                metric=metric,
                value=statistics.median(values),
                unit=self._units[metric],
                ratio=self._ratio(metric, contender),
                rounds=values,
                versions=versions,
                date=date,
            )
            for (metric, contender), values in self._values.items()
        ]

    def _ratio(self, metric: str, contender: str) -> float | None:
        ours = self._values[metric, contender]
        theirs = self._values.get((metric, self.reference), [])
        pairs = [mine / other for mine, other in zip(ours, theirs, strict=False) if other]
        return statistics.median(pairs) if pairs else None


def turned(items: list[Item], by: int) -> list[Item]:
    """The items starting from another one each round, so that none is always first."""
    cut = by % len(items)
    return items[cut:] + items[:cut]


def publish(measurements: Measurements) -> None:
    """Write the rows to results/NAME.json and print them as a table."""
    rows = measurements.rows()
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps([asdict(row) for row in rows], indent=1)
    (RESULTS / f"{measurements.bench}.json").write_text(text + "\n")
    print(table(rows, measurements))


def table(rows: Iterable[Row], measurements: Measurements) -> str:
    """The rows as text: a block for each subject (before the colon), a line for each contender."""
    blocks: dict[str, dict[str, dict[str, Row]]] = {}
    for row in rows:
        subject, _, column = row.metric.rpartition(": ")
        by_contender = blocks.setdefault(subject, {})
        by_contender.setdefault(row.contender, {})[f"{column} [{row.unit}]"] = row
    lines = [f"\n{measurements.bench}, ratios to {measurements.reference}{_tools(measurements)}"]
    for subject, by_contender in blocks.items():
        columns = list(dict.fromkeys(column for row in by_contender.values() for column in row))
        lines.append(_line(subject, columns, columns))
        for contender, found in by_contender.items():
            cells = [_cell(found.get(column)) for column in columns]
            lines.append(_line(f"  {contender}", cells, columns))
    return "\n".join(lines)


def _line(first: str, cells: list[str], columns: list[str]) -> str:
    widths = [max(len(column), 16) for column in columns]
    padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"  {first:26}" + "  ".join(padded)


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    value = f"{row.value:,.0f}" if row.value >= 1000 else f"{row.value:.3g}"
    return value + ("" if row.ratio is None else f" {row.ratio:5.2f}x")


def _tools(measurements: Measurements) -> str:
    return "".join(f"; {name}: {version}" for name, version in measurements.tools.items())


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "kernel": platform.release()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
