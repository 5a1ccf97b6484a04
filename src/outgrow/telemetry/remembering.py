"""Segments that are not kept, for as long as another process may still ask for its trace.

Each is written down as one piece of bytes: that takes a fifth of the memory, and objects that are
thrown away at once cost less than those that are thrown away ten seconds later.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.traces import Segment
from outgrow.telemetry.w3c import Parent

if TYPE_CHECKING:
    from collections.abc import Container

BYTES_MAX = 16 * 1024 * 1024
SECONDS = 10
_OBJECT_BYTES = 100
_ID_BYTES = 16
_HEAD_BYTES = 24
_SPAN_BYTES = 2000
_SPAN_ID_MASK = (1 << 64) - 1
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[int, int, int, int, str, str, tuple[str, str, int] | None, list[tuple[Any, ...]]]
).decode


class Remembered:
    """The segments of the last seconds; not safe in threads by itself."""

    def __init__(self) -> None:
        self._written: deque[bytes] = deque()
        self._written_bytes = 0
        # Those that hold what cannot be written down, such as spans of somebody else's making.
        self._whole: deque[Segment] = deque()
        self._whole_bytes = 0

    def add(self, segment: Segment) -> None:
        """Remember a segment that has ended, and forget others where they are too many bytes."""
        try:
            written = _written(segment)
        except (TypeError, OverflowError, ValueError):
            self._add_whole(segment)
            return
        self._written.append(written)
        self._written_bytes += len(written) + _OBJECT_BYTES
        while self._written_bytes > BYTES_MAX:
            self._written_bytes -= len(self._written.popleft()) + _OBJECT_BYTES

    def _add_whole(self, segment: Segment) -> None:
        segment.size_bytes = segment.noted_bytes + _SPAN_BYTES * (1 + len(segment.spans))
        self._whole.append(segment)
        self._whole_bytes += segment.size_bytes
        while self._whole_bytes > BYTES_MAX:
            self._whole_bytes -= self._whole.popleft().size_bytes

    def take(self, trace_ids: Container[bytes]) -> list[Segment]:
        """Those of some traces, which are then no longer here."""
        # One look at all of them here costs less than an index that each of them is put into.
        if not any(each[:_ID_BYTES] in trace_ids for each in self._written):
            found: list[Segment] = []
        else:
            found = [_read(each) for each in self._written if each[:_ID_BYTES] in trace_ids]
            left = [each for each in self._written if each[:_ID_BYTES] not in trace_ids]
            self._written = deque(left)
            self._written_bytes = sum(len(each) + _OBJECT_BYTES for each in left)
        whole = [one for one in self._whole if one.trace_id.to_bytes(16, "big") in trace_ids]
        for one in whole:
            self._whole.remove(one)
            self._whole_bytes -= one.size_bytes
        return found + whole

    def forget(self, now_ns: int) -> None:
        """Forget those that ended too long ago."""
        until_ns = now_ns - SECONDS * 10**9
        until = until_ns.to_bytes(8, "big", signed=True)
        written, whole = self._written, self._whole
        while written and written[0][_ID_BYTES:_HEAD_BYTES] < until:
            self._written_bytes -= len(written.popleft()) + _OBJECT_BYTES
        while whole and whole[0].ended_ns < until_ns:
            self._whole_bytes -= whole.popleft().size_bytes


def _written(segment: Segment) -> bytes:
    parent = segment.parent
    rest = (
        segment.begun_ns,
        segment.seed & _SPAN_ID_MASK,
        parent.span_id if parent is not None else 0,
        parent.flags if parent is not None else 0,
        parent.state if parent is not None else "",
        segment.error,
        segment.outcome,
        segment.spans,
    )
    ids = (segment.trace_id << 64) | segment.ended_ns
    return ids.to_bytes(_HEAD_BYTES, "big") + _encode(rest)


def _read(written: bytes) -> Segment:
    ids = int.from_bytes(written[:_HEAD_BYTES], "big")
    trace_id, ended_ns = ids >> 64, ids & _SPAN_ID_MASK
    begun_ns, span_id, parent_id, flags, state, error, outcome, spans = _decode(
        written[_HEAD_BYTES:]
    )
    taken: list[Any] = [tuple(each) for each in spans]
    return Segment(
        begun_ns,
        (trace_id << 64) | span_id,
        taken,
        count(max((each[0] for each in taken), default=1) + 1).__next__,
        Parent(trace_id, parent_id, flags, state) if parent_id else None,
        is_open=False,
        is_shared=True,
        ended_ns=ended_ns,
        error=error,
        outcome=outcome,
    )
