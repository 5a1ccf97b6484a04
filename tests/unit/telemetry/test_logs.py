"""What is logged is taken with its trace, and changes nothing about logging."""

from __future__ import annotations

import io
import logging
import logging.config
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import structlog

from outgrow.telemetry import (
    TraceFilter,
    add_trace_ids,
    begin_segment,
    enter_segment,
    tap,
    trace_ids,
)
from outgrow.telemetry.faultlines import TRACEBACK_MAX, described
from outgrow.telemetry.logs import PER_SECOND, TEXT_MAX, WARNINGS_PER_SECOND
from tests.recorded import logs, recorded

log = logging.getLogger("shop.orders")


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    before = log.level
    log.setLevel(logging.DEBUG)
    with recorded():
        yield
    log.setLevel(before)


def test_a_record_says_what_where_and_how_grave() -> None:
    log.warning("only %d left", 3, extra={"sku": "tea", "count": 3, "request": object()})
    (record,) = logs()
    assert (record.text, record.logger, record.severity) == ("only 3 left", "shop.orders", 13)
    assert (record.service, record.worker, record.trace_id) == ("shop", "web/1", b"")
    assert (record.attributes["sku"], record.attributes["count"]) == ("tea", 3)
    assert record.attributes["code.function.name"] == "test_a_record_says_what_where_and_how_grave"
    assert "request" not in record.attributes


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        pytest.param(logging.INFO, 9, id="info"),
        pytest.param(logging.WARNING, 13, id="warning"),
        pytest.param(logging.ERROR, 17, id="error"),
        pytest.param(logging.CRITICAL, 21, id="critical"),
        pytest.param(25, 9, id="one of the app's own"),
    ],
)
def test_levels_are_numbered_as_opentelemetry_does(level: int, severity: int) -> None:
    log.log(level, "x")
    assert [record.severity for record in logs()] == [severity]


def test_debug_and_what_the_logger_does_not_let_pass_is_not_taken() -> None:
    log.debug("x")
    log.setLevel(logging.ERROR)
    log.warning("y")
    assert logs() == []


def test_a_record_in_a_request_has_its_ids_and_an_error_keeps_the_trace() -> None:
    def work() -> None:
        segment = begin_segment(0)
        enter_segment(segment)
        log.info("x")
        assert segment.flaw == 0
        log.error("y")
        assert segment.flaw == 2
        assert {(record.trace_id, record.span_id) for record in logs()} == {trace_ids()}

    copy_context().run(work)


def test_libraries_that_talk_much_are_heard_from_warnings_on() -> None:
    for name in ("httpx", "sqlalchemy.engine.Engine", "uvicorn.access"):
        chatty = logging.getLogger(name)
        before, chatty.level = chatty.level, logging.INFO
        chatty.manager._clear_cache()  # type: ignore[attr-defined]
        chatty.info("GET https://x/y?key=secret")
        chatty.warning("slow")
        chatty.setLevel(before)
    assert [record.text for record in logs()] == ["slow"] * 3


def test_a_flood_is_cut_and_counted_and_leaves_room_for_warnings() -> None:
    for _ in range(PER_SECOND * 2):
        log.info("x")
    for _ in range(WARNINGS_PER_SECOND * 2):
        log.warning("y")
    taken, lost = tap.take()
    assert len(taken) == PER_SECOND + WARNINGS_PER_SECOND
    assert lost == PER_SECOND + WARNINGS_PER_SECOND


def test_a_long_text_is_cut() -> None:
    log.info("x" * 100_000)
    assert len(logs()[0].text) == TEXT_MAX


def test_a_record_that_cannot_be_shown_fails_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    logger = logging.Logger("apart", logging.INFO)
    logger.addHandler(logging.NullHandler())
    logger.info("%s", Broken())
    logger.info("%d", "no number")
    logger.info(Broken())
    assert len(logs()) == 2
    assert tap.lost == 1
    del capfd


def test_what_a_failed_statement_was_given_is_not_kept() -> None:
    text = (
        "UNIQUE failed\n[SQL: INSERT]\n[parameters: ('a@b.c', 'secret')]\nDETAIL:  Key (a)=(secret)"
    )
    try:
        raise ValueError(text)
    except ValueError:
        log.exception(text, extra={"password": "secret", "detail": text})
    (record,) = logs()
    assert "secret" not in record.text
    assert "secret" not in record.traceback
    assert "secret" not in str(record.attributes)
    assert "[SQL: INSERT]" in record.text


# Exceptions.


def fault_in(source: str, name: str, folder: Path) -> BaseException:
    """What a file of the app raises."""
    path = folder / name
    path.write_text(textwrap.dedent(source))
    space: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    try:
        space["go"]()
    except Exception as error:
        return error
    raise AssertionError


FAULTY = """
def price(sku):
    return {}[sku]

def go():
    return price("tea")
"""


def test_the_same_fault_has_one_fingerprint_whatever_is_edited_elsewhere(tmp_path: Path) -> None:
    first = described(fault_in(FAULTY, "a.py", tmp_path))
    edited = described(fault_in("import os\n\n\nX = 1\n" + FAULTY, "b.py", tmp_path))
    assert first.fingerprint == edited.fingerprint
    assert first.kind == "KeyError"
    assert len(first.fingerprint) == 16
    other = described(fault_in(FAULTY.replace("{}[sku]", "{}[sku, 1]"), "c.py", tmp_path))
    assert other.fingerprint != first.fingerprint


def test_another_type_on_the_same_line_is_another_fault(tmp_path: Path) -> None:
    source = "def go():\n    raise kind()\n"
    prints = {
        described(fault_in(f"kind = {kind}\n{source}", f"{kind}.py", tmp_path)).fingerprint
        for kind in ("KeyError", "ValueError")
    }
    assert len(prints) == 2


def test_lines_of_libraries_do_not_count(tmp_path: Path) -> None:
    source = "import json\ndef go():\n    json.loads(text)\n"
    prints = {
        described(fault_in(f"text = {text!r}\n{source}", f"{at}.py", tmp_path)).fingerprint
        for at, text in enumerate(("{", "[1,", "nonsense"))
    }
    assert len(prints) == 1


def test_a_fault_of_endless_recursion_and_a_group_are_told(tmp_path: Path) -> None:
    deep = described(fault_in("def go():\n    go()\n", "deep.py", tmp_path))
    assert deep.kind == "RecursionError"
    assert len(deep.traceback) <= TRACEBACK_MAX
    group = described(
        fault_in("def go():\n    raise ExceptionGroup('x', [KeyError(1)])\n", "g.py", tmp_path)
    )
    assert group.kind == "ExceptionGroup"
    assert "KeyError" in group.traceback


# Nothing changes.


def test_nothing_about_logging_changes() -> None:
    script = """
        import logging, sys
        from outgrow.telemetry import start_recording, tap
        start_recording("shop", "web/1")
        logging.getLogger("early").warning("by the last resort")
        assert not logging.getLogger().handlers
        logging.basicConfig(format="%(levelname)s %(message)s", level="INFO", stream=sys.stdout)
        logging.getLogger("late").info("as configured")
        logging.getLogger("late").info("with extra", extra={"trace_id": "mine"})
        assert len(tap.take()[0]) == 3
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stderr == "by the last resort\n"
    assert done.stdout == "INFO as configured\nINFO with extra\n"


def test_ids_can_be_put_into_a_format() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(TraceFilter())
    handler.setFormatter(logging.Formatter("%(trace_id)s %(span_id)s %(message)s"))
    logger = logging.Logger("apart")
    logger.addHandler(handler)

    def work() -> None:
        enter_segment(begin_segment(0))
        logger.info("inside")

    logger.info("outside")
    copy_context().run(work)
    outside, inside = out.getvalue().splitlines()
    assert outside == "  outside"
    assert [len(word) for word in inside.split()] == [32, 16, 6]


@pytest.fixture
def structured() -> Iterator[None]:
    """structlog as it is before anybody configures it, also afterwards."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def in_a_request(work: Callable[[], None]) -> tuple[bytes, bytes]:
    """Do something in a request; the ids of its trace and span."""

    def whole() -> tuple[bytes, bytes]:
        enter_segment(begin_segment(0))
        work()
        return trace_ids()

    return copy_context().run(whole)


@pytest.mark.usefixtures("structured")
def test_lines_that_structlog_prints_by_itself_can_carry_the_ids(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.configure(processors=[add_trace_ids, *structlog.get_config()["processors"]])
    trace_id, span_id = in_a_request(lambda: structlog.get_logger().info("sold", sku="tea"))
    printed = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert f"span_id={span_id.hex()} trace_id={trace_id.hex()}" in printed
    assert "sku=tea" in printed
    assert logs() == []


@pytest.mark.usefixtures("structured")
def test_lines_of_structlog_that_end_in_logging_are_kept_with_their_trace() -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logger = structlog.get_logger("shop.orders")
    ids = in_a_request(lambda: logger.warning("sold out", sku="tea", password="secret"))
    (record,) = logs()
    assert (record.text, record.severity, record.logger) == ("sold out", 13, "shop.orders")
    assert (record.trace_id, record.span_id) == ids
    assert record.attributes["sku"] == "tea"
    assert "password" not in record.attributes


def test_an_event_of_structlog_gets_the_ids() -> None:
    def work() -> None:
        enter_segment(begin_segment(0))
        event = add_trace_ids(None, "info", {"event": "x"})
        assert (event["trace_id"], event["span_id"]) == tuple(one.hex() for one in trace_ids())

    assert add_trace_ids(None, "info", {"event": "x"}) == {"event": "x"}
    copy_context().run(work)
