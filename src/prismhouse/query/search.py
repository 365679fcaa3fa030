"""A search over documents as ONE statement: rankings, their fusion, and the documents as JSON text.

A dense search has three steps inside the statement, each run only when it is needed:

1. `sample`: how many of some documents pass the filter.
2. `near`: unless too few do, the HNSW index is walked, testing each document, until half as many again as `top_k`
   have passed, twice as many where few pass: a walk meets the nearest first, but not in order. Below 2 % it loses
   neighbours even so, and below a share that falls with `top_k` it is slower than reading the matches.
3. `exact`: when that gave fewer than `top_k`, distances of all matching documents. So an approximate walk that
   gave up, a rare filter, a small collection and a table without HNSW all end here, and nothing is lost.

Statements run with `prepare=False`: the planner must see the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql

from prismhouse.query.brought import (
    MULTI_CHEAPER,
    MULTI_ROWS,
    MULTI_TABLES,
    SPARSE_ROWS,
    MultiSearch,
    SparseSearch,
    neighbours,
)
from prismhouse.query.document import document_json
from prismhouse.query.filters import EVERYTHING, And, Filter, document_columns, guarded, is_indexed, to_sql
from prismhouse.query.fusion import Fusion, combined, contribution
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.halfvec import HalfVector
from prismhouse.storage.postgres.readers import principal
from prismhouse.storage.postgres.vectors import DISTANCE_OPERATORS, VectorIndex

__all__ = [
    "EVERY_RANK",
    "DenseSearch",
    "Found",
    "LexicalSearch",
    "Query",
    "Search",
    "Window",
    "identifier",
    "run",
]

_COLUMNS = document_columns("d")
_SAMPLE_ROWS = 300
_EVERY = "readable.every_document"
# One match in this many is the least at which walking the graph keeps its recall (measured: bench/search).
_RARE = 50
# What one step of the walk costs, in matching documents that an index found, read with their vectors (measured:
# 20 us against 5 us).
_STEP_COST = 4
# How many must pass for each that is answered, where less than a tenth and where more pass. Recall at 10 of 23,500
# sentences by MiniLM with ef_search 120, at 5 %: 0.987 without a surplus, 0.994 with 1.5, 0.996 with 2.
_SURPLUS_OF_FEW = 2.0
_SURPLUS = 1.5
# Below one match in so many the graph loses neighbours of clustered vectors (recall at 10 of 0.94, measured:
# bench/search), so that up to so many matches an index found are read and compared one by one: about 20 ms.
_SPARSE = 12
_FEW = 10_000
_SCORES = {"cosine": "1 - distance", "dot": "-distance", "euclidean": "1 / (1 + distance)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseSearch:
    """Nearest vectors. Score: cosine similarity, inner product, or 1 / (1 + distance); higher is better."""

    index: VectorIndex
    vector: HalfVector
    collection_ids: Sequence[str]
    top_k: int
    min_score: float | None = None
    weight: float = 1.0
    filter: Filter = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalSearch:
    """Documents that hold any word of `text`, by English stem. Score in 0..1, higher is better."""

    text: str
    collection_ids: Sequence[str]
    top_k: int
    min_score: float | None = None
    weight: float = 1.0
    filter: Filter = EVERYTHING


Search = DenseSearch | LexicalSearch | SparseSearch | MultiSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which ranks (from 0) come with their JSON; the others come as ids and scores only."""

    start: int = 0
    stop: int = 5_000


EVERY_RANK = Window()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Searches, fused. Without searches: the documents that pass `filter`, by id, without a score."""

    searches: Sequence[Search]
    collection_ids: Sequence[str]
    limit: int
    filter: Filter = EVERYTHING
    fusion: Fusion = Fusion.RRF
    window: Window = EVERY_RANK
    vectors: Mapping[str, VectorIndex] = field(default_factory=dict)
    retriever_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Best first. `documents` has JSON inside the window and None outside.

    `version` is the retriever's at that moment, 0 when there is none.
    """

    document_ids: Sequence[str]
    scores: Sequence[float | None]
    documents: Sequence[str | None]
    version: int


async def run(tx: NamespaceReader, query: Query) -> Found:
    """Return the fused ranking of `query`.

    Raises:
        InvalidPattern, PatternTooSlow: for a regular expression of a filter.
        TimeoutError: after the statement timeout.
    """
    builder = _Builder(query)
    filters = And((query.filter, *(search.filter for search in query.searches)))
    try:
        async with guarded(tx, filters):
            row = await tx.fetch_one(builder.statement(), builder.parameters, prepare=False)
    except psycopg.errors.QueryCanceled as error:
        raise TimeoutError from error
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY always has one row
    return Found(
        document_ids=row["document_ids"], scores=row["scores"], documents=row["documents"], version=row["version"]
    )


class _Builder:
    def __init__(self, query: Query) -> None:
        self._query = query
        # An end user does not see every document: how many of all, the sample must know.
        self._every, self._seen = ("documents", "") if principal() is None else (_EVERY, " AND may_read(d.internal)")
        self.parameters: dict[str, Any] = {
            "limit": query.limit,
            "window_start": query.window.start,
            "window_stop": query.window.stop,
            "retriever_id": query.retriever_id,
        }

    def statement(self) -> str:
        tables: list[str] = []
        for number, search in enumerate(self._query.searches):
            match search:
                case DenseSearch():
                    tables += self._dense(str(number), search)
                case MultiSearch():
                    tables += self._multi(str(number), search)
                case SparseSearch():
                    tables.append(self._sparse(str(number), search))
                case LexicalSearch():
                    tables.append(self._lexical(str(number), search))
        tables.append(self._fused() if self._query.searches else self._filtered())
        document = document_json("d", score="f.score", vectors=self._query.vectors)
        return _STATEMENT.format(tables=", ".join(tables), document=document)

    def _bind(self, name: str, value: Any) -> str:
        self.parameters[name] = value
        return f"%({name})s"

    def _scope(self, number: str, collection_ids: Sequence[str], filter_: Filter) -> dict[str, Any]:
        """Return the conditions on documents `d`: where they are, and the filter."""
        collections = self._bind(f"c{number}", list(collection_ids))
        condition, parameters = to_sql(filter_, _COLUMNS, prefix=f"f{number}_")
        self.parameters |= parameters
        scope = f"d.namespace_id = %(namespace_id)s AND d.collection_id = ANY({collections}::text[])"
        return {"n": number, "scope": scope, "condition": condition}

    def _dense(self, number: str, search: DenseSearch) -> list[str]:
        table = search.index.table_name
        parts = self._scope(number, search.collection_ids, search.filter) | {
            "table": identifier(table),
            "operator": DISTANCE_OPERATORS[search.index.distance],
            "top_k": self._bind(f"k{number}", search.top_k),
            "score": _SCORES[search.index.distance],
            "few": _SURPLUS_OF_FEW,
            "many": _SURPLUS,
            "every": self._every,
            "seen": self._seen,
        }
        self.parameters |= {f"q{number}": search.vector, f"t{number}": table}
        gates, passes, wanted, tables = _APPROXIMATE, "true", "ceil({top_k} * {many})::bigint", []
        if search.filter != EVERYTHING or self._every != "documents":
            tables.append(_SAMPLE)
            gates, passes, wanted = gates + _COMMON, _PASSES, "(SELECT wanted FROM sample{n})"
            if is_indexed(search.filter, _COLUMNS):
                gates += _CHEAPER
        clauses = {"gates": gates, "passes": passes, "wanted": wanted}
        parts |= {name: clause.format(**parts) for name, clause in clauses.items()}
        ready = [part.format(**parts) for part in (*tables, _NEAR, _EXACT)]
        return [*ready, self._ranked(number, search, _DENSE_ROWS.format(**parts))]

    def _lexical(self, number: str, search: LexicalSearch) -> str:
        parts = self._scope(number, search.collection_ids, search.filter)
        parts |= {"text": self._bind(f"q{number}", search.text), "top_k": self._bind(f"k{number}", search.top_k)}
        return self._ranked(number, search, _LEXICAL_ROWS.format(**parts))

    def _multi(self, number: str, search: MultiSearch) -> list[str]:
        parts = self._brought(number, search, search.vectors)
        parts |= {"neighbours": neighbours(search.top_k), "every": self._every, "seen": self._seen, "few": 1, "many": 1}
        self.parameters[f"t{number}"] = search.index.table_name
        gates, passes, tables = _APPROXIMATE, "true", list(MULTI_TABLES)
        if search.filter != EVERYTHING or self._every != "documents":
            tables.insert(0, _SAMPLE)
            gates, passes = gates + MULTI_CHEAPER, _PASSES
        parts |= {"gates": gates.format(**parts), "passes": passes.format(**parts)}
        ready = [_flat(part).format(**parts) for part in tables]
        return [*ready, self._ranked(number, search, _flat(MULTI_ROWS).format(**parts))]

    def _sparse(self, number: str, search: SparseSearch) -> str:
        parts = self._brought(number, search, search.vector)
        return self._ranked(number, search, _flat(SPARSE_ROWS).format(**parts))

    def _brought(self, number: str, search: MultiSearch | SparseSearch, vector: HalfVector | str) -> dict[str, Any]:
        self.parameters[f"q{number}"] = vector
        return self._scope(number, search.collection_ids, search.filter) | {
            "table": identifier(search.index.table_name),
            "operator": DISTANCE_OPERATORS[search.index.distance],
            "score": _SCORES[search.index.distance],
            "top_k": self._bind(f"k{number}", search.top_k),
        }

    def _ranked(self, number: str, search: Search, rows: str) -> str:
        floor = "" if search.min_score is None else f"WHERE score >= {self._bind(f'm{number}', search.min_score)}"
        return _RANKED.format(n=number, rows=rows, floor=floor)

    def _fused(self) -> str:
        searches = self._query.searches
        if len(searches) == 1:
            return _ONE
        fusion = self._query.fusion
        parts = [
            f"SELECT document_id, {contribution(fusion, self._bind(f'w{n}', search.weight))} AS part FROM search{n}"
            for n, search in enumerate(searches)
        ]
        return _FUSED.format(combined=combined(fusion), parts=" UNION ALL ".join(parts))

    def _filtered(self) -> str:
        return _FILTERED.format(**self._scope("", self._query.collection_ids, self._query.filter))


@lru_cache(maxsize=4096)
def identifier(name: str) -> str:
    """Return the quoted name, for use inside a statement."""
    return sql.Identifier(name).as_string()


def _flat(text: str) -> str:
    """Return one line: below 4096 characters psycopg remembers how it translated a statement."""
    return " ".join(text.split())


_STATEMENT = _flat("""
WITH {tables}
SELECT coalesce(array_agg(r.document_id ORDER BY r.rank), '{{}}') AS document_ids,
       coalesce(array_agg(r.score ORDER BY r.rank), '{{}}') AS scores,
       coalesce(array_agg(r.document ORDER BY r.rank), '{{}}') AS documents,
       coalesce((SELECT version FROM retrievers
        WHERE namespace_id = %(namespace_id)s AND retriever_id = %(retriever_id)s), 0) AS version
FROM (
  SELECT f.document_id, f.score, f.rank,
         CASE WHEN f.rank > %(window_start)s AND f.rank <= %(window_stop)s THEN ({document})::text END AS document
  FROM fused AS f
  JOIN documents AS d ON d.namespace_id = %(namespace_id)s AND d.document_id = f.document_id
) AS r
""")
_RANKED = _flat("""
search{n} AS MATERIALIZED (
  SELECT document_id, score, row_number() OVER (ORDER BY score DESC, document_id) AS rank
  FROM ({rows}) AS found {floor}
)
""")
_ONE = "fused AS MATERIALIZED (SELECT document_id, score, rank FROM search0 ORDER BY rank LIMIT %(limit)s)"
_FUSED = _flat("""
fused AS MATERIALIZED (
  SELECT document_id, score, row_number() OVER (ORDER BY score DESC, document_id) AS rank
  FROM (SELECT document_id, {combined} AS score FROM ({parts}) AS parts GROUP BY document_id) AS sums
  ORDER BY rank LIMIT %(limit)s
)
""")
_FILTERED = _flat("""
fused AS MATERIALIZED (
  SELECT document_id, NULL::float8 AS score, row_number() OVER (ORDER BY document_id) AS rank
  FROM (
    SELECT d.document_id FROM documents AS d WHERE {scope} AND {condition} ORDER BY d.document_id LIMIT %(limit)s
  ) AS found
)
""")
_LEXICAL_ROWS = _flat("""
SELECT d.document_id, ts_rank(d.searchable, any_terms({text}), 33)::float8 AS score
FROM documents AS d
WHERE {scope} AND {condition} AND d.searchable @@ any_terms({text})
ORDER BY score DESC, d.document_id LIMIT {top_k}
""")
_SAMPLE = _flat("""
sample{n} AS MATERIALIZED (
  SELECT hits, looked, ceil({top_k} * CASE WHEN hits * 10 < looked THEN {few} ELSE {many} END)::bigint AS wanted
  FROM (
    SELECT count(*) FILTER (WHERE {condition}{seen}) AS hits, count(*) AS looked
    FROM (SELECT d.* FROM {every} AS d WHERE {scope} LIMIT 300) AS d
  ) AS s
)
""")
# Statistics, not the catalogue row of the product, say how large the table is: they cost nothing to read.
_APPROXIMATE = "(SELECT approximate FROM vector_indexes WHERE table_name = %(t{n})s)"
_COMMON = f" AND (SELECT hits * {_RARE} >= looked FROM sample{{n}})"
_CHEAPER = (
    " AND (SELECT hits::float8 ^ 2 * reltuples >= looked::float8 ^ 2 * wanted *"
    f" {_STEP_COST} AND (hits * {_SPARSE} >= looked OR hits * reltuples >= looked * {_FEW}::float8)"
    " FROM sample{n}, pg_class WHERE oid = '{table}'::regclass)"
)
# A scalar subquery cannot be turned into a join, so the planner keeps the index walk and tests as it goes.
_PASSES = _flat("""
(SELECT {condition} FROM documents AS d WHERE d.namespace_id = v.namespace_id AND d.document_id = v.document_id)
""")
_NEAR = _flat("""
near{n} AS MATERIALIZED (
  SELECT v.document_id, v.embedding {operator} %(q{n})b::halfvec AS distance
  FROM {table} AS v
  WHERE {gates} AND v.namespace_id = %(namespace_id)s AND v.collection_id = ANY(%(c{n})s::text[]) AND {passes}
  ORDER BY v.embedding {operator} %(q{n})b::halfvec LIMIT {wanted}
)
""")
# LATERAL keeps the scan, and any worker process for it, from starting when it is not needed; the sum keeps the
# planner from walking the graph here too.
_EXACT = _flat("""
exact{n} AS MATERIALIZED (
  SELECT x.document_id, x.distance
  FROM (SELECT count(*) < {top_k} AS needed FROM near{n}) AS gate,
  LATERAL (
    SELECT v.document_id, v.embedding {operator} %(q{n})b::halfvec AS distance
    FROM documents AS d JOIN {table} AS v ON v.namespace_id = d.namespace_id AND v.document_id = d.document_id
    WHERE gate.needed AND {scope} AND {condition}
    ORDER BY (v.embedding {operator} %(q{n})b::halfvec) + 0.0 LIMIT {top_k}
  ) AS x
)
""")
_DENSE_ROWS = _flat("""
SELECT document_id, {score} AS score FROM exact{n}
UNION ALL
(SELECT document_id, {score} AS score FROM near{n} WHERE NOT EXISTS (SELECT FROM exact{n})
 ORDER BY distance, document_id LIMIT {top_k})
""")
