"""Frames: cut anywhere they come out the same, and nothing that comes breaks their reader."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.wire.frames import (
    BODY_BYTES_MIN,
    CALL,
    CALLER,
    HAS_EXTRAS,
    HEAD,
    HELLO,
    MAGIC,
    REFUSED,
    FrameError,
    FrameReader,
    Hello,
    WireFrame,
    call_frame,
    frame,
    hello_frame,
    read_hello,
    split_extras,
)

LIMIT_BYTES = 300
words = st.binary(max_size=40)
frames = st.builds(
    WireFrame,
    kind=st.integers(HELLO, CALLER),
    flags=st.integers(0, 2**8 - 1),
    operation=st.integers(0, 2**16 - 1),
    caller=st.integers(0, 2**16 - 1),
    call=st.integers(0, 2**32 - 1),
    number=st.integers(0, 2**64 - 1),
    body=st.binary(max_size=LIMIT_BYTES),
)
heads = st.builds(
    HEAD.pack,
    st.integers(0, 2 * LIMIT_BYTES) | st.integers(0, 2**32 - 1),
    st.integers(0, CALLER + 2),
    *[st.just(0)] * 5,
)


def packed(one: WireFrame) -> bytes:
    head = (one.kind, one.flags, one.operation, one.caller, one.call, one.number)
    return HEAD.pack(len(one.body), *head) + one.body


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(cut % (len(whole) + 1) for cut in cuts)
    return [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_frames_cut_at_any_points_come_out_the_same(sent: list[WireFrame], cuts: list[int]) -> None:
    reader = FrameReader(LIMIT_BYTES)
    whole = b"".join(map(packed, sent))
    came = [one for piece in pieces(whole, cuts) for one in reader.read(piece)]
    assert came == sent
    assert reader.kept_bytes == 0


def test_frames_that_come_byte_by_byte_come_out_the_same() -> None:
    reader = FrameReader(LIMIT_BYTES)
    whole = call_frame(3, 0, 7, 5, b"abc", {"tenant": b"acme"}) + frame(REFUSED, 0) * 2
    came = [one for byte in whole for one in reader.read(bytes([byte]))]
    assert [one.kind for one in came] == [CALL, REFUSED, REFUSED]
    assert split_extras(came[0].body) == ({"tenant": b"acme"}, b"abc")


@given(st.lists(st.binary(max_size=120) | heads | st.builds(packed, frames), max_size=20))
def test_no_bytes_break_the_reader_or_make_it_keep_more_than_one_frame(chunks: list[bytes]) -> None:
    reader = FrameReader(LIMIT_BYTES)
    came_bytes = read_bytes = 0
    for chunk in chunks:
        came_bytes += len(chunk)
        try:
            came = reader.read(chunk)
        except FrameError:
            return
        read_bytes += sum(HEAD.size + len(one.body) for one in came)
        assert reader.kept_bytes == came_bytes - read_bytes
        assert reader.kept_bytes < HEAD.size + LIMIT_BYTES


@pytest.mark.parametrize("length", [LIMIT_BYTES + 1, 2**31, 2**32 - 1])
def test_a_head_that_promises_too_much_is_refused_before_its_body_comes(length: int) -> None:
    reader = FrameReader(LIMIT_BYTES)
    with pytest.raises(FrameError, match=r"over the limit of 300"):
        reader.read(HEAD.pack(length, CALL, 0, 0, 0, 0, 0))
    assert reader.kept_bytes == 0


@pytest.mark.parametrize("kind", [0, CALLER + 1, 255])
def test_a_kind_that_nobody_knows_is_refused(kind: int) -> None:
    with pytest.raises(FrameError, match=f"unknown kind {kind}"):
        FrameReader(LIMIT_BYTES).read(HEAD.pack(0, kind, 0, 0, 0, 0, 0))


def test_a_head_that_promises_more_than_comes_gives_no_frame() -> None:
    reader = FrameReader(LIMIT_BYTES)
    assert reader.read(HEAD.pack(10, CALL, 0, 0, 0, 0, 0) + b"only nine") == []
    (one,) = reader.read(b"!" + frame(REFUSED, 0)[:5])
    assert one.body == b"only nine!"


def test_a_head_that_promises_less_than_comes_is_found_out_by_what_follows() -> None:
    reader = FrameReader(LIMIT_BYTES)
    with pytest.raises(FrameError, match="unknown kind"):
        reader.read(HEAD.pack(1, CALL, 0, 0, 0, 0, 0) + b"x" * 100)


@given(st.binary(max_size=200) | st.builds(msgspec.msgpack.encode, st.text()))
def test_no_bytes_break_the_reader_of_first_words(body: bytes) -> None:
    with suppress(FrameError):
        read_hello(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x86\xa5magic\xa3\xff\xfe\xfd", id="text that is no text"),
        pytest.param(b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0", id="a nest of 100,000 lists"),
        pytest.param(
            msgspec.msgpack.encode(
                {
                    "magic": "HTTP",
                }
            ),
            id="words left out",
        ),
        pytest.param(
            msgspec.msgpack.encode(Hello("other", [1], [])), id="the words of something else"
        ),
        pytest.param(
            msgspec.msgpack.encode(Hello(MAGIC, [1], [], body_bytes_max=BODY_BYTES_MIN - 1)),
            id="a limit too small for any error",
        ),
        pytest.param(
            msgspec.msgpack.encode(Hello(MAGIC, [1], [], body_bytes_max=2**32)),
            id="a limit that no head can say",
        ),
        pytest.param(
            msgspec.msgpack.encode(Hello(MAGIC, [1], ["x"] * 2**16)),
            id="more operations than have numbers",
        ),
    ],
)
def test_first_words_that_make_no_sense_are_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        read_hello(body)


def test_first_words_are_read_as_they_were_written() -> None:
    hello = Hello(MAGIC, [1, 99], ["Stock.reserve"], 7, 2**20, "front/1")
    (one,) = FrameReader(LIMIT_BYTES).read(hello_frame(hello))
    assert (one.kind, read_hello(one.body)) == (HELLO, hello)


@given(st.dictionaries(st.text(max_size=5), words, min_size=1, max_size=4), words)
def test_extras_are_split_as_they_were_put_together(extras: dict[str, bytes], body: bytes) -> None:
    (one,) = FrameReader(10_000).read(call_frame(1, 2, 3, 4, body, extras))
    assert one.flags == HAS_EXTRAS
    assert split_extras(one.body) == (extras, body)


@given(words | st.builds(lambda rest: b"\x09\0\0\0\x81\xa1" + rest, words))
def test_no_bytes_break_the_reader_of_extras(body: bytes) -> None:
    with suppress(FrameError):
        split_extras(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x05\0\0\0\x81\xa1\xff\xc4\0", id="a name that is no text"),
        pytest.param(b"\xff\xff\xff\xff", id="longer than the call"),
        pytest.param(b"\0", id="no size"),
    ],
)
def test_extras_that_make_no_sense_are_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        split_extras(body)
