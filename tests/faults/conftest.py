"""What fault tests share: a started `outgrow run` that never outlives its test, and the report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from .harness import HERE, LONG, Supervised


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured line of the report.

    Attributes:
        fault: What was broken.
        metric: What was measured.
        value: The measured value.
        unit: Its unit; empty for text.
        target: What was hoped for; never asserted.
        details: Whatever else belongs to it, such as the list of lost requests.
    """

    fault: str
    metric: str
    value: float | str
    unit: str = ""
    target: str = ""
    details: tuple[object, ...] = ()


Record = Callable[..., None]
Start = Callable[..., Supervised]

_findings: list[Finding] = []


@pytest.fixture
def record() -> Record:
    """Add a line to the report: `record(fault=..., metric=..., value=...)`."""

    def add(**fields: Any) -> None:
        _findings.append(Finding(**fields))

    return add


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `outgrow run` in this test's folder; all of it is gone after the test."""
    started: list[Supervised] = []

    def begin(*options: str, workspace: Path = tmp_path, **settings: Any) -> Supervised:
        started.append(Supervised.start(workspace, *options, **settings))
        return started[-1]

    yield begin
    for supervised in started:
        supervised.discard()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the report; the long form also writes it to report.json."""
    if not _findings:
        return
    terminalreporter.section("faults")
    for finding in _findings:
        value = f"{finding.value:.3f}" if isinstance(finding.value, float) else finding.value
        amount = f"{value} {finding.unit}".strip()
        goal = f"(target {finding.target})" if finding.target else ""
        terminalreporter.line(f"{finding.fault:44} {finding.metric:44} {amount:>16} {goal}")
    if LONG:
        rows = [asdict(finding) for finding in _findings]
        report = {"date": time.strftime("%Y-%m-%d"), "findings": rows}
        (HERE / "report.json").write_text(json.dumps(report, indent=1))
