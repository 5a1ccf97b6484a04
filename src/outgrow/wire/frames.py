"""What two processes say to each other about calls: frames of a fixed head and a body.

All frames have one head, whatever they are: one `struct` reads it, and a field that a kind has no
use for is 0. The body of a call is the array of its arguments in MessagePack, that of a result or
an item the value. Between machines as between processes, the same frames.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL: Final = 1
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
BODY_BYTES_MIN: Final = 1024
HELLO_BYTES_MAX: Final = 1024 * 1024
MAGIC: Final = "outgrow"

# The kinds of frames; a number is never used for another kind.
HELLO: Final = 1
CALL: Final = 2
RESULT: Final = 3
FAULT: Final = 4
CANCEL: Final = 5
ITEM: Final = 6
END: Final = 7
CREDIT: Final = 8
LEAVING: Final = 9
REFUSED: Final = 10
CALLER: Final = 11
_KINDS: Final = frozenset(range(HELLO, CALLER + 1))

# Bytes of the body, kind, flags, operation, caller, number of the call, and a number more: the
# nanoseconds left for a CALL, the bytes for a CREDIT.
HEAD: Final = struct.Struct("<IBBHHIQ")
HAS_EXTRAS: Final = 1
_OPERATIONS_MAX: Final = 2**16 - 1
CALLERS_MAX: Final = 4096  # that are named after the first frame, such as routes
CALLER_BYTES_MAX: Final = 1000
_SIZE: Final = struct.Struct("<I")
_NUMBER_MAX: Final = 2**64 - 1
_encode = msgspec.msgpack.Encoder().encode

# What a decoder raises where somebody else chose the bytes.
NONSENSE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class FrameError(Exception):
    """What came is no frame of this protocol."""


class WireFrame(msgspec.Struct, gc=False):
    """One frame as it was read.

    Attributes:
        kind: What it says.
        flags: What its body begins with.
        operation: The number of the operation called, in the callee's list.
        caller: The number of the operation that calls, in the caller's list.
        call: The number of the call.
        number: By kind.
        body: The rest.
    """

    kind: int
    flags: int
    operation: int
    caller: int
    call: int
    number: int
    body: bytes


class Hello(msgspec.Struct, frozen=True):
    """First frame of either side.

    Attributes:
        magic: Says that it is one of us.
        protocols: What it speaks, from the caller; what shall be spoken, from the callee.
        version: Of the app that runs there.
        operations: The operations that it calls or, from the callee, that it answers.
        body_bytes_max: The largest body that it takes; large enough for any error of ours.
        name: Of the process, for people.
    """

    magic: str
    protocols: list[int]
    operations: Annotated[list[str], msgspec.Meta(max_length=_OPERATIONS_MAX)]
    version: int = 0
    body_bytes_max: Annotated[int, msgspec.Meta(ge=BODY_BYTES_MIN, lt=2**32)] = BODY_BYTES_MAX
    name: str = ""


_hello = msgspec.msgpack.Decoder(Hello)


def hello_frame(hello: Hello) -> bytes:
    """The frame that begins a connection."""
    return frame(HELLO, 0, _encode(hello))


def read_hello(body: bytes) -> Hello:
    """What a first frame says.

    Raises:
        FrameError: It is none.
    """
    try:
        hello = _hello.decode(body)
    except NONSENSE as problem:
        raise FrameError(f"its first words make no sense: {problem}") from None
    if hello.magic != MAGIC:
        raise FrameError("its first words are not ours")
    return hello


def frame(kind: int, call: int, body: bytes = b"", number: int = 0) -> bytes:
    """A frame that is no call."""
    return HEAD.pack(len(body), kind, 0, 0, 0, call, number) + body


def call_frame(
    operation: int, caller: int, call: int, left_ns: int, body: bytes, extras: Mapping[str, bytes]
) -> bytes:
    """A call, whole."""
    return call_head(operation, caller, call, left_ns, body, extras) + body


def call_head(
    operation: int, caller: int, call: int, left_ns: int, body: bytes, extras: Mapping[str, bytes]
) -> bytes:
    """A call, up to its arguments.

    Args:
        operation: Its number, in the callee's list.
        caller: That of the operation that calls, in the caller's list.
        call: A number that no other call under way on the connection has.
        left_ns: Until its deadline; more than 0.
        body: Its arguments.
        extras: What travels with it, such as baggage.
    """
    left_ns = min(left_ns, _NUMBER_MAX)
    if not extras:
        return HEAD.pack(len(body), CALL, 0, operation, caller, call, left_ns)
    packed = _encode(extras)
    length = _SIZE.size + len(packed) + len(body)
    head = HEAD.pack(length, CALL, HAS_EXTRAS, operation, caller, call, left_ns)
    return head + _SIZE.pack(len(packed)) + packed


_extras: msgspec.msgpack.Decoder[dict[str, bytes]] = msgspec.msgpack.Decoder(dict[str, bytes])


def split_extras(body: bytes) -> tuple[dict[str, bytes], bytes]:
    """What travels with a call, and its arguments.

    Raises:
        FrameError: The body does not begin with extras.
    """
    try:
        (size,) = _SIZE.unpack_from(body)
        end = _SIZE.size + size
        if end > len(body):
            raise FrameError("a call's extras are longer than the call")
        return _extras.decode(body[_SIZE.size : end]), body[end:]
    except (struct.error, *NONSENSE) as problem:
        raise FrameError(f"a call's extras make no sense: {problem}") from None


class FrameReader:
    """Cuts what arrives into frames.

    Args:
        body_bytes_max: The largest body that is taken.

    Attributes:
        body_bytes_max: May be changed, from the next frame on.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self.body_bytes_max = body_bytes_max
        self._rest = b""  # less than a head
        self._head: tuple[int, ...] = ()  # of a frame whose body is on its way
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    def read(self, chunk: bytes) -> list[WireFrame]:
        """The frames that are complete with this chunk.

        Raises:
            FrameError: It is no frame of ours, or too large; nothing more can be read.
        """
        frames: list[WireFrame] = []
        start, size = 0, len(chunk)
        if self._head:
            start = self._fill(chunk, 0)
            if self._parts_bytes < self._head[0]:
                return frames
            frames.append(self._completed())
        elif self._rest:
            chunk = self._rest + chunk
            self._rest, size = b"", len(chunk)
        while size - start >= HEAD.size:
            head = HEAD.unpack_from(chunk, start)
            length, kind, flags, operation, caller, call, number = head
            if length > self.body_bytes_max or kind not in _KINDS:
                raise FrameError(_what_is_wrong(length, kind, self.body_bytes_max))
            begin = start + HEAD.size
            end = begin + length
            if end > size:
                self._head = head
                self._fill(chunk, begin)
                return frames
            frames.append(WireFrame(kind, flags, operation, caller, call, number, chunk[begin:end]))
            start = end
        if start < size:
            self._rest = chunk[start:]
        return frames

    def _fill(self, chunk: bytes, start: int) -> int:
        """Take what belongs to the body; where the rest begins."""
        end = start + self._head[0] - self._parts_bytes
        part = chunk[start:end]  # all of a chunk is no copy
        self._parts.append(part)
        self._parts_bytes += len(part)
        return end

    def _completed(self) -> WireFrame:
        _, kind, flags, operation, caller, call, number = self._head
        made = WireFrame(kind, flags, operation, caller, call, number, b"".join(self._parts))
        self._head, self._parts, self._parts_bytes = (), [], 0
        return made

    @property
    def kept_bytes(self) -> int:
        """Bytes of a frame that has not wholly arrived."""
        return len(self._rest) + bool(self._head) * HEAD.size + self._parts_bytes


def _what_is_wrong(length: int, kind: int, bytes_max: int) -> str:
    if kind not in _KINDS:
        return f"a frame of the unknown kind {kind}"
    return f"a frame of {length:,} bytes is over the limit of {bytes_max:,}"
