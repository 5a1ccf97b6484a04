"""What happened: recorded in the worker, summed over workers, read as windows of seconds."""

from outgrow.telemetry.busy import BusyMeter, resident_bytes
from outgrow.telemetry.calls import CallCounter, CountedApp, RouteTotals
from outgrow.telemetry.routes import watch_frameworks
from outgrow.telemetry.window import WINDOW_SECONDS, RouteWindow, Window

__all__ = [
    "WINDOW_SECONDS",
    "BusyMeter",
    "CallCounter",
    "CountedApp",
    "RouteTotals",
    "RouteWindow",
    "Window",
    "resident_bytes",
    "watch_frameworks",
]
