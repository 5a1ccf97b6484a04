"""What happened: recorded in the worker, summed over workers, read as windows of seconds."""

from importlib import import_module
from typing import TYPE_CHECKING

from outgrow.telemetry.arrivals import Arrivals
from outgrow.telemetry.backlogs import BACKLOG_METRICS, Backlog, backlogs_of
from outgrow.telemetry.busy import BusyMeter, resident_bytes
from outgrow.telemetry.calls import CallCounter, CountedWebSockets, RouteTotals
from outgrow.telemetry.collecting import Collector
from outgrow.telemetry.histogram import bucket_of, lower_edge_ns, quantile_ms
from outgrow.telemetry.joining import join_opentelemetry
from outgrow.telemetry.keeping import Keeper, Sieve, keeper
from outgrow.telemetry.link_window import LinkActivity, LinkWindow
from outgrow.telemetry.links import LinkBook, LinkTotals
from outgrow.telemetry.logs import TraceFilter, add_trace_ids, tap, watch_logging
from outgrow.telemetry.outside.calls import note_handed, outside_links
from outgrow.telemetry.outside.watching import watch_outside
from outgrow.telemetry.parents import note_leaving
from outgrow.telemetry.process import GilProbe, ProcessProbe, usable_cores
from outgrow.telemetry.receiving import Intake, ReportServer
from outgrow.telemetry.recording import start_recording, stop_recording
from outgrow.telemetry.records import (
    LogRecord,
    MetricPoint,
    Origin,
    ProcessTotals,
    Report,
    SpanRecord,
    StatementTotals,
    StationTotals,
)
from outgrow.telemetry.reporting import Reporter
from outgrow.telemetry.reports import ObserverAddress
from outgrow.telemetry.routes import route_here, watch_frameworks
from outgrow.telemetry.sql.book import StatementBook, statements
from outgrow.telemetry.sql.book import links_of as statement_links
from outgrow.telemetry.sql.fingerprint import statement_of
from outgrow.telemetry.stations import (
    Station,
    StationBook,
    Visit,
    note_wait,
    squares_of,
    station_book,
    waited_since,
)
from outgrow.telemetry.steps import LOOP_KEY, Steps, metered
from outgrow.telemetry.traces import (
    CLIENT,
    INTERNAL,
    OPERATION,
    ROOT,
    SERVER,
    SPANS_MAX,
    Segment,
    find_place,
    here,
    joined,
    note,
    outgoing,
    outgoing_state,
    place,
    problem_text,
    recording,
    reserve,
    trace_ids,
)
from outgrow.telemetry.traces import begin as begin_segment
from outgrow.telemetry.traces import enter as enter_segment
from outgrow.telemetry.traces import failed as segment_failed
from outgrow.telemetry.traces import followed as followed_segment
from outgrow.telemetry.w3c import Parent, parent_of
from outgrow.telemetry.w3c import packed as packed_parent
from outgrow.telemetry.w3c import unpacked as unpacked_parent
from outgrow.telemetry.window import WINDOW_SECONDS, RouteWindow, Window

if TYPE_CHECKING:
    from outgrow.telemetry.archive.answers import (
        ArrivalSum,
        CallSum,
        FaultSum,
        GapSum,
        Health,
        LogSearch,
        MarkSum,
        MetricSum,
        Page,
        ProcessStep,
        ProcessSum,
        StationStep,
        StationSum,
        StepSum,
        TraceSearch,
        TraceSum,
        WindowSum,
        WorkerSum,
    )
    from outgrow.telemetry.archive.archive import Archive
    from outgrow.telemetry.otlp.forwarding import ForwardCounts, Forwarder
    from outgrow.telemetry.otlp.limits import SENT_BYTES_MAX, Signal
    from outgrow.telemetry.otlp.receiver import Keeping, OtlpReceiver, encoding_in, refusal
    from outgrow.telemetry.otlp.refusing import OtlpRefusedError, ReceivedCounts
    from outgrow.telemetry.otlp.sending import ForwardTarget

__all__ = [
    "BACKLOG_METRICS",
    "CLIENT",
    "INTERNAL",
    "LOOP_KEY",
    "OPERATION",
    "ROOT",
    "SENT_BYTES_MAX",
    "SERVER",
    "SPANS_MAX",
    "WINDOW_SECONDS",
    "Archive",
    "ArrivalSum",
    "Arrivals",
    "Backlog",
    "BusyMeter",
    "CallCounter",
    "CallSum",
    "Collector",
    "CountedWebSockets",
    "FaultSum",
    "ForwardCounts",
    "ForwardTarget",
    "Forwarder",
    "GapSum",
    "GilProbe",
    "Health",
    "Intake",
    "Keeper",
    "Keeping",
    "LinkActivity",
    "LinkBook",
    "LinkTotals",
    "LinkWindow",
    "LogRecord",
    "LogSearch",
    "MarkSum",
    "MetricPoint",
    "MetricSum",
    "ObserverAddress",
    "Origin",
    "OtlpReceiver",
    "OtlpRefusedError",
    "Page",
    "Parent",
    "ProcessProbe",
    "ProcessStep",
    "ProcessSum",
    "ProcessTotals",
    "ReceivedCounts",
    "Report",
    "ReportServer",
    "Reporter",
    "RouteTotals",
    "RouteWindow",
    "Segment",
    "Sieve",
    "Signal",
    "SpanRecord",
    "StatementBook",
    "StatementTotals",
    "Station",
    "StationBook",
    "StationStep",
    "StationSum",
    "StationTotals",
    "StepSum",
    "Steps",
    "TraceFilter",
    "TraceSearch",
    "TraceSum",
    "Visit",
    "Window",
    "WindowSum",
    "WorkerSum",
    "add_trace_ids",
    "backlogs_of",
    "begin_segment",
    "bucket_of",
    "encoding_in",
    "enter_segment",
    "find_place",
    "followed_segment",
    "here",
    "join_opentelemetry",
    "joined",
    "keeper",
    "lower_edge_ns",
    "metered",
    "note",
    "note_handed",
    "note_leaving",
    "note_wait",
    "outgoing",
    "outgoing_state",
    "outside_links",
    "packed_parent",
    "parent_of",
    "place",
    "problem_text",
    "quantile_ms",
    "recording",
    "refusal",
    "reserve",
    "resident_bytes",
    "route_here",
    "segment_failed",
    "squares_of",
    "start_recording",
    "statement_links",
    "statement_of",
    "statements",
    "station_book",
    "stop_recording",
    "tap",
    "trace_ids",
    "unpacked_parent",
    "usable_cores",
    "waited_since",
    "watch_frameworks",
    "watch_logging",
    "watch_outside",
]

# What only the observer needs, and is imported when it is asked for.
_HOMES = {
    "Archive": "outgrow.telemetry.archive.archive",
    **dict.fromkeys(("ForwardCounts", "Forwarder"), "outgrow.telemetry.otlp.forwarding"),
    "ForwardTarget": "outgrow.telemetry.otlp.sending",
    **dict.fromkeys(
        ("Keeping", "OtlpReceiver", "encoding_in", "refusal"), "outgrow.telemetry.otlp.receiver"
    ),
    **dict.fromkeys(("OtlpRefusedError", "ReceivedCounts"), "outgrow.telemetry.otlp.refusing"),
    **dict.fromkeys(("SENT_BYTES_MAX", "Signal"), "outgrow.telemetry.otlp.limits"),
    **dict.fromkeys(
        (
            "ArrivalSum",
            "CallSum",
            "FaultSum",
            "GapSum",
            "Health",
            "LogSearch",
            "MarkSum",
            "MetricSum",
            "Page",
            "ProcessStep",
            "ProcessSum",
            "StationStep",
            "StationSum",
            "StepSum",
            "TraceSearch",
            "TraceSum",
            "WindowSum",
            "WorkerSum",
        ),
        "outgrow.telemetry.archive.answers",
    ),
}


def __getattr__(name: str) -> object:
    """Find a name whose module is not imported yet."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'outgrow.telemetry' has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    globals()[name] = found
    return found
