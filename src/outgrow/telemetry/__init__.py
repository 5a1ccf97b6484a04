"""What happened: recorded in the worker, summed over workers, read as windows of seconds."""

from outgrow.telemetry.busy import BusyMeter, resident_bytes
from outgrow.telemetry.calls import CallCounter, CountedWebSockets, RouteTotals
from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.link_window import LinkActivity, LinkWindow
from outgrow.telemetry.links import LinkBook, LinkTotals
from outgrow.telemetry.routes import watch_frameworks
from outgrow.telemetry.steps import LOOP_KEY, Steps
from outgrow.telemetry.window import WINDOW_SECONDS, RouteWindow, Window

__all__ = [
    "LOOP_KEY",
    "WINDOW_SECONDS",
    "BusyMeter",
    "CallCounter",
    "CountedWebSockets",
    "LinkActivity",
    "LinkBook",
    "LinkTotals",
    "LinkWindow",
    "RouteTotals",
    "RouteWindow",
    "Steps",
    "Window",
    "bucket_of",
    "resident_bytes",
    "watch_frameworks",
]
