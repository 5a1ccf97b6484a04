"""Signs are silenced with a reason and until a day, and come back after it."""

from __future__ import annotations

import datetime
import tomllib
from typing import Any

import msgspec
import pytest

pytest.importorskip("numpy")

from outgrow.capacity import SIGN_NAMES, Finding
from outgrow.dashboard.silencing import SILENCES_MAX, silences_in, sorted_out
from outgrow.errors import SettingValueError

TODAY = datetime.date(2026, 12, 1)
GOOD = {"sign": "full station", "subject": "loop web", "reason": "known", "until": TODAY}


def finding(sign: str = "full station", subject: str = "loop web") -> Finding:
    return Finding(
        sign=sign, severity="warn", subject=subject, value=0.6, threshold=0.5, text="it is full"
    )


def seen(today: datetime.date, *findings: Finding, **entry: Any) -> tuple[list[str], list[str]]:
    silences = silences_in({"silenced": [GOOD | entry]}, "outgrow.toml")
    wanted, unwanted = sorted_out(findings, silences, today)
    return [one.subject for one in wanted], [one.subject for one in unwanted]


def test_a_sign_is_silent_on_its_last_day_and_comes_back_the_day_after() -> None:
    assert seen(TODAY, finding()) == ([], ["loop web"])
    assert seen(TODAY + datetime.timedelta(days=1), finding()) == (["loop web"], [])


def test_a_sign_that_comes_back_says_why_it_was_silent() -> None:
    silences = silences_in({"silenced": [GOOD]}, "outgrow.toml")
    (back,), _ = sorted_out([finding()], silences, datetime.date(2027, 1, 1))
    assert back.silence is not None
    assert (back.silence.reason, back.silence.until, back.silence.is_over) == (
        "known",
        "2026-12-01",
        True,
    )


def test_only_the_sign_at_the_subject_is_silent() -> None:
    others = (finding(subject="loop mail"), finding(sign="headroom"))
    assert seen(TODAY, *others) == (["loop mail", "loop web"], [])


def test_without_a_subject_a_sign_is_silent_everywhere() -> None:
    silences = silences_in(
        {"silenced": [{key: value for key, value in GOOD.items() if key != "subject"}]}, "a file"
    )
    wanted, unwanted = sorted_out([finding(), finding(subject="loop mail")], silences, TODAY)
    assert (len(wanted), len(unwanted)) == (0, 2)


def test_of_two_silences_the_later_one_counts() -> None:
    later = GOOD | {"until": datetime.date(2027, 6, 1), "reason": "later"}
    silences = silences_in({"silenced": [GOOD, later]}, "outgrow.toml")
    _, (one,) = sorted_out([finding()], silences, datetime.date(2027, 1, 1))
    assert one.silence is not None
    assert one.silence.reason == "later"


def test_a_day_survives_the_way_to_another_process() -> None:
    content = tomllib.loads(
        """
        [[signs.silenced]]
        sign = "write lock"
        reason = "PostgreSQL comes"
        until = 2027-03-31
        """
    )
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(content))
    (one,) = silences_in(carried["signs"], "outgrow.toml")
    assert one.until == datetime.date(2027, 3, 31)
    assert one == silences_in(content["signs"], "outgrow.toml")[0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        pytest.param({"quiet": []}, "`quiet` under [signs] in a file is not known", id="a key"),
        pytest.param(
            {"silenced": GOOD}, "`signs.silenced` in a file is no list of tables", id="one bracket"
        ),
        pytest.param({"silenced": ["headroom"]}, "is no table", id="a word"),
        pytest.param({"silenced": [GOOD | {"why": "x"}]}, "`why` of entry 1", id="an unknown key"),
        pytest.param(
            {"silenced": [GOOD | {"sign": "fullstation"}]},
            "is about `fullstation`, which is no sign",
            id="no such sign",
        ),
        pytest.param({"silenced": [GOOD | {"reason": " "}]}, "has no `reason`", id="no reason"),
        pytest.param({"silenced": [GOOD | {"subject": 3}]}, "has no `subject`", id="a number"),
        pytest.param({"silenced": [GOOD | {"until": None}]}, "until which day", id="no day"),
        pytest.param({"silenced": [GOOD | {"until": "soon"}]}, "until which day", id="some day"),
        pytest.param(
            {"silenced": [GOOD | {"reason": "x" * 401}]}, "has 401 characters", id="an essay"
        ),
        pytest.param(
            {"silenced": [GOOD] * (SILENCES_MAX + 1)}, "silences more than 200", id="too many"
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_where_and_what_to_write(
    table: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingValueError) as refused:
        silences_in(table, "a file")
    assert said in refused.value.text


def test_a_sign_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(SettingValueError) as refused:
        silences_in({"silenced": [GOOD | {"sign": "x"}]}, "a file")
    assert all(name in (refused.value.hint or "") for name in SIGN_NAMES)
