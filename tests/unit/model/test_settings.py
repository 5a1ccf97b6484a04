"""The table of settings is complete: each has a meaning, a default and a unit."""

from __future__ import annotations

import dataclasses
import re
import typing
from typing import Any

import msgspec
import pytest

from outgrow.model import Replicas, Settings, setting

FIELDS = dataclasses.fields(Settings)
NUMBERS = [field for field in FIELDS if type(field.default) in (int, float)]
# Numbers that count a thing which the name says.
COUNTED = {
    *("port", "backlog", "threads", "concurrency_max", "requests_max", "requests_jitter"),
}
UNIT = re.compile(r"_(seconds|bytes|percent|days)(_max)?$")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_setting_says_what_it_means(field: dataclasses.Field[Any]) -> None:
    assert set(field.metadata) == {"help", "env", "short", "secret"}
    text = field.metadata["help"]
    assert text
    assert "\n" not in text
    assert not text.endswith(".")
    assert all(name == name.upper() for name in field.metadata["env"])


@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.name)
def test_every_number_says_its_unit_in_its_name(field: dataclasses.Field[Any]) -> None:
    assert field.name in COUNTED or UNIT.search(field.name)


def test_every_default_is_of_the_type_of_its_setting() -> None:
    kinds = typing.get_type_hints(Settings)
    shown = {field.name: (field.default, kinds[field.name]) for field in FIELDS}
    for default, kind in shown.values():
        assert msgspec.convert(default, kind, from_attributes=True) == default


def test_only_passwords_and_tokens_are_secret() -> None:
    found = {field.name for field in FIELDS if field.metadata["secret"]}
    assert found == {"durable_url", "tls_key_password", "observer_token", "forward_headers"}


def test_settings_cross_to_another_process_unchanged() -> None:
    settings = Settings(app="main:app", workers=Replicas(2, 4), header=("a: b",), port=0)
    sent = msgspec.msgpack.encode(settings)
    assert msgspec.msgpack.decode(sent, type=Settings) == settings


def test_settings_and_bounds_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Replicas(1, 2).min = 2  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("replicas", "shown"),
    [
        pytest.param(Replicas(1, 1), "1", id="a fixed number"),
        pytest.param(Replicas(2, 4), "2:4", id="bounds"),
    ],
)
def test_bounds_are_shown_as_people_type_them(replicas: Replicas, shown: str) -> None:
    assert str(replicas) == shown


def test_a_field_carries_what_was_said_about_it() -> None:
    field = typing.cast(
        "dataclasses.Field[int]", setting(3, "how many", env=("N",), short="N", secret=True)
    )
    assert field.default == 3
    assert dict(field.metadata) == {"help": "how many", "env": ("N",), "short": "N", "secret": True}
