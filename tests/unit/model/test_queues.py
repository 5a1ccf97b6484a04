"""What bounds a queue, as people write it."""

from __future__ import annotations

import pytest

from outgrow.errors import SettingValueError
from outgrow.model import QueueBounds, queue_bounds


def test_each_limit_is_read_by_its_name() -> None:
    assert queue_bounds(["mail: concurrency=8, slots=4, rate=100/60", "work.night:slots=1"]) == {
        "mail": QueueBounds(concurrency=8, slots=4, rate_count=100, rate_seconds=60.0),
        "work.night": QueueBounds(slots=1),
    }
    assert queue_bounds([]) == {}


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        pytest.param(["mail"], "names no limit", id="no limit"),
        pytest.param(["mail: fast"], "`fast` is no limit", id="a word"),
        pytest.param(["mail: slots=many"], "`slots=many` is no limit", id="no number"),
        pytest.param(["mail: slots=0"], "`slots` is not within", id="none at all"),
        pytest.param(["mail: rate=5"], "`rate=5` is no limit", id="a rate without a time"),
        pytest.param(["mail: rate=5/0"], "the time of its rate", id="a rate in no time"),
        pytest.param(["mail: slots=1", "mail: slots=2"], "named twice", id="twice"),
    ],
)
def test_what_is_not_understood_is_named(texts: list[str], why: str) -> None:
    with pytest.raises(SettingValueError, match=why) as problem:
        queue_bounds(texts)
    assert "concurrency=8" in problem.value.hint
