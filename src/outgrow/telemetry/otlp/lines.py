"""Lines of logs as others send them, as records."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.otlp.limits import NAME_CHARACTERS_MAX, TIME_NS_MAX
from outgrow.telemetry.otlp.reading import (
    ItemRefusedError,
    Place,
    attributes_of,
    identity,
    noted_drops,
    plain,
)
from outgrow.telemetry.records import LogRecord

if TYPE_CHECKING:
    from outgrow.telemetry.records import Attribute

EVENT_NAME = "otel.event_name"
SEVERITY_TEXT = "otel.severity_text"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_TRACE = "exception.stacktrace"
FINGERPRINT = "outgrow.fingerprint"
_SHORT_NAMES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
# Where in a file a line stands changes with each edit, and addresses with each run.
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+")


def severity_name(severity: int) -> str:
    """How OpenTelemetry writes a severity in short, such as `INFO` or `WARN2`."""
    if not 1 <= severity <= 24:
        return ""
    kind, step = divmod(severity - 1, 4)
    return f"{_SHORT_NAMES[kind]}{step + 1 if step else ''}"


def log_record(line: Any, place: Place) -> LogRecord:
    """A message `LogRecord` as a record; one without a time is of when it was seen.

    Raises:
        ItemRefusedError: It cannot be kept.
    """
    at_ns = line.time_unix_nano or line.observed_time_unix_nano
    if not 0 <= at_ns <= TIME_NS_MAX:
        raise ItemRefusedError("time")
    attributes, dropped = attributes_of(line.attributes, place.attributes.copy())
    noted_drops(attributes, dropped, line.dropped_attributes_count)
    severity = line.severity_number if 0 <= line.severity_number < 256 else 0
    if line.severity_text and line.severity_text != severity_name(severity):
        attributes[SEVERITY_TEXT] = line.severity_text[:NAME_CHARACTERS_MAX]
    if line.event_name:
        attributes[EVENT_NAME] = line.event_name[:NAME_CHARACTERS_MAX]
    body = plain(line.body)
    exception = _taken(attributes, EXCEPTION_TYPE)
    traceback = _taken(attributes, EXCEPTION_TRACE)
    return LogRecord(
        at_ns=at_ns,
        severity=severity,
        text=body if isinstance(body, str) else _written(body),
        logger=place.scope,
        service=place.service,
        worker=place.worker,
        trace_id=identity(line.trace_id, 16),
        span_id=identity(line.span_id, 8),
        attributes=attributes,
        exception=exception,
        traceback=traceback,
        fingerprint=_taken(attributes, FINGERPRINT) or _fingerprint(exception, traceback),
    )


def _taken(attributes: dict[str, Attribute], name: str) -> str:
    return str(attributes.pop(name, ""))


def _written(body: Attribute) -> str:
    return str(body).lower() if isinstance(body, bool) else str(body)


def _fingerprint(exception: str, traceback: str) -> str:
    """Of the type and the places that it came through, without numbers of lines."""
    if not exception:
        return ""
    # Of Python, Java and JavaScript alike, what is said of a place begins with a blank.
    places = [line.strip() for line in traceback.splitlines() if line[:1].isspace()]
    text = "\n".join([exception, *(_NUMBERS.sub("", place) for place in places)])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()
