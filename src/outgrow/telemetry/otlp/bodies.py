"""The body of a request as it was before it was packed; a bomb is stopped while it unfolds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from outgrow.telemetry.otlp.limits import INFLATED_BYTES_MAX
from outgrow.telemetry.otlp.refusing import OtlpRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

ENCODINGS = ("gzip", "identity")
_GZIP = 16 + zlib.MAX_WBITS


def check_encoding(encoding: str) -> None:
    """Refuse a content encoding that is not understood.

    Raises:
        OtlpRefusedError: It is none of `ENCODINGS`, nor empty.
    """
    if encoding and encoding not in ENCODINGS:
        raise OtlpRefusedError(
            "encoding",
            f"the encoding `{encoding[:40]}` is not understood; send gzip, or no encoding",
            status=415,
        )


def inflated(pieces: Sequence[bytes], encoding: str) -> bytes:
    """The body.

    Args:
        pieces: As it came.
        encoding: One that `check_encoding` let pass.

    Raises:
        OtlpRefusedError: It is no gzip, ends too early, or is too large.
    """
    if encoding != "gzip":
        return b"".join(pieces)
    found = bytearray()
    unpacker = zlib.decompressobj(_GZIP)
    for piece in pieces:
        rest = piece
        while rest:
            if unpacker.eof:  # several members may follow one another
                unpacker = zlib.decompressobj(_GZIP)
            found += _unpacked(unpacker, rest, INFLATED_BYTES_MAX + 1 - len(found))
            if len(found) > INFLATED_BYTES_MAX:
                raise too_large("unpacked", INFLATED_BYTES_MAX)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if not unpacker.eof:
        raise OtlpRefusedError("broken", "the gzip ends too early")
    return bytes(found)


def _unpacked(unpacker: zlib._Decompress, piece: bytes, bytes_max: int) -> bytes:  # pyright: ignore[reportPrivateUsage]
    try:
        return unpacker.decompress(piece, bytes_max)
    except zlib.error:
        raise OtlpRefusedError("broken", "the body is said to be gzip, and is not") from None


def too_large(what: str, bytes_max: int) -> OtlpRefusedError:
    """That a body is too large."""
    return OtlpRefusedError(
        "size",
        f"the body is larger than {bytes_max} bytes {what}; send smaller batches",
        status=413,
    )
