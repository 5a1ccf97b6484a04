"""Datasette on a file with a million street trees, which is made at the first start."""

import os
import sqlite3
import tempfile
from pathlib import Path

from datasette.app import Datasette

DATABASE = Path(os.environ.get("TREES_DATABASE", ".outgrow/trees.db"))
COUNT = int(os.environ.get("TREES_COUNT", "1000000"))

SCHEMA = """
CREATE TABLE species (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO species VALUES
    (1, 'Linden'), (2, 'Plane'), (3, 'Maple'), (4, 'Oak'), (5, 'Chestnut'), (6, 'Ash');
CREATE TABLE trees (
    id INTEGER PRIMARY KEY,
    species_id INTEGER NOT NULL REFERENCES species (id),
    street TEXT NOT NULL,
    planted INTEGER NOT NULL,
    height_cm INTEGER NOT NULL
);
"""
PLANT = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO trees
SELECT n, 1 + n % 6, 'Street ' || (n * 7919 % 1200), 1900 + n * 31 % 126, 150 + n * 101 % 2400
FROM numbers
"""


def plant(path: Path, count: int) -> None:
    """Make the file, unless there is one; several processes may try at once."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        seedling = Path(folder) / path.name
        connection = sqlite3.connect(seedling)
        connection.executescript(SCHEMA)
        with connection:
            connection.execute(PLANT, (count,))
        connection.close()
        try:
            os.link(seedling, path)
        except FileExistsError:
            return


plant(DATABASE, COUNT)
app = Datasette(
    [str(DATABASE)],
    metadata={"title": "Street trees", "description": "Made up, every one of them."},
).app()
