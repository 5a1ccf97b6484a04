"""The envelope of all three signals, walked over without making objects of it.

Each request holds resources, each of these scopes, each of these items: spans, lines or metrics. An
item is decoded when its turn comes, so a request has no more memory than its own bytes and what is
kept of it, whatever its lengths claim.

Source:
    Protocol Buffers, Encoding, https://protobuf.dev/programming-guides/encoding/. A message that
    comes twice where one is meant is both of them, one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.otlp.limits import ITEM_BYTES_MAX
from outgrow.telemetry.otlp.refusing import OtlpRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a message begins and ends.
Extent = tuple[int, int]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10
# In a request 1 is a resource's; in that 1 is the resource, 2 a scope's; in that likewise.
_FIRST, _SECOND, _SCHEMA_URL = 1, 2, 3


def varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends.

    Raises:
        OtlpRefusedError: It has no end.
    """
    value = shift = 0
    for place in range(at, min(end, at + _VARINT_BYTES_MAX)):
        byte = content[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + 1
        shift += 7
    raise broken()


def broken() -> OtlpRefusedError:
    """That a body is no protobuf of this kind."""
    return OtlpRefusedError("broken", "the body is no valid protobuf of this signal")


def fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, beginning and end of each field of bytes; other fields are skipped.

    Raises:
        OtlpRefusedError: The bytes are no message, or hold groups, which no sender writes.
    """
    while at < end:
        tag = content[at]
        # By far the most are these, so they take the shortest way.
        if tag & 0x87 == _BYTES and tag > 7 and at + 2 < end:
            size, more = content[at + 1], content[at + 2]
            at += 2
            if size > 0x7F and more <= 0x7F:
                size += (more - 1) << 7
                at += 1
            elif size > 0x7F:
                size, at = varint(content, at - 1, end)
            if size > end - at:
                raise broken()
            yield tag >> 3, at, at + size
            at += size
            continue
        tag, at = varint(content, at, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise broken()
        if kind == _BYTES:
            size, at = varint(content, at, end)
            if size > end - at:
                raise broken()
            yield number, at, at + size
            at += size
        elif kind == _VARINT:
            _, at = varint(content, at, end)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise broken()
    if at != end:
        raise broken()


def resources(content: bytes) -> Iterator[Extent]:
    """What each resource of a request says and holds."""
    for number, at, end in fields(content, 0, len(content)):
        if number == _FIRST:
            yield at, end


def parts(content: bytes, extent: Extent) -> tuple[bytes, list[Extent]]:
    """The first field, which describes, and where each of the second begins and ends.

    Raises:
        OtlpRefusedError: The bytes are no message, or what describes is too large.
    """
    description = b""
    held: list[Extent] = []
    for number, at, end in fields(content, *extent):
        if number == _FIRST:
            if len(description) + end - at > ITEM_BYTES_MAX:
                raise OtlpRefusedError("size", "a resource or a scope is too large", status=413)
            description += content[at:end]
        elif number == _SECOND:
            held.append((at, end))
        elif number == _SCHEMA_URL:
            checked_text(content[at:end])
    return description, held


def checked_text(raw: bytes) -> str:
    """A text.

    Raises:
        OtlpRefusedError: It is no UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise broken() from None
