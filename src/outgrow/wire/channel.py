"""A pair of sockets between two processes of one app, for small typed messages and descriptors.

A frame is the length of its message, the number of descriptors that belong to it, and the message
in MessagePack. Descriptors arrive in order but not tied to a byte, hence the number. Either end may
block or not; `send` keeps what the kernel does not take yet.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

FRAME_BYTES_MAX = 8 * 1024 * 1024
DESCRIPTORS_MAX = 200
_HEAD = struct.Struct("<IB")
_encode = msgspec.msgpack.Encoder().encode


class ChannelClosedError(Exception):
    """The other end is gone, or spoke nonsense."""


class Channel(Generic[T]):
    """One end. It receives messages of type `T` and sends any msgspec type.

    Args:
        sock: A connected Unix stream socket, owned by the channel from here on.
        receives: The type (often a tagged union) of what arrives.
    """

    def __init__(self, sock: socket.socket, receives: Any) -> None:
        self.sock = sock
        self._decode = msgspec.msgpack.Decoder[T](receives).decode
        self._arrived = bytearray()
        self._lacks_room = False
        self._descriptors: deque[int] = deque()
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()

    def fileno(self) -> int:
        """Descriptor of this end, for polling."""
        return self.sock.fileno()

    @property
    def has_waiting(self) -> bool:
        """Whether something could not be sent yet: call `flush` when the socket is writable."""
        return bool(self._waiting)

    def send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send a message, or keep it until `flush` where the socket does not block.

        Raises:
            ChannelClosedError: The other end is gone.
        """
        payload = _encode(message)
        frame = _HEAD.pack(len(payload), len(descriptors)) + payload
        sent = 0 if self._waiting else self._send_some(frame, descriptors)
        if sent < len(frame):
            # The sender may close its own descriptors before these leave.
            kept = () if sent else tuple(os.dup(descriptor) for descriptor in descriptors)
            self._waiting.append((frame[sent:], kept))
            self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it.

        Raises:
            ChannelClosedError: The other end is gone.
        """
        while self._waiting:
            frame, descriptors = self._waiting[0]
            sent = self._send_some(frame, descriptors)
            if not sent:
                return
            _close_all(descriptors)
            if sent == len(frame):
                self._waiting.popleft()
            else:
                self._waiting[0] = (frame[sent:], ())

    def _send_some(self, frame: bytes, descriptors: Sequence[int]) -> int:
        try:
            if not descriptors:
                return self.sock.send(frame)
            rights = array.array("i", descriptors)
            return self.sock.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except BlockingIOError:
            return 0
        except OSError as problem:
            raise ChannelClosedError(str(problem)) from problem

    def receive(self) -> list[tuple[T, list[int]]]:
        """Read once, and return the messages that are complete, each with its descriptors.

        Raises:
            ChannelClosedError: The other end is gone, or what came is no message.
        """
        try:
            chunk, descriptors = self._receive_some()
        except BlockingIOError:
            return []
        except OSError as problem:
            raise ChannelClosedError(str(problem)) from problem
        self._descriptors.extend(descriptors)
        if not chunk:
            raise ChannelClosedError("the other process closed the channel")
        self._arrived += chunk
        return self._complete()

    def _receive_some(self) -> tuple[bytes, list[int]]:
        room = socket.CMSG_SPACE(DESCRIPTORS_MAX * array.array("i").itemsize)
        chunk, ancillary, flags, _ = self.sock.recvmsg(262_144, room)
        # This process has as many descriptors as it may: the kernel drops the rest.
        self._lacks_room = self._lacks_room or bool(flags & socket.MSG_CTRUNC)
        rights = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                rights.frombytes(content[: len(content) - len(content) % rights.itemsize])
        for descriptor in rights:
            os.set_inheritable(descriptor, False)
        return chunk, rights.tolist()

    def _complete(self) -> list[tuple[T, list[int]]]:
        messages: list[tuple[T, list[int]]] = []
        while len(self._arrived) >= _HEAD.size:
            length, count = _HEAD.unpack_from(self._arrived)
            end = _HEAD.size + length
            if length > FRAME_BYTES_MAX:
                raise ChannelClosedError(f"a frame of {length} bytes is over the limit")
            if len(self._arrived) < end:
                break
            payload = bytes(self._arrived[_HEAD.size : end])
            del self._arrived[:end]
            if count > len(self._descriptors) and not self._lacks_room:
                raise ChannelClosedError("a frame came without its descriptors")
            taken = [self._descriptors.popleft() for _ in range(min(count, len(self._descriptors)))]
            messages.append((self._decoded(payload), taken))
        return messages

    def _decoded(self, payload: bytes) -> T:
        try:
            return self._decode(payload)
        except msgspec.MsgspecError as problem:
            raise ChannelClosedError(f"not a message: {problem}") from problem

    def close(self) -> None:
        """Close this end, with all descriptors that nobody took."""
        _close_all(self._descriptors)
        self._descriptors.clear()
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()
        self.sock.close()


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected Unix stream sockets, neither of them inherited by child programs."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
