"""SQLite with FTS5: columns with indexes for each kind of question, and an index of words beside the table.

As its documentation recommends: one transaction per load, indexes of several columns so that filter and order are one
range, an FTS5 table that keeps no copy of the text (`content=`), and ANALYZE. It has no index for vectors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from bench.corpus import LIMIT, batches
from bench.peers.asking import Order, Question, run

_TABLE = """
CREATE TABLE documents (
  number INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, category TEXT NOT NULL, owner TEXT NOT NULL,
  year INTEGER NOT NULL, score REAL NOT NULL, published TEXT NOT NULL, scene TEXT NOT NULL
)
"""
_INSERT = """
INSERT INTO documents VALUES (:number, :title, :text, :category, :owner, :year, :score, :published, :scene)
"""
_INDEXES = (
    "CREATE INDEX by_category ON documents (category, published)",
    "CREATE INDEX by_owner ON documents (owner, published)",
    "CREATE INDEX by_score ON documents (score)",
    "CREATE INDEX by_year ON documents (year)",
    "CREATE INDEX by_published ON documents (published)",
    "CREATE INDEX by_scene ON documents (scene)",
    "CREATE INDEX scores ON documents (category, score)",
    "CREATE VIRTUAL TABLE words USING fts5 (text, content='documents', content_rowid='number')",
    "INSERT INTO words (words) VALUES ('rebuild')",
    "INSERT INTO words (words) VALUES ('optimize')",
    "ANALYZE",
)
_GROUPS = f"""
WITH firsts AS (SELECT scene, count(*) AS size FROM documents GROUP BY scene ORDER BY scene LIMIT 10)
SELECT f.scene, f.size, d.* FROM firsts AS f JOIN documents AS d ON d.number IN (
  SELECT number FROM documents WHERE scene = f.scene ORDER BY number LIMIT {LIMIT}
) ORDER BY f.scene, d.number
"""


class Store:
    """One database file."""

    def __init__(self, order: Order) -> None:
        self._order = order
        order.folder.mkdir(parents=True)
        self._db = sqlite3.connect(order.folder / "documents.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA cache_size = -1000000; PRAGMA mmap_size = 8000000000")

    def load(self) -> None:
        """Write in one transaction."""
        self._db.execute(_TABLE)
        self._db.execute("BEGIN")
        for documents in batches(self._order.file, 10_000):
            self._db.executemany(_INSERT, documents)
        self._db.execute("COMMIT")

    def index(self) -> None:
        """Build every index."""
        for statement in _INDEXES:
            self._db.execute(statement)

    def questions(self) -> dict[str, Question]:
        """Return the questions."""
        given = self._order.questions
        ninth = int(given.count * 0.9)
        late = self._rows(
            "SELECT published, number FROM documents ORDER BY published DESC, number DESC LIMIT 1 OFFSET ?", ninth
        )
        place = (late[0]["published"], late[0]["number"])
        listed = f"SELECT * FROM documents {{}} LIMIT {LIMIT}"
        by_time = "ORDER BY published DESC, number DESC"
        category = listed.format(f"WHERE category = ? {by_time}")
        return {
            "category, newest first": lambda n: self._rows(category, given.category(n)),
            "owner, newest first": lambda n: self._rows(listed.format(f"WHERE owner = ? {by_time}"), given.owner(n)),
            "three years, best first": lambda n: self._rows(
                listed.format("WHERE year BETWEEN ? AND ? ORDER BY score DESC, number DESC"), *given.years(n)
            ),
            "first page": lambda _: self._rows(listed.format("ORDER BY number")),
            "late page": lambda _: self._rows(listed.format("WHERE number > ? ORDER BY number"), ninth),
            "first page, sorted": lambda _: self._rows(listed.format(by_time)),
            "late page, sorted": lambda _: self._rows(
                listed.format(f"WHERE (published, number) < (?, ?) {by_time}"), *place
            ),
            "ten lists": lambda n: [self._rows(category, given.category(n + i)) for i in range(10)],
            "ten groups of three": lambda _: self._rows(_GROUPS),
            "common word": lambda _: self._rows(
                "SELECT d.* FROM words AS w JOIN documents AS d ON d.number = w.rowid WHERE words MATCH ? "
                f"ORDER BY w.rowid LIMIT {LIMIT}",
                given.common,
            ),
            "average per category": lambda _: self._rows(
                "SELECT category, count(*), avg(score) FROM documents GROUP BY category"
            ),
        }

    def notes(self) -> list[str]:
        """Say what is not the same."""
        return [f"SQLite {sqlite3.sqlite_version}: indexes of two columns, one for each question; no vector index."]

    def _rows(self, statement: str, *values: Any) -> Sequence[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(statement, values)]


if __name__ == "__main__":
    run(Store)
