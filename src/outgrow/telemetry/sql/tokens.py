"""SQL cut into tokens, of any dialect, with every literal and comment taken out.

It is no parser: what it does not know it passes on character by character, and it never fails.
"""

from __future__ import annotations

import re
from functools import cache

TEXT_MAX = 8 * 1024
VALUE = "?"

# What follows a table is no alias of it, and what stands before a bracket no function.
_KEYWORDS = """
    ALL ALTER ANALYZE AND ANY AS ASC BEGIN BETWEEN BY CALL CASCADE CASE CAST COLLATE COMMIT
    CONFLICT COPY CREATE CROSS DEFAULT DELETE DESC DISTINCT DO DROP DUPLICATE ELSE END ESCAPE
    EXCEPT EXEC EXECUTE EXISTS EXPLAIN FALSE FETCH FILTER FOR FROM FULL GLOB GROUP HAVING IF IGNORE
    ILIKE IN INDEX INNER INSERT INTERSECT INTO IS ISNULL JOIN KEY LATERAL LEFT LIKE LIMIT LOCK
    MATCHED MATERIALIZED MERGE MINUS NATURAL NOT NOTHING NOTNULL NULL OF OFFSET ON ONLY OR ORDER
    OUTER OVER PARTITION PRAGMA QUALIFY RECURSIVE REGEXP RELEASE REPLACE RETURNING RIGHT ROLLBACK
    SAVEPOINT SELECT SET SHOW SIMILAR SOME STRAIGHT_JOIN TABLE TABLESAMPLE THEN TO TRUE TRUNCATE
    UNION UPDATE USING VALUES WHEN WHERE WINDOW WITH
"""
KEYWORDS = frozenset(_KEYWORDS.split())

# What matches a gap, a literal or placeholder, a name in quotes, a word; and else a sign. No part
# gives back what it took, so that time grows with the text alone.
_PATTERN = r"""
    (?P<gap> \s++ | --[^\n]*+ | {comment} /\*(?:[^*]++|\*(?!/))*+(?:\*/)?+ )
  | (?P<value> (?:
        [eE]'(?:[^'\\]++|\\.|'')*+ (?:'|\\?+\Z)
      | (?:[bBnNxX]|[uU]&|_\w++)?+ '(?:[^'{escape}]++|{escaped}'')*+ (?:'|{broken}\Z)
      | (?P<dollar> \$(?:[^\W\d]\w*+)?+\$ )
      | \.?\d(?:[eE][+\-]|[\w.])*
      | \?\d*+ | %(?:s\b|\(\w++\)s) | :\w++ | @\w++ | \$\d++
      | {strings}
    ) {more} )
  | (?P<quoted> {quoted} `(?:[^`]++|``)*+` {brackets} )
  | (?P<word> [^\W\d][\w$]*+ )
  | ::|:=|<=>|<=|>=|<>|!=|==|\|\||->>|->|\#>>|\#>|@>|<@|&&|=>
  | .
"""
# Lists of values may be long, and this is ten times as fast as one after the other.
_MORE = r"(?:\s*+,\s*+(?:\?|%s\b|\$\d++|:\w++|\d++)(?=\s*+[,)]))*+"
_MYSQL = {
    "comment": r"\#[^\n]*+ |",
    "escape": r"\\",
    "escaped": r"\\.|",
    "broken": r"\\?+",
    "strings": r'"(?:[^"\\]++|\\.|"")*+ (?:"|\\?+\Z)',
    "quoted": "",
}
_STANDARD = {
    "comment": "",
    "escape": "",
    "escaped": "",
    "broken": "",
    "strings": r'"(?:[^"]++|"")*+\Z',
    "quoted": r'"(?:[^"]++|"")*+" |',
}


@cache
def pattern_of(system: str) -> re.Pattern[str]:
    """What matches a token of this system's SQL, such as `postgresql`, `mysql` or `mssql`."""
    chosen = _MYSQL if system in ("mysql", "mariadb") else _STANDARD
    brackets = r"| \[[^\]]*+\]" if system == "mssql" else ""
    return re.compile(
        _PATTERN.format(**chosen, brackets=brackets, more=_MORE), re.VERBOSE | re.DOTALL
    )


def tokens_of(text: str, system: str = "") -> list[str]:
    """The tokens: `?` for each literal and placeholder, keywords in capitals, all else as it is.

    Args:
        text: The statement; what lies beyond 8,192 characters is left out.
        system: Whose SQL it is.
    """
    made: list[str] = []
    cut = text[:TEXT_MAX]
    match = pattern_of(system).match
    at, end = 0, len(cut)
    while at < end:
        found = match(cut, at)
        assert found is not None, "a single character matches"
        at, kind = found.end(), found.lastgroup
        if kind == "value":
            made.append(VALUE)
            if (tag := found["dollar"]) is not None:
                closing = cut.find(tag, at)
                at = end if closing < 0 else closing + len(tag)
        elif kind == "word":
            upper = found[0].upper()
            made.append(upper if upper in KEYWORDS else found[0])
        elif kind != "gap":
            made.append(found[0])
    return made


def is_name(token: str) -> bool:
    """Whether a token may name a table or a column."""
    first = token[0]
    if first in '"`[':
        return len(token) > 1
    return (first.isalpha() or first == "_") and token not in KEYWORDS


def is_word(token: str) -> bool:
    """Whether it is a keyword or a name that is not in quotes."""
    return token[0].isalpha() or token[0] == "_"
