"""Errors keep what they say, also from one process to another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import outgrow.errors
from outgrow.errors import OutgrowError, SettingError, error_from


def kinds_below(kind: type[OutgrowError]) -> Iterator[type[OutgrowError]]:
    for below in kind.__subclasses__():
        yield below
        yield from kinds_below(below)


CONCRETE = [kind for kind in kinds_below(OutgrowError) if "code" in vars(kind)]


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_itself_from_its_code_text_and_hint(
    kind: type[OutgrowError],
) -> None:
    problem = kind("it broke\n  at line 3", hint="mend it")
    again = error_from(problem.code, problem.text, problem.hint)
    assert type(again) is kind
    assert (again.text, again.hint, str(again)) == (problem.text, problem.hint, str(problem))


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in CONCRETE]
    assert sorted(codes) == sorted(set(codes))
    assert OutgrowError.code not in codes


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_of_its_own_shape_and_says_what_it_means(
    kind: type[OutgrowError],
) -> None:
    assert len(kind.code) == 5
    assert kind.code.startswith("OG")
    assert kind.code[2:].isdigit()
    assert kind.__doc__


def test_every_error_stands_in_the_list_of_public_names() -> None:
    named = {kind.__name__ for kind in kinds_below(OutgrowError)}
    defined = {name for name in named if hasattr(outgrow.errors, name)}
    assert defined | {"OutgrowError", "error_from"} == set(outgrow.errors.__all__)


def test_an_unknown_code_still_tells_what_happened() -> None:
    problem = error_from("OG999", "something new", "read the page")
    assert type(problem) is OutgrowError
    assert (problem.text, problem.hint) == ("something new", "read the page")


def test_an_error_shows_its_code_text_and_hint() -> None:
    shown = str(error_from("OG302", "`port` cannot be x", "say a number"))
    assert shown == "OG302: `port` cannot be x\n\nhint: say a number"


def test_an_error_without_a_hint_ends_with_its_text() -> None:
    assert str(error_from("OG405", "no", "")) == "OG405: no"


def test_a_hint_of_ones_own_replaces_that_of_the_class() -> None:
    assert "Mend the line" not in str(outgrow.errors.ImportFailedError("x", hint="look"))
    assert outgrow.errors.ImportFailedError("x").hint == outgrow.errors.ImportFailedError.hint
    assert issubclass(outgrow.errors.SettingValueError, SettingError)
