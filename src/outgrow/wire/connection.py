"""What both ends of a connection do: cut frames, write many at once, and stop when told to."""

from __future__ import annotations

import asyncio
from typing import cast

from outgrow.wire.frames import (
    HELLO,
    HELLO_BYTES_MAX,
    REFUSED,
    FrameError,
    FrameReader,
    WireFrame,
    frame,
)

HANDSHAKE_SECONDS_MAX = 5.0
CLOSE_SECONDS_MAX = 5.0
OUT_BYTES_MAX = 256 * 1024
OUT_FRAMES_MAX = 16
JOINED_BYTES_MAX = 64 * 1024
_WHY_BYTES_MAX = 1000


class Connection(asyncio.Protocol):
    """One end of a connection between two processes.

    What is sent in one turn of the event loop leaves in one write. Where the other side does not
    read, nothing more is handed to the kernel until it does.

    Attributes:
        body_bytes_max: The largest body that the other side takes.
        is_open: Frames can be sent.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._own_bytes_max = body_bytes_max
        self._reader = FrameReader(HELLO_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._is_flush_due = False
        self._room: asyncio.Future[None] | None = None
        self._has_shaken_hands = False
        self._hurry: asyncio.TimerHandle | None = None  # the other side's, to say hello or to go
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self.body_bytes_max = body_bytes_max
        self.is_open = False

    @property
    def is_gone(self) -> bool:
        """Whether it was open once, and is no more."""
        return self._lost.done()

    # For those who make it.

    def _hello_came(self, body: bytes) -> None:
        raise NotImplementedError

    def _came(self, one: WireFrame) -> None:
        raise NotImplementedError

    def _ended(self, why: str) -> None:
        raise NotImplementedError

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the other side has to say who it is soon."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1, low=0)
        self.is_open = True
        self._hurry = self._loop.call_later(HANDSHAKE_SECONDS_MAX, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        try:
            for one in self._reader.read(data):
                if not self.is_open:
                    return
                if self._has_shaken_hands:
                    self._came(one)
                else:
                    self._first_came(one)
        except FrameError as problem:
            self._break_off(str(problem))

    def _first_came(self, one: WireFrame) -> None:
        if one.kind != HELLO:
            self._other_came(one, "the other side before its first words")
            return
        self._hello_came(one.body)
        self._has_shaken_hands = True
        self._reader.body_bytes_max = self._own_bytes_max
        if self._hurry is not None:
            self._hurry.cancel()

    def _other_came(self, one: WireFrame, who: str) -> None:
        """Take a frame that either side may send at any time."""
        if one.kind != REFUSED:
            raise FrameError(f"a frame of kind {one.kind} came from {who}")
        self._end(one.body[:_WHY_BYTES_MAX].decode(errors="replace"))

    def _too_slow(self) -> None:
        self._break_off(f"the other side said nothing for {HANDSHAKE_SECONDS_MAX:g} s")

    def pause_writing(self) -> None:
        """Keep what is sent: the other side does not read."""
        if self._room is None and self.is_open:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Send on."""
        if self._room is not None:
            self._room.set_result(None)
            self._room = None
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._end(str(exc) if exc else "the other side closed the connection")
        if self._hurry is not None:
            self._hurry.cancel()
        if not self._lost.done():
            self._lost.set_result(None)

    # Sending.

    def send(self, encoded: bytes) -> None:
        """Have a frame leave at the end of this turn of the loop, or now if there is much."""
        self._out.append(encoded)
        self._out_bytes += len(encoded)
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        if self._out_bytes > OUT_BYTES_MAX or len(self._out) >= OUT_FRAMES_MAX:
            self._flush()

    def send_with(self, head: bytes, body: bytes) -> None:
        """Have a frame leave whose body is not copied again if it is large."""
        if len(body) > JOINED_BYTES_MAX:
            self._out.append(head)
            self._out_bytes += len(head)
            self.send(body)
        else:
            self.send(head + body)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._room is None and self._out and self._transport is not None:
            out, self._out = self._out, []
            is_large = self._out_bytes > JOINED_BYTES_MAX
            self._out_bytes = 0
            self._handed_over()
            if is_large:
                self._transport.writelines(out)
            else:
                self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _handed_over(self) -> None:
        """All that was sent so far is the kernel's from now on."""

    async def room(self) -> None:
        """Wait until the other side reads."""
        while self._room is not None:
            await asyncio.shield(self._room)

    # The end.

    def _break_off(self, why: str) -> None:
        """Say why, and close."""
        if self.is_open:
            self.send(frame(REFUSED, 0, why.encode()))
            self._flush()
        self._end(why)

    def _end(self, why: str) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._hurry is not None:
            self._hurry.cancel()
        if self._room is not None:
            self._room.set_result(None)
            self._room = None
        self._out.clear()
        if self._transport is not None:
            # Who does not read what is still to be sent must not keep the socket open.
            self._hurry = self._loop.call_later(CLOSE_SECONDS_MAX, self._transport.abort)
            self._transport.close()
        self._ended(why)

    def close(self) -> None:
        """Send what is still to be sent, and close."""
        self._flush()
        self._end("this side closed the connection")

    async def closed(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._lost)
