"""Metrics that others sent are listed, and drawn a line for each set of attributes."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.dashboard import received
from outgrow.dashboard.answers import Answers
from outgrow.telemetry import BACKLOG_METRICS, MetricPoint
from tests.unit.dashboard.asking_api import MOMENT_NS, ask
from tests.unit.dashboard.stored import SECOND_NS, Stored

STEP = "from=-50s&step=10"


def answer(target: str, *points: MetricPoint) -> Any:
    found = ask(f"/api/{target}", answers=Answers(Stored(points=list(points)), app="shop"))
    assert found.status_code == 200, found.text
    return found.json()


def point(value: float, seconds_ago: int, kind: str = "gauge", **more: Any) -> MetricPoint:
    at_ns = MOMENT_NS - seconds_ago * SECOND_NS
    return MetricPoint("queue.depth", kind, at_ns, value, "1", "depot", **more)


def test_metrics_are_listed_without_those_of_our_own_queues() -> None:
    ours = MetricPoint(BACKLOG_METRICS[0], "gauge", MOMENT_NS, 1.0)
    (found,) = answer("metrics", point(1, 30), point(2, 20), ours)["metrics"]
    assert (found["name"], found["service"], found["points_count"]) == ("queue.depth", "depot", 2)
    assert found["last_at_ms"] == pytest.approx(MOMENT_NS / 1e6 - 20_000)


def test_each_set_of_attributes_is_a_line_those_told_of_last_first() -> None:
    points = [
        point(1, 45, attributes={"of": "north", "level": 2}),
        point(7, 35, attributes={"of": "south"}),
        point(3, 25, attributes={"level": 2, "of": "north"}),
    ]
    found = answer(f"metrics/queue.depth?{STEP}", *points)
    assert (found["kind"], found["unit"], found["lines_count"]) == ("gauge", "1", 2)
    north, south = found["lines"]
    assert north["attributes"] == {"level": "2", "of": "north"}
    assert [value for value in north["values"] if value is not None] == [1, 3]
    assert [value for value in south["values"] if value is not None] == [7]
    assert len(north["values"]) == len(found["times_ms"])
    assert len(answer(f"metrics/queue.depth?{STEP}&limit=1", *points)["lines"]) == 1


@pytest.mark.parametrize(
    ("points", "values"),
    [
        pytest.param([point(4, 24), point(6, 22)], [6], id="a gauge: the last"),
        pytest.param(
            [point(4, 24, "sum"), point(6, 22, "sum")], [6], id="a sum that goes on: the last"
        ),
        pytest.param(
            [point(4, 24, "sum", is_delta=True), point(6, 22, "sum", is_delta=True)],
            [10],
            id="a sum that begins anew: all of it",
        ),
        pytest.param(
            [
                point(100, 44, "histogram", count=10),
                point(130, 24, "histogram", count=20),
                point(8, 14, "histogram", count=4),
            ],
            [3, 2],
            id="a histogram that goes on, and begins anew: means of what came",
        ),
        pytest.param(
            [
                point(6, 24, "histogram", count=2, is_delta=True),
                point(3, 22, "histogram", count=1, is_delta=True),
                point(0, 14, "histogram", count=0, is_delta=True),
            ],
            [3],
            id="a histogram of differences: means",
        ),
    ],
)
def test_a_step_tells_of(points: list[MetricPoint], values: list[float]) -> None:
    (line,) = answer(f"metrics/queue.depth?{STEP}", *points)["lines"]
    assert [value for value in line["values"] if value is not None] == values


def test_names_have_slashes_and_what_nobody_sent_is_empty() -> None:
    slashed = MetricPoint("workers/busy", "gauge", MOMENT_NS - SECOND_NS, 2.0)
    assert len(answer("metrics/workers%2Fbusy", slashed)["lines"]) == 1
    found = answer("metrics/unheard.of", slashed)
    assert (found["kind"], found["lines"], found["lines_count"]) == ("", [], 0)


def test_more_points_than_are_read_at_once_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received, "POINTS_MAX", 2)
    found = answer(f"metrics/queue.depth?{STEP}", *(point(1, 40 - each) for each in range(3)))
    assert found["is_cut"]
    assert not answer(f"metrics/queue.depth?{STEP}", point(1, 3))["is_cut"]
