"""What the tests of an app need: its services running, fakes, and what a load test sends."""

from outgrow.testing.clock import ManualClock
from outgrow.testing.fakes import fake
from outgrow.testing.running import Placement, RunningApp, running
from outgrow.testing.scenario import Answer, Request, Visitor

__all__ = [
    "Answer",
    "ManualClock",
    "Placement",
    "Request",
    "RunningApp",
    "Visitor",
    "fake",
    "running",
]
