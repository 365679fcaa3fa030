"""LanceDB: one table with typed columns, an index for each column that is asked for, compacted before it is asked.

As its documentation recommends: data goes in as Arrow batches, a bitmap for few values and a B-tree for many, an index
of words on the text, `optimize()` after writing. Vectors: IVF_HNSW_SQ, read again in full precision (`refine_factor`).
Averages are made by pyarrow from two columns, since the table itself has no aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, Bitmap, BTree, HnswSq
from lancedb.query import ColumnOrdering

from bench.corpus import LIMIT, batches
from bench.peers.asking import Order, Question, run

_COLUMNS = [
    ("number", pa.int64()),
    ("title", pa.string()),
    ("text", pa.string()),
    ("category", pa.string()),
    ("owner", pa.string()),
    ("year", pa.int64()),
    ("score", pa.float64()),
    ("published", pa.string()),
    ("scene", pa.string()),
]
_BTREES = ("number", "owner", "year", "score", "published", "scene")


class Store:
    """One table in a folder."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._vectors = np.load(order.vectors, mmap_mode="r") if order.vectors else None
        self._queries = np.load(order.queries) if order.queries else None
        columns = list(_COLUMNS)
        if self._vectors is not None:
            columns.append(("vector", pa.list_(pa.float32(), self._vectors.shape[1])))
        self._schema = pa.schema(columns)
        self._table: Any = None

    def load(self) -> None:
        """Write a stream of Arrow batches."""
        db = lancedb.connect(self._order.folder)
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        self._table = db.create_table("documents", data=reader, schema=self._schema)

    def index(self) -> None:
        """Build every index."""
        table = self._table
        table.create_index("category", config=Bitmap())
        for name in _BTREES:
            table.create_index(name, config=BTree())
        table.create_index("text", config=FTS())
        if self._vectors is not None:
            table.create_index("vector", config=HnswSq(distance_type="cosine"))
        table.optimize()

    def questions(self) -> dict[str, Question]:
        """Return the questions."""
        given, table = self._order.questions, self._table
        ninth = int(given.count * 0.9)
        newest = [ColumnOrdering(column_name="published", ascending=False)]
        best = [ColumnOrdering(column_name="score", ascending=False)]
        times = table.search().select(["published"]).limit(given.count).to_arrow().column("published").to_pylist()
        late = sorted(times, reverse=True)[ninth]

        def rows(where: str | None, order: list[Any] | None, offset: int = 0) -> Sequence[Any]:
            query = table.search().select([name for name, _ in _COLUMNS])
            query = query.where(where) if where else query
            query = query.order_by(order) if order else query
            query = query.offset(offset) if offset else query
            found: Sequence[Any] = query.limit(LIMIT).to_list()
            return found

        def years(number: int) -> str:
            first, last = given.years(number)
            return f"year >= {first} AND year <= {last}"

        return {
            "category, newest first": lambda n: rows(f"category = '{given.category(n)}'", newest),
            "owner, newest first": lambda n: rows(f"owner = '{given.owner(n)}'", newest),
            "three years, best first": lambda n: rows(years(n), best),
            "first page": lambda _: rows(None, None),
            "late page": lambda _: rows(None, None, ninth),
            "first page, sorted": lambda _: rows(None, newest),
            "late page, sorted": lambda _: rows(f"published < '{late}'", newest),
            "ten lists": lambda n: [rows(f"category = '{given.category(n + i)}'", newest) for i in range(10)],
            "common word": lambda _: table.search(given.common, query_type="fts").limit(LIMIT).to_list(),
            "average per category": self._averages,
            "nearest": lambda n: self._nearest(n, None),
            "nearest in a category": lambda n: self._nearest(n, f"category = '{given.category(n)}'"),
        }

    def notes(self) -> list[str]:
        """Say what is not the same."""
        words = "words are ranked by BM25; averages are computed by pyarrow from two columns; no groups."
        return [f"LanceDB: pages go by offset, or by a filter on the sort value where sorted; {words}"]

    def _averages(self, _: int) -> Sequence[Any]:
        columns = self._table.search().select(["category", "score"]).limit(self._order.questions.count).to_arrow()
        found: Sequence[Any] = (
            columns.group_by("category").aggregate([("score", "count"), ("score", "mean")]).to_pylist()
        )
        return found

    def _nearest(self, number: int, where: str | None) -> Sequence[int]:
        assert self._queries is not None
        query = self._table.search(self._queries[number % len(self._queries)]).distance_type("cosine").refine_factor(5)
        query = query.where(where, prefilter=True) if where else query
        names = [name for name, _ in _COLUMNS]
        return [row["number"] for row in query.select([*names, "_distance"]).limit(self._order.neighbours).to_list()]

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for documents in batches(self._order.file, 10_000):
            arrays = {name: pa.array([one[name] for one in documents], kind) for name, kind in _COLUMNS}
            if self._vectors is not None:
                start = documents[0]["number"]
                flat = np.ascontiguousarray(self._vectors[start : start + len(documents)]).reshape(-1)
                arrays["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), self._vectors.shape[1])
            yield pa.RecordBatch.from_pydict(arrays, schema=self._schema)


if __name__ == "__main__":
    run(Store)
