"""What the tests of an app need: its services running, and fakes of those that are not meant."""

from outgrow.testing.clock import ManualClock
from outgrow.testing.fakes import fake
from outgrow.testing.running import Placement, RunningApp, running

__all__ = ["ManualClock", "Placement", "RunningApp", "fake", "running"]
