"""Work that is handed to a thread pool stays part of the request, and the app's context its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from time import monotonic_ns
from types import SimpleNamespace

import pytest

from outgrow.telemetry import begin_segment, here
from outgrow.telemetry.outside.threads import watch_threads

mine: ContextVar[str] = ContextVar("mine", default="none")


class Pool(ThreadPoolExecutor):
    """One whose `submit` is changed, and no other's."""


@pytest.fixture
def pool() -> Iterator[Pool]:
    watch_threads(SimpleNamespace(ThreadPoolExecutor=Pool))
    with Pool(1) as pool:
        yield pool


def test_the_segment_goes_along_and_ends_with_the_work(pool: Pool) -> None:
    segment = begin_segment(monotonic_ns())
    token = here.set(segment)
    try:
        assert pool.submit(here.get).result() is segment
    finally:
        here.reset(token)
    assert pool.submit(here.get).result() is None


def test_variables_of_the_app_stay_as_they_are(pool: Pool) -> None:
    pool.submit(mine.set, "the thread's").result()
    tokens = here.set(begin_segment(monotonic_ns())), mine.set("the request's")
    try:
        assert pool.submit(mine.get).result() == "the thread's"
    finally:
        here.reset(tokens[0])
        mine.reset(tokens[1])


def test_results_and_problems_come_back(pool: Pool) -> None:
    token = here.set(begin_segment(monotonic_ns()))
    try:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert pool.submit(dict, fn=1, self=2).result() == {"fn": 1, "self": 2}
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
    finally:
        here.reset(token)
