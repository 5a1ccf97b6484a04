"""A segment takes tuples while it goes on, and becomes spans where it is kept."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context

import pytest

from outgrow.telemetry import (
    CLIENT,
    SPANS_MAX,
    Parent,
    begin_segment,
    enter_segment,
    keeper,
    note,
    outgoing,
    outgoing_state,
    parent_of,
    problem_text,
    reserve,
    trace_ids,
)
from outgrow.telemetry.traces import NOTED_BYTES_MAX, followed, spans_of
from outgrow.telemetry.w3c import packed, unpacked

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        pytest.param(VALID, 1, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", 0, id="not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", 3, id="a flag that is not known"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", 1, id="a version that is not known"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", 1, id="more to come"),
    ],
)
def test_a_traceparent_is_understood(header: str, flags: int) -> None:
    assert parent_of(header.encode()) == Parent(int(TRACE, 16), int(SPAN, 16), flags)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", id="version ff"),
        pytest.param(f"00-{TRACE}-{SPAN}-01-more", id="more than version 00 has"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01.more", id="a later version without a dash"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", id="uppercase trace id"),
        pytest.param(f"00-{TRACE}-{SPAN.upper()}-01", id="uppercase span id"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="trace id of zeros"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="span id of zeros"),
        pytest.param(f"00-{TRACE[1:]}-{SPAN}-01", id="trace id too short"),
        pytest.param(f"00-{TRACE}-{SPAN}-1", id="flags too short"),
        pytest.param(f"00-{TRACE}-{SPAN}-0x", id="flags that are no number"),
        pytest.param(f"00-{TRACE}-{SPAN}", id="no flags"),
        pytest.param(f" {VALID}", id="a space in front"),
        pytest.param(f"{VALID}\n", id="a line end behind"),
        pytest.param(f"00_{TRACE}_{SPAN}_01", id="other dashes"),
    ],
)
def test_a_traceparent_that_is_not_valid_is_none(header: str) -> None:
    assert parent_of(header.encode()) is None


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        pytest.param(b"rojo=00f067aa0ba902b7,congo=t61", True, id="valid"),
        pytest.param(b"x=" + b"a" * 511, False, id="too long"),
        pytest.param(b"x=\x00", False, id="other characters"),
        pytest.param(b"x=\xff", False, id="no ascii"),
    ],
)
def test_a_tracestate_is_passed_on_as_it_is_or_left_out(state: bytes, kept: bool) -> None:
    parent = parent_of(VALID.encode(), state)
    assert parent is not None
    assert parent.state == (state.decode() if kept else "")


def test_what_travels_between_our_processes_is_read_back() -> None:
    parent = Parent(int(TRACE, 16), int(SPAN, 16), 1, "rojo=1")
    sent = packed(parent.trace_id, parent.span_id, parent.flags, parent.state)
    assert unpacked(sent) == parent
    assert unpacked(sent[:25]) == Parent(parent.trace_id, parent.span_id, 1)
    for broken in (b"", b"\0" * 25, sent[:24], sent + b"x" * 600):
        assert unpacked(broken) is None


def test_what_is_noted_becomes_spans_with_parents() -> None:
    def work() -> None:
        segment = begin_segment(1_000, parent_of(VALID.encode(), b"rojo=1"))
        enter_segment(segment)
        note("SELECT orders", CLIENT, 2_000, 5_000, {"db.system.name": "sqlite"})
        note("GET api", CLIENT, 6_000, 7_000, error="TimeoutError")
        segment.outcome, segment.ended_ns = ("GET /orders", "GET", 200), 9_000
        select, get, root = spans_of(segment)
        assert {span.trace_id.hex() for span in (select, get, root)} == {TRACE}
        assert root.parent_id.hex() == SPAN
        assert (root.kind, root.duration_ns, root.status) == (2, 8_000, 0)
        assert root.attributes == {
            "http.request.method": "GET",
            "http.route": "/orders",
            "http.response.status_code": 200,
        }
        assert select.parent_id == get.parent_id == root.span_id
        assert len({root.span_id, select.span_id, get.span_id}) == 3
        assert (select.kind, select.duration_ns) == (3, 3_000)
        assert select.attributes == {"db.system.name": "sqlite"}
        assert (get.status, get.message) == (2, "TimeoutError")
        assert spans_of(segment) == []

    copy_context().run(work)


def test_a_call_that_leaves_takes_the_trace_with_it() -> None:
    def work() -> None:
        assert outgoing() is None
        assert trace_ids() == (b"", b"")
        segment = begin_segment(0, parent_of(VALID.encode(), b"rojo=1"))
        enter_segment(segment)
        sent = outgoing()
        assert sent is not None
        assert sent == f"00-{TRACE}-{trace_ids()[1].hex()}-01"
        assert outgoing_state() == "rojo=1"

    copy_context().run(work)


def test_what_another_process_does_for_a_call_has_its_span_as_parent() -> None:
    def work() -> None:
        assert reserve() is None
        segment = begin_segment(0)
        enter_segment(segment)
        number = reserve()
        sent = outgoing(number)
        note("GET api", CLIENT, 1, 2, span=number)
        (span,) = spans_of(segment)
        assert sent == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-00"

    copy_context().run(work)


def test_a_trace_that_begins_here_asks_nobody_to_keep_it() -> None:
    def work() -> None:
        segment = begin_segment(0)
        enter_segment(segment)
        sent = outgoing()
        assert sent is not None
        assert sent.endswith("-00")
        assert parent_of(sent.encode()) is not None
        assert segment.is_shared

    copy_context().run(work)


def test_nothing_is_noted_outside_of_segments() -> None:
    copy_context().run(note, "SELECT 1", CLIENT, 1, 2)


def test_ids_are_random_whatever_the_app_does_with_its_dice() -> None:
    import random

    random.seed(1)
    first = begin_segment(0)
    random.seed(1)
    second = begin_segment(0)
    assert first.trace_id != second.trace_id
    assert first.span_id(1) != second.span_id(1)


def test_a_segment_holds_so_many_spans_and_the_parents_of_all_that_it_holds() -> None:
    def work() -> None:
        segment = begin_segment(0)
        enter_segment(segment)
        for _ in range(SPANS_MAX + 500):
            note("SELECT 1", CLIENT, 1, 2)
        keeper.forget()
        keeper.keep(segment, "error")
        found, lost = keeper.take()
        assert len(found) == SPANS_MAX - 1
        assert lost == 501
        keeper.forget()

    copy_context().run(work)


def test_attributes_are_cut_and_too_many_bytes_of_them_dropped() -> None:
    def work() -> None:
        segment = begin_segment(0)
        enter_segment(segment)
        note("x", CLIENT, 1, 2, {"text": "a" * 100_000, **{f"n{at}": at for at in range(100)}})
        for _ in range(5):
            note("y", CLIENT, 1, 2, {"text": "a" * (NOTED_BYTES_MAX // 2)})
        first, *others = spans_of(segment)
        assert len(first.attributes) == 32
        assert len(str(first.attributes["text"])) == 2000
        assert len(others) == 1
        assert segment.dropped == 4

    copy_context().run(work)


def test_threads_that_were_given_the_context_note_in_the_same_segment() -> None:
    def work() -> None:
        segment = begin_segment(0)
        enter_segment(segment)
        threads = [
            threading.Thread(
                target=copy_context().run,
                args=(lambda: [note("SELECT 1", CLIENT, 1, 2) for _ in range(100)],),
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = spans_of(segment)
        assert len({span.span_id for span in found}) == 400

    copy_context().run(work)


def test_tasks_that_run_at_once_stay_in_their_own_segments() -> None:
    async def one(name: str) -> set[str]:
        segment = begin_segment(0)
        enter_segment(segment)
        for _ in range(3):
            await asyncio.sleep(0)
            note(name, CLIENT, 1, 2)
        return {span.name for span in spans_of(segment)}

    async def work() -> None:
        found = await asyncio.gather(*(one(f"task {number}") for number in range(5)))
        assert found == [{f"task {number}"} for number in range(5)]

    asyncio.run(work())


def test_what_follows_a_request_soon_is_in_its_trace_and_later_in_another() -> None:
    segment = begin_segment(0)
    segment.is_open, segment.ended_ns = False, 10**9
    soon = followed(segment, 1, 2 * 10**9)
    assert soon.trace_id == segment.trace_id
    assert soon.span_id(0) == segment.span_id(1)
    assert followed(segment, 1, 3600 * 10**9).trace_id != segment.trace_id


class _NoWordsError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(ValueError("bad"), "ValueError: bad", id="a line"),
        pytest.param(ValueError(), "ValueError", id="no words"),
        pytest.param(_NoWordsError(), "_NoWordsError", id="words that fail"),
        pytest.param(
            ValueError("UNIQUE failed: users.email\n[SQL: INSERT]\n[parameters: ('a@b.c',)]"),
            "ValueError: UNIQUE failed: users.email",
            id="a statement with its parameters",
        ),
    ],
)
def test_an_exception_is_told_in_one_line(error: Exception, text: str) -> None:
    assert problem_text(error) == text
