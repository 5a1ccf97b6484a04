"""Tables that a statement reads and changes, and none where that is not sure."""

from __future__ import annotations

import pytest

from outgrow.telemetry.sql.fingerprint import statement_of
from outgrow.telemetry.sql.tables import TABLES_MAX

CASES = {
    "one table": ("SELECT * FROM Orders o WHERE o.id = 1", "orders", ""),
    "joins": ("SELECT 1 FROM a LEFT JOIN b AS x ON a.i = x.i JOIN c USING (i)", "a b c", ""),
    "a list": ("SELECT 1 FROM a, b x, LATERAL (SELECT 1 FROM c) y, d", "a b c d", ""),
    "brackets": ("SELECT 1 FROM (a JOIN b ON a.i = b.i)", "a b", ""),
    "schemas": (
        'SELECT 1 FROM shop.orders, public.users, "A b"."C"',
        "shop.orders users A b.C",
        "",
    ),
    "quotes": ("SELECT 1 FROM `or``ders`", "or`ders", ""),
    "each once": ("SELECT 1 FROM a JOIN a b ON a.i = b.up", "a", ""),
    "subqueries": (
        "SELECT 1 FROM a WHERE i IN (SELECT i FROM b) AND EXISTS (SELECT 1 FROM c)",
        "a b c",
        "",
    ),
    "union": ("SELECT i FROM a UNION ALL SELECT i FROM b ORDER BY 1, 2", "a b", ""),
    "insert": ("INSERT INTO a (x, y) VALUES (1, 2) RETURNING id", "", "a"),
    "insert of a selection": ("INSERT INTO a SELECT * FROM b", "b", "a"),
    "upsert": (
        "INSERT INTO a (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET x = excluded.x",
        "",
        "a",
    ),
    "upsert of MySQL": ("INSERT INTO a (x) VALUES (1) ON DUPLICATE KEY UPDATE x = 2", "", "a"),
    "replace": ("INSERT OR REPLACE INTO a VALUES (1)", "", "a"),
    "replace of MySQL": ("REPLACE INTO a VALUES (1)", "", "a"),
    "update": ("UPDATE a SET x = 1 FROM b WHERE a.i = b.i", "b", "a"),
    "delete": ("DELETE FROM a USING b WHERE a.i = b.i", "b", "a"),
    "merge": (
        "MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN UPDATE SET x = 1 "
        "WHEN NOT MATCHED THEN INSERT (x) VALUES (b.x)",
        "b",
        "a",
    ),
    "with": ("WITH r AS (SELECT * FROM a), s (x) AS (SELECT 1) SELECT * FROM r JOIN s", "a", ""),
    "with recursive": (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t JOIN a) SELECT * FROM t",
        "a",
        "",
    ),
    "with a change": (
        "WITH gone AS MATERIALIZED (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone",
        "",
        "a b",
    ),
    "locked": ("SELECT 1 FROM a WHERE x = 1 FOR UPDATE OF a, b", "a", ""),
    "several statements": ("SELECT 1 FROM a; DELETE FROM b", "a", "b"),
    "made": ("CREATE TABLE IF NOT EXISTS a (x int, y int)", "", "a"),
    "emptied": ("TRUNCATE TABLE a, b", "", "a b"),
    "FROM that names no table": (
        "SELECT extract(year FROM day), substring(x FROM 2), a IS DISTINCT FROM b FROM t",
        "t",
        "",
    ),
    "functions": ("SELECT 1 FROM generate_series(1, 3) g, unnest(x) u", "", ""),
    "no table": ("SELECT 1", "", ""),
    "not understood": ("DELETE x FROM", "", ""),
    "SQL Server": ("SELECT [a b] FROM [dbo].[Orders]", "Orders", ""),
}


@pytest.mark.parametrize(("text", "reads", "writes"), CASES.values(), ids=CASES)
def test_tables_are_told_by_what_is_done_to_them(text: str, reads: str, writes: str) -> None:
    found = statement_of(text, "mssql" if "[" in text else "")
    assert " ".join(found.reads) == reads
    assert " ".join(found.writes) == writes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("select 1 from a join b", "SELECT a"),
        ("WITH r AS (SELECT 1 FROM a) UPDATE b SET x = 1", "UPDATE b"),
        ("begin", "BEGIN"),
        ("vacuum", "VACUUM"),
        ("", ""),
    ],
)
def test_a_statement_is_named_by_verb_and_table(text: str, name: str) -> None:
    assert statement_of(text).name == name


def test_no_more_tables_are_named_than_there_is_room_for() -> None:
    many = ", ".join(f"t{number}" for number in range(100))
    assert len(statement_of(f"SELECT 1 FROM {many}").reads) == TABLES_MAX
