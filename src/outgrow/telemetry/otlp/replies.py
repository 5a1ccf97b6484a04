"""What a sender is told, in the format that it sent.

Source:
    OTLP 1.5, "OTLP/HTTP Response": full and partial success, and google.rpc.Status for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from outgrow.telemetry.otlp.decoding import Format
    from outgrow.telemetry.otlp.limits import Signal

MEDIA_TYPES: dict[str, Format] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
}
MEDIA_TYPE_OF: dict[Format, str] = {form: name for name, form in MEDIA_TYPES.items()}
_TEXT_CHARACTERS_MAX = 1000
_REJECTED = {
    "traces": "rejectedSpans",
    "metrics": "rejectedDataPoints",
    "logs": "rejectedLogRecords",
}
# Fields 1 and 2 of each of these messages: a number and a text.
_NUMBER_TAG, _TEXT_TAG = b"\x08", b"\x12"


def success(signal: Signal, form: Format, refused: int, text: str) -> bytes:
    """That a request was taken, less so many of its items, and why not those."""
    if not refused and not text:
        return b"" if form == "protobuf" else b"{}"
    text = text[:_TEXT_CHARACTERS_MAX]
    if form == "json":
        partial = {_REJECTED[signal]: str(refused), "errorMessage": text}
        return msgspec.json.encode({"partialSuccess": partial})
    inner = _number_and_text(refused, text)
    return b"\x0a" + _varint(len(inner)) + inner


def failure(form: Format, code: int, text: str) -> bytes:
    """That a request was not taken: google.rpc.Status."""
    text = text[:_TEXT_CHARACTERS_MAX]
    if form == "json":
        return msgspec.json.encode({"code": code, "message": text})
    return _number_and_text(code, text)


def _number_and_text(number: int, text: str) -> bytes:
    raw = text.encode()
    return _NUMBER_TAG + _varint(number) + _TEXT_TAG + _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
