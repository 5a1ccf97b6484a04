"""The W3C's headers by which a trace crosses from one process to another.

Source:
    Trace Context, Level 2, https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re

import msgspec

STATE_BYTES_MAX = 512
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[\x20-\x7e]*")
_PACKED_BYTES = 25


class Parent(msgspec.Struct, frozen=True, gc=False):
    """Where a trace comes from.

    Attributes:
        trace_id: 128 bits, never 0.
        span_id: Of the caller's span; 64 bits, never 0.
        flags: Bit 0 says that the caller may have recorded it, and would have others do so.
        state: `tracestate`, which is passed on as it is.
    """

    trace_id: int
    span_id: int
    flags: int = 0
    state: str = ""


def parent_of(traceparent: bytes, tracestate: bytes = b"") -> Parent | None:
    """What the headers of a request say; None where they are not valid.

    A `tracestate` that is too long, or has other characters than it may, is left out.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    if version == b"ff" or (more and version == b"00") or not trace_id or not span_id:
        return None
    state = _state_of(tracestate) if tracestate else ""
    return Parent(trace_id, span_id, int(flags, 16), state)


def _state_of(tracestate: bytes) -> str:
    state = tracestate.decode("latin-1")
    return state if len(state) <= STATE_BYTES_MAX and _STATE.fullmatch(state) else ""


def traceparent_of(trace_id: int, span_id: int, flags: int) -> str:
    """The header `traceparent`."""
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"


def packed(trace_id: int, span_id: int, flags: int, state: str) -> bytes:
    """The same for a call between our own processes, in fewer bytes and less time."""
    sent = ((trace_id << 72) | (span_id << 8) | flags).to_bytes(_PACKED_BYTES, "big")
    return sent + state.encode("latin-1") if state else sent


def unpacked(sent: bytes) -> Parent | None:
    """What `packed` made; None for anything else."""
    size = len(sent)
    if not _PACKED_BYTES <= size <= _PACKED_BYTES + STATE_BYTES_MAX:
        return None
    trace_id, span_id = int.from_bytes(sent[:16], "big"), int.from_bytes(sent[16:24], "big")
    if not trace_id or not span_id:
        return None
    state = sent[_PACKED_BYTES:].decode("latin-1") if size > _PACKED_BYTES else ""
    return Parent(trace_id, span_id, sent[24], state)
