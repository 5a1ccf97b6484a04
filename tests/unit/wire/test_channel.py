"""Messages and descriptors arrive whole, in order and together, however the bytes come."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.wire import Channel, ChannelClosedError, channel_pair
from outgrow.wire.channel import FRAME_BYTES_MAX

HEAD = struct.Struct("<IB")
Ends = tuple[Channel[Any], Channel[Any]]


class Note(msgspec.Struct, tag="note"):
    text: str
    numbers: list[int] = []


class Tick(msgspec.Struct, tag="tick"):
    count: int


def ends_of(kind: Any = Note | Tick, *, blocks: bool = True) -> Ends:
    ours, theirs = channel_pair()
    ours.setblocking(blocks)
    theirs.setblocking(blocks)
    return Channel(ours, kind), Channel(theirs, kind)


@pytest.fixture(params=[True, False], ids=["blocking", "not blocking"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    pair = ends_of(blocks=request.param)
    yield pair
    for end in pair:
        end.close()


def arrived(channel: Channel[Any], count: int) -> list[tuple[Any, list[int]]]:
    """Read until so many messages are there; each read waits for bytes."""
    messages: list[tuple[Any, list[int]]] = []
    while len(messages) < count:
        messages += channel.receive()
    return messages


def pumped(sender: Channel[Any], receiver: Channel[Any], count: int) -> list[Any]:
    """Flush and read in turns until so many messages came."""
    messages: list[Any] = []
    while len(messages) < count:
        sender.flush()
        messages += receiver.receive()
    return messages


def content_of(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return os.pread(file.fileno(), 100, 0)


def opened(folder: Path, content: bytes) -> int:
    path = folder / content.decode()
    path.write_bytes(content)
    return os.open(path, os.O_RDONLY)


def test_messages_of_several_kinds_arrive_in_order(ends: Ends) -> None:
    ends[0].send(Note("a", [1, 2]))
    ends[0].send(Tick(3))
    assert arrived(ends[1], 2) == [(Note("a", [1, 2]), []), (Tick(3), [])]


def test_both_ends_can_speak(ends: Ends) -> None:
    ends[0].send(Tick(1))
    ends[1].send(Tick(2))
    assert arrived(ends[1], 1) + arrived(ends[0], 1) == [(Tick(1), []), (Tick(2), [])]


def test_one_read_returns_all_messages_that_are_there(ends: Ends) -> None:
    for count in range(100):
        ends[0].send(Tick(count))
    assert [message.count for message, _ in ends[1].receive()] == list(range(100))


def test_a_frame_that_comes_byte_by_byte_is_a_message_once_it_is_whole(ends: Ends) -> None:
    payload = msgspec.msgpack.encode(Note("slowly"))
    frame = HEAD.pack(len(payload), 0) + payload
    for position in range(len(frame) - 1):
        ends[0].sock.send(frame[position : position + 1])
        assert ends[1].receive() == []
    ends[0].sock.send(frame[-1:])
    assert ends[1].receive() == [(Note("slowly"), [])]


def test_an_end_that_does_not_block_returns_nothing_where_nothing_came() -> None:
    one, other = ends_of(blocks=False)
    assert one.receive() == []
    one.close()
    other.close()


def test_what_the_kernel_does_not_take_waits_for_a_flush() -> None:
    sender, receiver = ends_of(blocks=False)
    texts = [str(number) * 50_000 for number in range(20)]
    for text in texts:
        sender.send(Note(text))
    assert sender.has_waiting
    messages = pumped(sender, receiver, len(texts))
    assert [message.text for message, _ in messages] == texts
    assert not sender.has_waiting
    sender.close()
    receiver.close()


def test_a_large_message_passes_between_ends_that_block() -> None:
    sender, receiver = ends_of()
    note = Note("x" * 3_000_000, list(range(1000)))
    sending = threading.Thread(target=sender.send, args=(note,))
    sending.start()
    assert arrived(receiver, 1) == [(note, [])]
    sending.join()
    sender.close()
    receiver.close()


def test_descriptors_come_with_their_own_message(ends: Ends, tmp_path: Path) -> None:
    descriptors = [opened(tmp_path, name) for name in (b"one", b"two", b"three")]
    ends[0].send(Tick(0))
    ends[0].send(Tick(1), descriptors[:1])
    ends[0].send(Tick(2))
    ends[0].send(Tick(3), descriptors[1:])
    ends[0].send(Tick(4))
    for descriptor in descriptors:
        os.close(descriptor)
    messages = arrived(ends[1], 5)
    contents = [[content_of(one) for one in taken] for _, taken in messages]
    assert [message.count for message, _ in messages] == [0, 1, 2, 3, 4]
    assert contents == [[], [b"one"], [], [b"two", b"three"], []]


def test_descriptors_stay_with_large_messages_that_are_sent_in_parts(tmp_path: Path) -> None:
    sender, receiver = ends_of(blocks=False)
    names = [str(number).encode() for number in range(6)]
    descriptors = [opened(tmp_path, name) for name in names]
    for name, descriptor in zip(names, descriptors, strict=True):
        sender.send(Note(name.decode() * 200_000), [descriptor])
        sender.send(Tick(int(name)))
    messages = pumped(sender, receiver, 12)
    contents = [[content_of(one) for one in taken] for _, taken in messages]
    assert contents == [part for name in names for part in ([name], [])]
    assert [m.text[0] for m, _ in messages if isinstance(m, Note)] == [n.decode() for n in names]
    for descriptor in descriptors:
        os.close(descriptor)
    sender.close()
    receiver.close()


def test_descriptors_of_a_frame_that_is_split_by_hand_wait_for_its_end(
    ends: Ends, tmp_path: Path
) -> None:
    payload = msgspec.msgpack.encode(Tick(7))
    frame = HEAD.pack(len(payload), 1) + payload
    descriptor = opened(tmp_path, b"late")
    socket.send_fds(ends[0].sock, [frame[:2]], [descriptor])
    os.close(descriptor)
    assert ends[1].receive() == []
    ends[0].sock.send(frame[2:])
    ((message, taken),) = ends[1].receive()
    assert (message, content_of(taken[0])) == (Tick(7), b"late")


def test_a_descriptor_that_arrived_is_not_inherited_by_programs(ends: Ends, tmp_path: Path) -> None:
    descriptor = opened(tmp_path, b"own")
    ends[0].send(Tick(1), [descriptor])
    os.close(descriptor)
    ((_, taken),) = arrived(ends[1], 1)
    assert not os.get_inheritable(taken[0])
    os.close(taken[0])


def test_closing_closes_descriptors_that_nobody_took(tmp_path: Path) -> None:
    sender, receiver = ends_of()
    reading, writing = os.pipe()
    payload = msgspec.msgpack.encode(Tick(1))
    socket.send_fds(sender.sock, [HEAD.pack(len(payload), 1)], [writing])
    os.close(writing)
    assert receiver.receive() == []
    receiver.close()
    assert os.read(reading, 1) == b""  # no writer is left
    os.close(reading)
    sender.close()


def test_many_descriptors_travel_with_one_message(ends: Ends, tmp_path: Path) -> None:
    descriptor = opened(tmp_path, b"many")
    ends[0].send(Tick(1), [descriptor] * 128)
    os.close(descriptor)
    ((_, taken),) = arrived(ends[1], 1)
    assert [content_of(one) for one in taken] == [b"many"] * 128


def test_a_closed_end_is_noticed_by_the_reader_and_the_writer(ends: Ends) -> None:
    ends[0].close()
    with pytest.raises(ChannelClosedError, match="closed the channel"):
        ends[1].receive()
    with pytest.raises(ChannelClosedError):
        ends[1].send(Tick(1))


def test_messages_sent_before_the_end_closed_still_arrive(ends: Ends) -> None:
    ends[0].send(Tick(9))
    ends[0].close()
    assert ends[1].receive() == [(Tick(9), [])]
    with pytest.raises(ChannelClosedError):
        ends[1].receive()


def test_half_a_frame_at_the_end_is_no_message(ends: Ends) -> None:
    ends[0].sock.send(HEAD.pack(50, 0) + b"half")
    ends[0].close()
    assert ends[1].receive() == []
    with pytest.raises(ChannelClosedError):
        ends[1].receive()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(HEAD.pack(FRAME_BYTES_MAX + 1, 0), "over the limit", id="a frame too large"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "over the limit", id="another protocol"),
        pytest.param(HEAD.pack(3, 0) + b"\xc1\xc1\xc1", "not a message", id="no MessagePack"),
        pytest.param(HEAD.pack(1, 0) + b"\x01", "not a message", id="a number for a message"),
        pytest.param(
            HEAD.pack(2, 1) + msgspec.msgpack.encode({}) + b"\x00",
            "without its descriptors",
            id="descriptors that did not come",
        ),
    ],
)
def test_nonsense_ends_the_channel(ends: Ends, sent: bytes, reason: str) -> None:
    ends[0].sock.send(sent)
    with pytest.raises(ChannelClosedError, match=reason):
        ends[1].receive()


def test_a_message_of_a_foreign_kind_ends_the_channel() -> None:
    sender, receiver = ends_of(Tick)
    sender.send(Note("a"))
    with pytest.raises(ChannelClosedError, match="not a message"):
        receiver.receive()
    sender.close()
    receiver.close()


notes = st.builds(Note, st.text(), st.lists(st.integers(-(2**63), 2**64 - 1)))
ticks = st.builds(Tick, st.integers(-(2**63), 2**64 - 1))


@given(st.lists(notes | ticks, max_size=20), st.booleans())
def test_whatever_is_sent_arrives_as_it_was(messages: list[Note | Tick], blocks: bool) -> None:
    sender, receiver = ends_of(blocks=blocks)
    for message in messages:
        sender.send(message)
    assert [message for message, _ in pumped(sender, receiver, len(messages))] == messages
    sender.close()
    receiver.close()


@given(st.lists(notes | ticks, min_size=1, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_frames_cut_anywhere_arrive_as_they_were(
    messages: list[Note | Tick], cuts: list[int]
) -> None:
    sender, receiver = ends_of(blocks=False)
    stream = b""
    for message in messages:
        payload = msgspec.msgpack.encode(message)
        stream += HEAD.pack(len(payload), 0) + payload
    got: list[Any] = []
    position = turn = 0
    while position < len(stream):
        size = max(cuts[turn % len(cuts)], len(stream) // 200)
        sender.sock.send(stream[position : position + size])
        got += receiver.receive()
        position, turn = position + size, turn + 1
    assert [message for message, _ in got] == messages
    sender.close()
    receiver.close()


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_are_messages_or_an_end_and_nothing_else(garbage: bytes) -> None:
    sender, receiver = ends_of(blocks=False)
    sender.sock.send(garbage)
    try:
        assert all(isinstance(message, Note | Tick) for message, _ in receiver.receive())
    except ChannelClosedError:
        pass
    finally:
        sender.close()
        receiver.close()


def test_descriptors_that_wait_are_kept_when_their_sender_closes_its_own(tmp_path: Path) -> None:
    sender, receiver = ends_of(blocks=False)
    count = 0
    while not sender.has_waiting:
        sender.send(Note("x" * 1000))
        count += 1
    descriptor = opened(tmp_path, b"kept")
    sender.send(Tick(1), [descriptor])
    os.close(descriptor)
    messages = pumped(sender, receiver, count + 1)
    assert messages[-1][0] == Tick(1)
    assert content_of(messages[-1][1][0]) == b"kept"
    sender.close()
    receiver.close()
