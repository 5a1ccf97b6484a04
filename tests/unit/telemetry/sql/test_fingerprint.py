"""Fingerprints: literals never survive, any text is taken, and the same code is the same text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgrow.telemetry.sql.fingerprint import FINGERPRINT_TEXT_MAX, statement_of

SYSTEMS = ["", "postgresql", "mysql", "mssql"]
WORDS = r"""
    SELECT select FROM WHERE VALUES IN AS WITH ( ) ( ) , , ; . :: : [ ] ' " ` $$ $a$ $1 ? %s :name
    @p -- /* */ # \\ 'a' "b" `c` 1 -2 .5 1e9 0xFF E'\\'' x'0f' name ünï _x t1 * = - + || ->> NULL
"""
PIECES = st.sampled_from([*WORDS.split(), "\n", " "])
texts = st.text() | st.lists(PIECES).map(" ".join) | st.lists(PIECES).map("".join)


@given(texts, st.sampled_from(SYSTEMS))
@example("(" * 40_000, "")
@example("'" * 40_001, "mysql")
@example("\ud800", "postgresql")
def test_any_text_has_a_fingerprint_that_is_its_own(text: str, system: str) -> None:
    first = statement_of(text, system)
    again = statement_of(first.text, system)
    assert again.text == first.text
    assert len(first.text) <= FINGERPRINT_TEXT_MAX
    assert len(first.fingerprint) == 16


@given(st.text(st.characters(exclude_characters="\0"), min_size=1), st.sampled_from(SYSTEMS))
@example("it's", "mysql")
@example("\\", "mysql")
@example("'; DROP TABLE orders; --", "postgresql")
def test_no_text_in_quotes_survives(secret: str, system: str) -> None:
    quoted = secret.replace("'", "''")
    if system == "mysql":
        quoted = quoted.replace("\\", "\\\\")
    found = statement_of(f"SELECT a FROM t WHERE b = '{quoted}' AND c = 1", system)
    assert found.text == "SELECT a FROM t WHERE b = ? AND c = ?"


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_no_number_survives(number: float) -> None:
    found = statement_of(f"SELECT a FROM t WHERE b IN ({number}, 2) OR c > {number}")
    assert found.text == "SELECT a FROM t WHERE b IN (?) OR c > ?"


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("SELECT $$hidden$$", "postgresql"),
        ("SELECT $tag$ hidden $x$ hidden $tag$", "postgresql"),
        (r"SELECT E'\'hidden'", "postgresql"),
        ("SELECT U&'hidden'", "postgresql"),
        ("SELECT 'hidden", "postgresql"),
        ('SELECT "hidden', ""),
        (r"SELECT 'it\'s hidden'", "mysql"),
        ('SELECT "hidden"', "mysql"),
        ("SELECT _utf8'hidden'", "mysql"),
        ("SELECT N'hidden'", "mssql"),
        ("SELECT x'hidden'", "sqlite"),
    ],
)
def test_no_literal_of_a_dialect_survives(text: str, system: str) -> None:
    assert statement_of(text, system).text == "SELECT ?"


def test_lists_of_any_length_are_one() -> None:
    texts = [
        statement_of(f"SELECT a FROM t WHERE id IN ({', '.join(values)})").text
        for values in (
            ["1"],
            ["1", "2"],
            ["?"] * 2000,
            ["$1::INTEGER", "$2::INTEGER"],
            ["'a'", "'b, c'", "NULL or 2"],
        )
    ]
    assert texts[0] == texts[1] == texts[2] == "SELECT a FROM t WHERE id IN (?)"
    assert texts[3] == "SELECT a FROM t WHERE id IN (?::INTEGER)"
    assert "'" not in texts[4]


def test_rows_of_values_are_one() -> None:
    one = statement_of("INSERT INTO t (a, b) VALUES (1, now())")
    many = statement_of("insert  into t(a,b) values (1, now()), (?, now()),\n(3, later(4))")
    assert one.text == many.text == "INSERT INTO t(a, b) VALUES (?, now())"
    assert one.fingerprint == many.fingerprint


def test_spaces_comments_and_the_case_of_keywords_make_no_difference() -> None:
    plain = statement_of("SELECT a FROM t WHERE b = 1")
    written = statement_of("/* by x */ select a\n from t -- traceparent='00-1'\n where b=  'it''s'")
    assert plain == written


def test_what_differs_beyond_the_shown_text_is_still_told_apart() -> None:
    columns = ", ".join(f"column_{number}" for number in range(300))
    one = statement_of(f"SELECT {columns} FROM t WHERE a = 1")
    other = statement_of(f"SELECT {columns} FROM t WHERE b = 1")
    assert one.text == other.text
    assert len(one.text) > FINGERPRINT_TEXT_MAX - 20
    assert one.fingerprint != other.fingerprint
