"""What the app logs, with its trace, and its exceptions told apart by their cause.

Records are taken where a logger hands them to its handlers, so that nothing about logging changes:
no handler is added, since `basicConfig` does nothing where there is one, and Python shows warnings
by itself only where there is none. What is below a logger's level is not seen here either.

structlog is seen where it ends in the standard library's loggers. Where it prints by itself, its
lines are in the worker's output; the processor `add_trace_ids` puts the trace's id into them.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.faultlines import described, without_parameters
from outgrow.telemetry.keeping import Allowance
from outgrow.telemetry.records import LogRecord
from outgrow.telemetry.traces import failed, place, recording, trace_ids

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from outgrow.telemetry.records import Attribute

PER_SECOND = 200
WARNINGS_PER_SECOND = 500
FAULTS_PER_SECOND = 20
WAITING_MAX = 5000
TEXT_MAX = 4000
ATTRIBUTES_MAX = 16
_VALUE_MAX = 200
# These say for each request or statement what is counted here anyway, and some with its parameters.
_CHATTY = (
    "aiohttp.access",
    "botocore",
    "django.db.backends",
    "django.server",
    "gunicorn.access",
    "httpcore",
    "httpx",
    "hypercorn.access",
    "sqlalchemy.engine",
    "sqlalchemy.pool",
    "urllib3",
    "uvicorn.access",
    "werkzeug",
)
_SECRET = re.compile(r"pass|secret|token|auth|cookie|key|session|credential", re.IGNORECASE)
_OWN_NAMES = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}


class LogTap:
    """The records of this process's loggers, until they are fetched.

    Attributes:
        level: The least that is taken, as `logging` numbers it.
        lost: Records that found no room, or were too many in their second: a total.
    """

    def __init__(self) -> None:
        self.level = logging.INFO
        self._least: dict[str, int] = {}
        self._busy = threading.local()
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to."""
        self.lost = 0
        self._waiting: deque[LogRecord] = deque()
        self._all = Allowance(PER_SECOND)
        self._warnings = Allowance(WARNINGS_PER_SECOND)
        self._faults = Allowance(FAULTS_PER_SECOND)

    def take(self, records_max: int = 5000) -> tuple[list[LogRecord], int]:
        """The records that are to be sent, and how many were lost since the process began.

        For the reporter, from its own thread, about once a second.

        Args:
            records_max: The rest waits.
        """
        taken: list[LogRecord] = []
        while self._waiting and len(taken) < records_max:
            taken.append(self._waiting.popleft())
        return taken, self.lost

    def see(self, record: logging.LogRecord) -> None:
        """Take a record, if it is one to be taken; never raises, never waits."""
        if record.levelno < self.level or not recording.is_on:
            return
        if record.levelno < self._least_of(record.name) or getattr(self._busy, "is_seeing", False):
            return
        self._busy.is_seeing = True  # what is said while it is put into words is not taken
        try:
            self._see(record)
        except Exception:  # a value of the app's that cannot be shown must not fail the app
            self.lost += 1
        finally:
            self._busy.is_seeing = False

    def _least_of(self, name: str) -> int:
        least = self._least.get(name)
        if least is None:
            is_chatty = any(name == each or name.startswith(f"{each}.") for each in _CHATTY)
            least = logging.WARNING if is_chatty else 0
            if len(self._least) < WAITING_MAX:
                self._least[name] = least
        return least

    def _see(self, record: logging.LogRecord) -> None:
        now_ns = monotonic_ns()
        error = record.exc_info[1] if record.exc_info else None
        segment, span = place()
        if segment is not None:
            if record.levelno >= logging.ERROR and segment.is_open:
                failed(segment, wholly=True)
            if error is not None:
                if segment.said == id(error) and record.name == "uvicorn.error":
                    return  # the app has logged it itself
                segment.said = id(error)
        is_warning = record.levelno >= logging.WARNING
        allowance = self._warnings if is_warning else self._all
        if not allowance.take(now_ns) or len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            return
        made = LogRecord(
            int(record.created * 1e9),
            _severity_of(record.levelno),
            without_parameters(_text_of(record))[:TEXT_MAX],
            logger=record.name,
            service=recording.app,
            worker=recording.worker,
            attributes=_attributes_of(record),
        )
        if segment is not None:
            made.trace_id = segment.trace_id.to_bytes(16, "big")
            made.span_id = segment.span_id(span).to_bytes(8, "big")
        if error is not None:
            fault = described(error, is_full=self._faults.take(now_ns))
            made.exception, made.fingerprint = fault.kind, fault.fingerprint
            made.traceback = without_parameters(fault.traceback)
        self._waiting.append(made)


def _text_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage().strip()
    except Exception:  # `logging` itself says so where it formats the record
        return str(record.msg)


def _severity_of(level: int) -> int:
    """The severity as OpenTelemetry numbers it."""
    return 5 if level < 20 else 9 if level < 30 else 13 if level < 40 else 17 if level < 50 else 21


def _attributes_of(record: logging.LogRecord) -> dict[str, Attribute]:
    """Where it was said, and what the app gave as `extra`; nothing that is named like a secret."""
    made: dict[str, Attribute] = {
        "code.file.path": record.pathname,
        "code.function.name": record.funcName or "",
        "code.line.number": record.lineno,
    }
    for name, value in vars(record).items():
        if name in _OWN_NAMES or _SECRET.search(name) or len(made) >= ATTRIBUTES_MAX:
            continue
        if isinstance(value, str):
            made[name] = without_parameters(value)[:_VALUE_MAX]
        elif isinstance(value, bool | int | float):
            made[name] = value
    return made


tap = LogTap()
os.register_at_fork(after_in_child=tap.forget)


def watch_logging() -> None:
    """Have what loggers say taken from now on; once is enough."""
    hand_over: Any = logging.Logger.callHandlers
    if getattr(hand_over, "is_watched", False):
        return

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        tap.see(record)
        hand_over(self, record)

    setattr(call_handlers, "is_watched", True)  # noqa: B010
    logging.Logger.callHandlers = call_handlers  # pyright: ignore[reportAttributeAccessIssue]


# For those who want the ids in their own lines.


class TraceFilter(logging.Filter):
    """Gives each record `trace_id` and `span_id`, for a format such as `%(trace_id)s %(message)s`.

    Both are empty outside of traces, and where nothing is recorded. Add it to a handler.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with its ids."""
        trace_id, span_id = trace_ids()
        record.trace_id, record.span_id = trace_id.hex(), span_id.hex()
        return True


def add_trace_ids(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Put `trace_id` and `span_id` into an event of structlog, as one of its processors."""
    trace_id, span_id = trace_ids()
    if trace_id:
        event.setdefault("trace_id", trace_id.hex())
        event.setdefault("span_id", span_id.hex())
    return event
