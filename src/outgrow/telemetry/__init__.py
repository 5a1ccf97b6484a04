"""What happened: recorded in the worker, summed over workers, read as windows of seconds."""

from outgrow.telemetry.busy import BusyMeter, resident_bytes
from outgrow.telemetry.calls import CallCounter, CountedWebSockets, RouteTotals
from outgrow.telemetry.histogram import bucket_of, lower_edge_ns, quantile_ms
from outgrow.telemetry.joining import join_opentelemetry
from outgrow.telemetry.keeping import Keeper, Sieve, keeper
from outgrow.telemetry.link_window import LinkActivity, LinkWindow
from outgrow.telemetry.links import LinkBook, LinkTotals
from outgrow.telemetry.logs import TraceFilter, add_trace_ids, tap, watch_logging
from outgrow.telemetry.outside.calls import outside_links
from outgrow.telemetry.outside.watching import watch_outside
from outgrow.telemetry.recording import start_recording, stop_recording
from outgrow.telemetry.records import (
    LogRecord,
    ProcessTotals,
    SpanRecord,
    StatementTotals,
    StationTotals,
)
from outgrow.telemetry.routes import told_route, watch_frameworks
from outgrow.telemetry.sql.book import StatementBook, statements
from outgrow.telemetry.sql.book import links_of as statement_links
from outgrow.telemetry.steps import LOOP_KEY, Steps
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

__all__ = [
    "CLIENT",
    "INTERNAL",
    "LOOP_KEY",
    "OPERATION",
    "ROOT",
    "SERVER",
    "SPANS_MAX",
    "WINDOW_SECONDS",
    "BusyMeter",
    "CallCounter",
    "CountedWebSockets",
    "Keeper",
    "LinkActivity",
    "LinkBook",
    "LinkTotals",
    "LinkWindow",
    "LogRecord",
    "Parent",
    "ProcessTotals",
    "RouteTotals",
    "RouteWindow",
    "Segment",
    "Sieve",
    "SpanRecord",
    "StatementBook",
    "StatementTotals",
    "StationTotals",
    "Steps",
    "TraceFilter",
    "Window",
    "add_trace_ids",
    "begin_segment",
    "bucket_of",
    "enter_segment",
    "find_place",
    "followed_segment",
    "here",
    "join_opentelemetry",
    "joined",
    "keeper",
    "lower_edge_ns",
    "note",
    "outgoing",
    "outgoing_state",
    "outside_links",
    "packed_parent",
    "parent_of",
    "place",
    "problem_text",
    "quantile_ms",
    "recording",
    "reserve",
    "resident_bytes",
    "segment_failed",
    "start_recording",
    "statement_links",
    "statements",
    "stop_recording",
    "tap",
    "told_route",
    "trace_ids",
    "unpacked_parent",
    "watch_frameworks",
    "watch_logging",
    "watch_outside",
]
