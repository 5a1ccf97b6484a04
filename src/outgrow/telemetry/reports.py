"""What workers and the observer say to each other: frames of a length and a message each.

A worker begins with `Hello`, and once it has its `Welcome` it sends a `Report` about once a second.
The observer may say `Wanted` at any time, or `Refused`, and then it hangs up. A frame is four bytes
of length, the highest first, and one of these in MessagePack.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from outgrow.telemetry.records import Origin, Report, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL: Final = 1
HELLO_BYTES_MAX: Final = 64 * 1024
TO_WORKER_BYTES_MAX: Final = 256 * 1024
_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode


class FrameError(Exception):
    """What came is no message of this protocol."""


class ObserverAddress(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an observer hears workers: a Unix socket, or a port that speaks TLS.

    Attributes:
        path: Of the Unix socket; empty for a port.
        host: Name or number, which the observer's certificate is for.
        port: Of the host.
        token: That the observer asks for; not needed for a socket that only its owner can open.
        authority: File with the certificates to believe, in PEM; empty for those of the system.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    token: str = ""
    authority: str = ""

    def __str__(self) -> str:
        """As people read it, without the token."""
        return f"unix:{self.path}" if self.path else f"tls:{self.host}:{self.port}"


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """A worker's first words.

    Attributes:
        protocol: What it speaks.
        origin: Who it is.
        token: Shows that it may report; empty where none is asked for.
    """

    protocol: int
    origin: Origin
    token: str = ""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The observer hears what this worker reports."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The observer does not, and closes the connection.

    Attributes:
        text: Why.
        hint: What to do.
    """

    text: str
    hint: str = ""


FromWorker = Hello | Report
ToWorker = Welcome | Refused | Wanted
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
M = TypeVar("M")


def frame_of(message: FromWorker | ToWorker) -> bytes:
    """A message as it is sent."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameReader(Generic[M]):
    """Cuts what arrives into messages.

    Args:
        decoder: Of what may come.
        bytes_max: Longest message that is taken.

    Attributes:
        bytes_max: May be changed between two messages.
    """

    def __init__(self, decoder: msgspec.msgpack.Decoder[M], bytes_max: int) -> None:
        self._decoder = decoder
        self.bytes_max = bytes_max
        self._arrived = bytearray()

    def read(self, chunk: bytes) -> Iterator[M]:
        """The messages that are complete with this chunk, one after the other.

        Raises:
            FrameError: It is no message, or too long; nothing more can be read.
        """
        arrived = self._arrived
        arrived += chunk
        while len(arrived) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(arrived)
            if length > self.bytes_max:
                raise FrameError(f"{length:,} bytes, over the limit of {self.bytes_max:,}")
            end = _LENGTH.size + length
            if len(arrived) < end:
                return
            body = bytes(memoryview(arrived)[_LENGTH.size : end])
            del arrived[:end]
            try:
                message = self._decoder.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
                raise FrameError(f"no message of ours: {problem}") from None
            yield message

    @property
    def kept_bytes(self) -> int:
        """Bytes of a message that has not wholly arrived."""
        return len(self._arrived)


def from_worker() -> FrameReader[FromWorker]:
    """Reads what a worker says; at first no more than `Hello` has room for."""
    return FrameReader(_from_worker, HELLO_BYTES_MAX)


def to_worker() -> FrameReader[ToWorker]:
    """Reads what the observer says."""
    return FrameReader(_to_worker, TO_WORKER_BYTES_MAX)


def halves_of(report: Report) -> tuple[Report, Report] | None:
    """A report that is too long for one message, as two; None if it cannot be cut.

    As totals are sums, and spans and logs stand alone, two say the same as one. Only the second has
    its number, and whether it is the last; the first is to be numbered by the sender.
    """
    first, second = msgspec.structs.replace(report, is_last=False), msgspec.structs.replace(report)
    is_cut = False
    for name in ("routes", "links", "stations", "statements", "arrivals", "spans", "logs"):
        whole: list[object] = getattr(report, name)
        middle = (len(whole) + 1) // 2
        is_cut |= len(whole) > 1
        setattr(first, name, whole[:middle])
        setattr(second, name, whole[middle:])
    return (first, second) if is_cut else None
