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
from outgrow.capacity.forecast import (
    Forecast,
    Interval,
    Limit,
    Response,
    forecast,
    response,
    response_curve,
)
from outgrow.capacity.growth import GrowthPlan, GrowthStep, Move, grow, move_of
from outgrow.capacity.host import calibrate, keep, kept, slowdown_curve
from outgrow.capacity.knees import Objective
from outgrow.capacity.observed import observed
from outgrow.capacity.patterns import (
    BY_HAND,
    BiggerMachine,
    BiggerPool,
    Pattern,
    Replicate,
    SplitOut,
)
from outgrow.capacity.refusal import Reason, Refusal
from outgrow.capacity.signs import SIGN_NAMES, Finding, Seen, look_for_signs
from outgrow.capacity.trend import SAFE_RATIO, Due, due_of

__all__ = [
    "BY_HAND",
    "SAFE_RATIO",
    "SIGN_NAMES",
    "ArrivalWindow",
    "BiggerMachine",
    "BiggerPool",
    "Due",
    "Evidence",
    "Finding",
    "Forecast",
    "Grade",
    "GrowthPlan",
    "GrowthStep",
    "Interval",
    "Kind",
    "Limit",
    "LinkWindow",
    "Machine",
    "Move",
    "NestingWindow",
    "Objective",
    "OperationWindow",
    "Pattern",
    "ProcessWindow",
    "QueueWindow",
    "Reason",
    "Recorded",
    "Refusal",
    "Replicate",
    "Response",
    "Seen",
    "SplitOut",
    "StatementWindow",
    "StationWindow",
    "Window",
    "calibrate",
    "due_of",
    "forecast",
    "grow",
    "keep",
    "kept",
    "look_for_signs",
    "move_of",
    "observed",
    "response",
    "response_curve",
    "slowdown_curve",
]
