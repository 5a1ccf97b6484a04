"""A statement with its literals taken out: what is the same for each run of the same code.

Lists of values become one value, so that `IN (?, ?, ?)` is `IN (?)`, and rows of `VALUES` one row.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from outgrow.telemetry.sql.tables import tables_of, verb_of
from outgrow.telemetry.sql.tokens import KEYWORDS, VALUE, is_name, is_word, tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

FINGERPRINT_TEXT_MAX = 2000
_NAME_MAX = 100
_ITEM_TOKENS_MAX = 16
_ENDS_ITEM = frozenset((",", ")", ";")) | KEYWORDS


class Statement(msgspec.Struct, frozen=True):
    """What is known of a statement by its text.

    Attributes:
        fingerprint: Hash of the text without literals, as 16 hexadecimal digits.
        text: That text, cut at 2,000 characters.
        name: What it does to what, such as `SELECT orders`.
        reads: Tables that it reads.
        writes: Tables that it changes.
    """

    fingerprint: str
    text: str
    name: str
    reads: list[str]
    writes: list[str]


def statement_of(text: str, system: str = "") -> Statement:
    """What a statement is; never fails, and takes time in proportion to at most 8,192 characters.

    Args:
        text: As it is sent to the database.
        system: Whose SQL it is, such as `postgresql`.
    """
    tokens = _without_lists(tokens_of(text, system))
    normal = joined(tokens)
    reads, writes = tables_of(tokens)
    verb, first = verb_of(tokens), [*writes, *reads][:1]
    return Statement(
        blake2b(normal.encode(errors="replace"), digest_size=8).hexdigest(),
        normal if len(normal) <= FINGERPRINT_TEXT_MAX else _cut(tokens),
        " ".join([verb, *first])[:_NAME_MAX],
        reads,
        writes,
    )


def _without_lists(tokens: Sequence[str]) -> list[str]:
    """The tokens with each list of values as one value, and one row of several."""
    made: list[str] = []
    items = [0]  # where the latest item began, at each depth of brackets
    in_rows = 0  # at what depth rows of VALUES follow one another; 0 for none
    at, end = 0, len(tokens)
    while at < end:
        token = tokens[at]
        at += 1
        if token in _ENDS_ITEM:
            _fold(made, items[-1])
            if token == ")" and len(items) > 1:
                items.pop()
        made.append(token)
        if token == "(":
            items.append(len(made))
        elif token == "VALUES":
            in_rows = len(items)
        elif token == ")" and in_rows == len(items):
            at, in_rows = _after_rows(tokens, at), 0
        elif token == VALUE:
            _fold_sign(made)
        elif token != ")" and token in _ENDS_ITEM:
            items[-1] = len(made)
    _fold(made, items[-1])
    return made


def _after_rows(tokens: Sequence[str], at: int) -> int:
    """Where what follows the rows of VALUES begins."""
    while tokens[at : at + 2] == [",", "("]:
        depth, at = 1, at + 2
        while depth and at < len(tokens):
            depth += {"(": 1, ")": -1}.get(tokens[at], 0)
            at += 1
    return at


def _fold_sign(made: list[str]) -> None:
    """Make a value and its sign one value; what stands between two is no sign."""
    if len(made) > 1 and made[-2] in ("+", "-"):
        before = made[-3] if len(made) > 2 else "("
        is_thing = before in (VALUE, ")", "]") or is_name(before)
        if not is_thing and before not in ("+", "-"):
            del made[-2]


def _fold(made: list[str], begun: int) -> None:
    """Drop the item that ends here if it is a value, and the same as the one before."""
    count = len(made) - begun
    if not 0 < count <= _ITEM_TOKENS_MAX or made[begun : begun + 2].count(VALUE) == 0:
        return
    if made[begun] in (VALUE, "(") and made[begun - count - 1 : begun] == [*made[begun:], ","]:
        del made[begun - 1 :]


def joined(tokens: Sequence[str]) -> str:
    """The tokens as one text, with the same spaces whatever was between them."""
    parts: list[str] = []
    before = ""
    for token in tokens:
        if before and _is_apart(before, token):
            parts.append(" ")
        parts.append(token)
        before = token
    return "".join(parts)


def _is_apart(before: str, token: str) -> bool:
    if token in (",", ")", ";", "]") or before in ("(", "["):
        return False
    if token == "(":
        return not is_name(before)
    is_thing = is_word(token) or is_name(token) or token == "*"
    was_thing = is_word(before) or is_name(before) or before in (VALUE, ")", "]")
    if token in (".", "::", "["):
        return not was_thing
    return not (before in (".", "::") and is_thing)


def _cut(tokens: Sequence[str]) -> str:
    """As many of the tokens as there is room for."""
    low, high = 0, len(tokens)
    while low < high:
        middle = (low + high + 1) // 2
        if len(joined(tokens[:middle])) <= FINGERPRINT_TEXT_MAX:
            low = middle
        else:
            high = middle - 1
    return joined(tokens[:low])
