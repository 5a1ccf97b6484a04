"""WHAT breaks next: takes evidence, foresees the limits of growth, says what would move them."""

from outgrow.capacity.evidence import (
    ArrivalWindow,
    Evidence,
    Grade,
    Kind,
    LinkWindow,
    Machine,
    NestingWindow,
    OperationWindow,
    ProcessWindow,
    QueueWindow,
    Recorded,
    StatementWindow,
    StationWindow,
    Window,
)
from outgrow.capacity.forecast import Forecast, Interval, Limit, Response, forecast, response
from outgrow.capacity.host import calibrate, keep, kept, slowdown_curve
from outgrow.capacity.knees import Objective
from outgrow.capacity.observed import observed
from outgrow.capacity.refusal import Reason, Refusal
from outgrow.capacity.signs import Seen, look_for_signs
from outgrow.capacity.trend import SAFE_RATIO, Due, due_of

__all__ = [
    "SAFE_RATIO",
    "ArrivalWindow",
    "Due",
    "Evidence",
    "Forecast",
    "Grade",
    "Interval",
    "Kind",
    "Limit",
    "LinkWindow",
    "Machine",
    "NestingWindow",
    "Objective",
    "OperationWindow",
    "ProcessWindow",
    "QueueWindow",
    "Reason",
    "Recorded",
    "Refusal",
    "Response",
    "Seen",
    "StatementWindow",
    "StationWindow",
    "Window",
    "calibrate",
    "due_of",
    "forecast",
    "keep",
    "kept",
    "look_for_signs",
    "observed",
    "response",
    "slowdown_curve",
]
