"""What the demo says last: a forecast beside what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from examples.proof import gain, sentence


def told(**more: Any) -> dict[str, Any]:
    return {
        "foretold": {"best": 182.0, "low": 144.0, "high": 205.0},
        "measured": {"best": 188.2, "low": 180.0, "high": 195.0},
        "is_reached": True,
        "first_foretold": ["loop front", "writer stock.db"],
        "first_measured": "writer stock.db",
        "is_held": True,
        "others_cores": 0.0,
        **more,
    }


PREDICTED = "Predicted 182 (144 to 205) requests/s, with `loop front` or `writer stock.db` as the "


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(
            {},
            "first limit; measured 188, with `writer stock.db` first: the first limit was right.",
            id="right",
        ),
        pytest.param(
            {"first_measured": "cpu host"},
            "first limit; measured 188, with `cpu host` first: the first limit was wrong.",
            id="wrong",
        ),
        pytest.param(
            {"first_measured": ""},
            "first limit; measured 188, and the first limit was not seen.",
            id="not seen",
        ),
        pytest.param(
            {"is_held": None, "others_cores": 1.24},
            "first limit; measured 188, with `writer stock.db` first: the first limit was right, "
            "but others took 1.2 cores meanwhile.",
            id="a busy machine",
        ),
        pytest.param(
            {"is_reached": False},
            "first limit; 188 were borne, and the limit was not reached.",
            id="not reached",
        ),
    ],
)
def test_the_last_sentence_says_what_was_predicted_and_measured(
    more: dict[str, Any], said: str
) -> None:
    assert sentence(told(**more)) == PREDICTED + said


def test_what_a_plan_has_brought_is_told_beside_what_it_foretold() -> None:
    after = told(foretold={"best": 300.0, "low": 270.0, "high": 330.0}, measured={"best": 282.3})
    assert gain("run `web` 2 times instead of 1", told(), after) == (
        "After the plan (run `web` 2 times instead of 1): predicted 300 (270 to 330) requests/s, "
        "measured 282, 1.5 times the 188 before."
    )
    short = gain("x", told(), {**after, "is_reached": False})
    assert "measured at least 282" in short
