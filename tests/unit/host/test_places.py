"""The line that is named is the app's, not Python's, a package's or ours."""

from __future__ import annotations

import asyncio
import json
import sysconfig
import threading
import traceback
from pathlib import Path

import pytest

import outgrow
from outgrow.host.places import (
    calling_line,
    is_own,
    lines_in,
    lines_of,
    running_line,
    waiting_line,
)

HERE = Path(__file__).name


def problem_of(text: str) -> BaseException:
    try:
        json.loads(text)
    except ValueError as problem:
        return problem
    raise AssertionError


@pytest.mark.parametrize(
    ("file", "own"),
    [
        pytest.param(__file__, True, id="a file of the app"),
        pytest.param("<frozen importlib._bootstrap>", False, id="the import system"),
        pytest.param(json.__file__, False, id="the standard library"),
        pytest.param(outgrow.__file__, False, id="Outgrow"),
        pytest.param(pytest.__file__, False, id="a package"),
        pytest.param("/usr/lib/python3/dist-packages/x.py", False, id="a package of the system"),
        pytest.param(
            sysconfig.get_paths()["purelib"] + "/x.py", False, id="a package of this environment"
        ),
    ],
)
def test_a_file_is_the_apps_own_or_not(file: str, own: bool) -> None:
    assert is_own(file) is own


def test_only_the_apps_lines_of_a_problem_are_shown() -> None:
    shown = lines_of(problem_of("{"))
    assert HERE in shown
    assert "json.loads(text)" in shown
    assert "decoder.py" not in shown


def test_a_problem_without_a_line_of_the_app_shows_what_there_is() -> None:
    text = f'  File "{json.__file__}", line 3, in loads\n    decode()\n'
    assert lines_in(text) == f"  {json.__file__}:3: decode()"


def test_a_traceback_in_text_shows_the_same_lines_as_the_problem() -> None:
    problem = problem_of("[")
    assert lines_in("".join(traceback.format_exception(problem))) == lines_of(problem)


def test_at_most_five_lines_are_shown() -> None:
    def deeper(levels: int) -> None:
        if levels == 0:
            raise LookupError
        deeper(levels - 1)

    with pytest.raises(LookupError) as raised:
        deeper(20)
    assert len(lines_of(raised.value).splitlines()) == 5


def test_bad_syntax_is_shown_with_its_own_line() -> None:
    with pytest.raises(SyntaxError) as raised:
        compile("x = 1\ny = = 2\n", "shop.py", "exec")
    assert lines_of(raised.value) == "  shop.py:2: y = = 2"


def test_the_calling_line_is_here() -> None:
    assert calling_line().rpartition(":")[0] == __file__


def test_a_task_waits_at_the_innermost_line_of_the_app() -> None:
    async def connect() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 10)

    async def start() -> None:
        await connect()

    async def look() -> str:
        task = asyncio.create_task(start())
        await asyncio.sleep(0)
        place = waiting_line(task)
        task.cancel()
        return place

    assert asyncio.run(look()).endswith("in connect")
    assert waiting_line(None) == ""


def test_a_thread_is_at_the_innermost_line_of_the_app() -> None:
    over = threading.Event()
    begun = threading.Event()

    def work() -> None:
        begun.set()
        over.wait()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(5)
    place = running_line(thread.ident)
    over.set()
    thread.join()
    assert place.endswith("in work")
    assert HERE in place


def test_a_thread_that_is_gone_is_nowhere() -> None:
    assert running_line(None) == ""
