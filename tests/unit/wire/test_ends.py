"""Both ends of a connection, fed with anything: a small form of `make fuzz`."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.ends import known, try_one


@given(st.lists(st.sampled_from(known()) | st.binary(max_size=30), max_size=6).map(b"".join))
@example(b"")
@example(b"\x91\x11\x02\x09r\n\x00\x01\x05\x02")  # no room, after the end
def test_no_bytes_break_an_end_of_a_connection_or_leave_a_call(chosen: bytes) -> None:
    asyncio.run(try_one(chosen))


@pytest.mark.parametrize("chosen", known(), ids=lambda each: each.hex())
def test_each_kind_of_frame_is_taken_or_refused_by_either_end(chosen: bytes) -> None:
    asyncio.run(try_one(chosen))
