"""Qdrant Edge: one shard with payload indexes on the fields that are asked for, optimized before it is asked.

As its documentation recommends: indexes are declared before points are written, points go in by the thousand,
`optimize()` and `flush()` end the load. Documents without vectors stand beside a sparse vector that none of them has,
since a shard must have one. It has counts per value (`facet`), but no averages and no groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import qdrant_edge as qd

from bench.corpus import FIELDS, LIMIT, batches
from bench.peers.asking import Order, Question, run

_KINDS = {
    "keyword": qd.PayloadSchemaType.Keyword,
    "integer": qd.PayloadSchemaType.Integer,
    "float": qd.PayloadSchemaType.Float,
    "datetime": qd.PayloadSchemaType.Datetime,
}


class Store:
    """One shard in a folder."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._vectors = np.load(order.vectors, mmap_mode="r") if order.vectors else None
        self._queries = np.load(order.queries) if order.queries else None
        if self._vectors is not None:
            dense = {"": qd.EdgeVectorParams(size=self._vectors.shape[1], distance=qd.Distance.Cosine)}
            config = qd.EdgeConfig(vectors=dense)
        else:
            config = qd.EdgeConfig(sparse_vectors={"unused": qd.EdgeSparseVectorParams()})
        order.folder.mkdir(parents=True)
        self._shard = qd.EdgeShard.create(str(order.folder), config)

    def load(self) -> None:
        """Declare the indexes, then write the points."""
        for name, kind in FIELDS.items():
            self._shard.update(qd.UpdateOperation.create_field_index(name, _KINDS[kind]))
        self._shard.update(qd.UpdateOperation.create_field_index("text", qd.PayloadSchemaType.Text))
        for documents in batches(self._order.file, 1_000):
            points = [qd.Point(one["number"], self._vector(one["number"]), one) for one in documents]
            self._shard.update(qd.UpdateOperation.upsert_points(points))
        self._shard.flush()

    def index(self) -> None:
        """Merge segments and build the graph of the vectors."""
        self._shard.optimize()
        self._shard.flush()

    def questions(self) -> dict[str, Question]:
        """Return the questions."""
        given, shard = self._order.questions, self._shard
        ninth = int(given.count * 0.9)
        late = sorted((one["published"] for some in batches(self._order.file, 10_000) for one in some), reverse=True)
        newest = qd.OrderBy("published", qd.Direction.Desc)
        best = qd.OrderBy("score", qd.Direction.Desc)

        def rows(filter_: Any = None, order: Any = None, offset: int | None = None) -> Sequence[Any]:
            request = qd.ScrollRequest(
                offset=offset, limit=LIMIT, filter=filter_, with_payload=True, with_vector=False, order_by=order
            )
            return [record.payload for record in shard.scroll(request)[0]]

        def years(number: int) -> Any:
            first, last = given.years(number)
            return qd.Filter(must=[qd.FieldCondition("year", range=qd.RangeFloat(gte=first, lte=last))])

        found: dict[str, Question] = {
            "category, newest first": lambda n: rows(_is("category", given.category(n)), newest),
            "owner, newest first": lambda n: rows(_is("owner", given.owner(n)), newest),
            "three years, best first": lambda n: rows(years(n), best),
            "first page": lambda _: rows(),
            "late page": lambda _: rows(offset=ninth),
            "first page, sorted": lambda _: rows(order=newest),
            "late page, sorted": lambda _: rows(
                order=qd.OrderBy("published", qd.Direction.Desc, start_from=late[ninth])
            ),
            "ten lists": lambda n: [rows(_is("category", given.category(n + i)), newest) for i in range(10)],
            "common word": lambda _: rows(
                qd.Filter(must=[qd.FieldCondition("text", match=qd.MatchText(given.common))])
            ),
            "count per category": lambda _: shard.facet(qd.FacetRequest("category", limit=100, exact=True)).hits,
            "nearest": lambda n: self._nearest(n, None),
            "nearest in a category": lambda n: self._nearest(n, _is("category", given.category(n))),
        }
        return found

    def notes(self) -> list[str]:
        """Say what is not the same."""
        return ["Qdrant Edge: counts per category alone, by `facet`; no averages and no groups; numbers are the ids."]

    def _vector(self, number: int) -> Any:
        return {} if self._vectors is None else self._vectors[number].tolist()

    def _nearest(self, number: int, filter_: Any) -> Sequence[int]:
        assert self._queries is not None
        vector = self._queries[number % len(self._queries)].tolist()
        request = qd.QueryRequest(
            limit=self._order.neighbours, query=qd.Query.Nearest(vector), filter=filter_, with_payload=True
        )
        return [point.id for point in self._shard.query(request)]


def _is(name: str, value: str) -> Any:
    return qd.Filter(must=[qd.FieldCondition(name, match=qd.MatchValue(value))])


if __name__ == "__main__":
    run(Store)
