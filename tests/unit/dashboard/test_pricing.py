"""Prices are what whoever runs the app says, and nothing that nobody said."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.dashboard import prices_in
from outgrow.errors import SettingValueError


def test_prices_are_read_as_numbers_and_without_any_there_are_none() -> None:
    table = {"currency": " EUR ", "cpu_hour": 0, "memory_gb_hour": 0.005}
    assert prices_in(table, "a.toml") == {
        "currency": "EUR",
        "cpu_hour": 0.0,
        "memory_gb_hour": 0.005,
    }
    assert prices_in({}, "a.toml") == {}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        pytest.param({"core": 1}, "`core` under [prices] in a.toml is not known", id="no such"),
        pytest.param({"cpu_hour": -1}, "`cpu_hour` under [prices] in a.toml is -1", id="negative"),
        pytest.param({"cpu_hour": True}, "is True", id="no number"),
        pytest.param({"cpu_hour": float("inf")}, "is inf", id="endless"),
        pytest.param({"currency": ""}, "`currency` under [prices] in a.toml is ''", id="no name"),
        pytest.param({"currency": "EUR"}, "[prices] in a.toml has no price", id="name alone"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingValueError) as caught:
        prices_in(table, "a.toml")
    assert said in caught.value.text
    assert caught.value.hint
