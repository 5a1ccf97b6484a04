"""Which tables a statement reads and which it changes, as far as its words say.

What is not understood names no table, rather than a wrong one. Views, functions and triggers are
what they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.sql.tokens import is_name, is_word

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLES_MAX = 32
_NAME_MAX = 200
_USUAL_SCHEMAS = ("public", "main", "dbo")
_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE")
_LIST_ENDS = """
    WHERE GROUP ORDER HAVING LIMIT UNION EXCEPT INTERSECT MINUS SET RETURNING SELECT FOR OFFSET
    WINDOW FETCH QUALIFY VALUES WHEN INTO
"""
_ENDS = frozenset(_LIST_ENDS.split())
_BEFORE_ALIAS = frozenset(("AS", "ONLY", "LATERAL", "IF", "NOT", "EXISTS", "IGNORE", "TABLE"))


def verb_of(tokens: Sequence[str]) -> str:
    """What a statement does: its first word, and for `WITH` the first verb outside of brackets."""
    first = next((token for token in tokens if is_word(token)), "")
    if first != "WITH":
        return first.upper()[:20]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0 and token in _VERBS:
            return token
    return first


def tables_of(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tables that are read, and those that are changed; each once, and at most 32."""
    reader = _Reader(tokens)
    reader.read()
    own = _named_by_with(tokens) if "WITH" in tokens else set[str]()
    writes = [name for name in reader.writes if name not in own]
    reads = [name for name in reader.reads if name not in own]
    return reads[:TABLES_MAX], writes[:TABLES_MAX]


class _Level:
    """What is so within one pair of brackets.

    Attributes:
        has_verb: A statement began here, so FROM is its own and not of EXTRACT(YEAR FROM day).
        lists: What a table would be after a comma: `r` read, `w` changed; empty for none.
    """

    __slots__ = ("has_verb", "lists")

    def __init__(self, lists: str = "") -> None:
        self.has_verb = bool(lists)
        self.lists = lists


class _Reader:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._levels = [_Level()]
        self._awaits = ""  # what the next name is: `r` read, `w` changed, empty for no table
        self._first = ""
        self.reads: dict[str, None] = {}
        self.writes: dict[str, None] = {}

    def read(self) -> None:
        at = 0
        while at < len(self._tokens):
            token = self._tokens[at]
            if self._awaits and is_name(token):
                at = self._take(at)
                continue
            self._meet(token, self._tokens[at - 1] if at else "", self._next(at))
            at += 1

    def _next(self, at: int) -> str:
        return self._tokens[at + 1] if at + 1 < len(self._tokens) else ""

    def _take(self, at: int) -> int:
        """Take the name that begins here; where it ends."""
        parts = [self._tokens[at]]
        while self._next(at) == "." and at + 2 < len(self._tokens):
            parts.append(self._tokens[at + 2])
            at += 2
        after, kind = self._next(at), self._awaits
        self._awaits = ""
        is_function = after == "(" and kind == "r"
        if all(is_name(part) or is_word(part) for part in parts) and not is_function:
            found = self.reads if kind == "r" else self.writes
            found[_full_name(parts)] = None
        return at + 1

    def _meet(self, token: str, before: str, after: str) -> None:
        level = self._levels[-1]
        if token == "(":
            self._levels.append(_Level(self._awaits if after != "SELECT" else ""))
            self._awaits = self._awaits if after not in ("SELECT", "WITH", "VALUES", "(") else ""
        elif token == ")":
            if len(self._levels) > 1:
                self._levels.pop()
            self._awaits = ""
        elif token == ",":
            self._awaits = level.lists
        elif token == ";":
            self._levels, self._awaits, self._first = [_Level()], "", ""
        elif is_word(token):
            self._first = self._first or token.upper()
            self._meet_word(token, before, after, level)
        elif token != ".":
            self._awaits = ""

    def _meet_word(self, token: str, before: str, after: str, level: _Level) -> None:
        if token in _VERBS:
            self._begin(token, before, after, level)
        elif token == "FROM":
            is_clause = level.has_verb and before != "DISTINCT"
            is_deleted = before == "DELETE"
            self._awaits = "w" if is_deleted else "r" if is_clause else ""
            level.lists = "r" if is_clause else level.lists
        elif token in ("JOIN", "STRAIGHT_JOIN"):
            self._awaits, level.lists = "r", "r"
        elif token == "USING":
            self._awaits = "r" if after != "(" and level.has_verb else ""
        elif token == "INTO":
            level.lists, self._awaits = "", "w"
        elif token == "TABLE" and self._first in ("CREATE", "ALTER", "DROP", "TRUNCATE"):
            self._awaits = "w"
            level.lists = "w" if self._first in ("DROP", "TRUNCATE") else ""
        elif token == "TRUNCATE" and before in ("", ";"):
            self._awaits = "w"
        elif token in _ENDS:
            level.lists = self._awaits = ""
        elif token not in _BEFORE_ALIAS:
            self._awaits = ""

    def _begin(self, verb: str, before: str, after: str, level: _Level) -> None:
        # FOR UPDATE, ON CONFLICT DO UPDATE, ON DUPLICATE KEY UPDATE, WHEN MATCHED THEN UPDATE; and
        # REPLACE(text, ...), INSERT OR REPLACE.
        if before in ("FOR", "DO", "KEY", "ON", "THEN", "OR") or after == "(":
            if verb == "SELECT":
                level.has_verb, level.lists = True, ""
            self._awaits = ""
            return
        level.has_verb, level.lists = True, ""
        self._awaits = "w" if verb == "UPDATE" else ""


def _named_by_with(tokens: Sequence[str]) -> set[str]:
    """The names that WITH gives to queries of its own."""
    found: set[str] = set()
    for at, token in enumerate(tokens):
        if token != "AS" or at == 0:
            continue
        after = at + 1
        while after < len(tokens) and tokens[after] in ("NOT", "MATERIALIZED"):
            after += 1
        if list(tokens[after : after + 1]) != ["("]:
            continue
        name = _before_columns(tokens, at - 1)
        if name > 0 and is_name(tokens[name]) and tokens[name - 1] in ("WITH", "RECURSIVE", ","):
            found.add(_full_name([tokens[name]]))
    return found


def _before_columns(tokens: Sequence[str], at: int) -> int:
    """Where the name stands that this, or the columns in brackets that end here, belongs to."""
    if tokens[at] != ")":
        return at
    while at > 0 and tokens[at] != "(":
        at -= 1
    return at - 1


def _full_name(parts: list[str]) -> str:
    names = [_plain(part) for part in parts]
    if len(names) == 2 and names[0] in _USUAL_SCHEMAS:
        del names[0]
    return ".".join(names)[:_NAME_MAX]


def _plain(part: str) -> str:
    if part[0] in '"`':
        return part[1:-1].replace(part[0] * 2, part[0])
    return part[1:-1] if part[0] == "[" else part.lower()
