"""Search against oracles: recall against exact distances, fusion against Python, filters at any selectivity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from prismhouse.kit.ids import CollectionId, NamespaceId
from prismhouse.query.filters import EVERYTHING, Filter, InvalidPattern, parse
from prismhouse.query.fusion import Fusion
from prismhouse.query.search import DenseSearch, Found, LexicalSearch, Query, Window, run
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import Database
from prismhouse.storage.postgres.halfvec import half_vector
from prismhouse.storage.postgres.vectors import VectorIndex

URI = "mixpeek://text_extractor@v1/small"
NAMESPACE = NamespaceId("ns_1")
ROWS, DIMENSIONS = 3_000, 32
SCENE = """
INSERT INTO organizations (organization_id, organization_name) VALUES ('org_1', 'one');
INSERT INTO namespaces (namespace_id, organization_id, namespace_name) VALUES ('ns_1', 'org_1', 'one');
INSERT INTO collections (namespace_id, collection_id, collection_name, source, source_ids, feature_extractor,
                         input_schema, output_schema)
SELECT 'ns_1', c, c, '{}', '{}', '{}', '{}', '{}' FROM unnest(ARRAY['col_1', 'col_2']) AS c;
"""
WORDS = ["red", "green", "blue", "shoes", "shirt", "lamp", "garden", "hose"]


class House:
    """Clustered vectors in a table with HNSW; the last 30 documents are in a second, small collection."""

    def __init__(self, db: Database, index: VectorIndex, stored: np.ndarray) -> None:
        self.db = db
        self.index = index
        self.stored = stored

    def dense(self, query: np.ndarray, filter_: Filter = EVERYTHING, **fields: Any) -> DenseSearch:
        given = {"collection_ids": ["col_1", "col_2"], "top_k": 10, **fields}
        return DenseSearch(index=self.index, vector=half_vector(query), filter=filter_, **given)

    async def run(self, *searches: DenseSearch | LexicalSearch, limit: int = 10, **fields: Any) -> Found:
        query = Query(searches=searches, collection_ids=["col_1", "col_2"], limit=limit, **fields)
        async with self.db.read() as tx:
            return await run(tx.within(NAMESPACE), query)

    def nearest(self, query: np.ndarray, allowed: np.ndarray, count: int = 10) -> list[str]:
        numbers = np.flatnonzero(allowed)
        scores = self.stored[numbers] @ query / np.linalg.norm(self.stored[numbers], axis=1)
        return [_name(number) for number in numbers[np.argsort(-scores, kind="stable")[:count]]]


def _name(number: int) -> str:
    # Hashed by multiplication: neighbours in number are not neighbours in id.
    return f"doc_{number * 2654435761 % 2**32:08x}"


@pytest.fixture
async def house(db: Database, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(vectors, "APPROXIMATE_FROM_ROWS", 1_000)
    random = np.random.default_rng(11)
    centres = random.standard_normal((40, DIMENSIONS))
    given = (centres[random.integers(0, 40, ROWS)] + 0.5 * random.standard_normal((ROWS, DIMENSIONS))).astype(
        np.float32
    )
    payloads = [
        Jsonb({"number": n, "half": "Yes" if n % 2 else "No", "words": " ".join(random.choice(WORDS, 3))})
        for n in range(ROWS)
    ]
    async with db.write() as tx:
        await tx.execute(SCENE)
        scoped = tx.within(NAMESPACE)
        index = await vectors.declare(scoped, feature_uri=URI, dimensions=DIMENSIONS, distance="cosine", model="m")
        for collection, rows in (("col_1", range(ROWS - 30)), ("col_2", range(ROWS - 30, ROWS))):
            ids = [_name(n) for n in rows]
            await scoped.execute(
                "INSERT INTO documents (namespace_id, collection_id, document_id, payload)"
                " SELECT %(namespace_id)s, %(c)s, d, p FROM unnest(%(d)b::text[], %(p)s::jsonb[]) AS g (d, p)",
                {"c": collection, "d": ids, "p": [payloads[n] for n in rows]},
            )
            await vectors.write(
                scoped, index, collection_id=CollectionId(collection), document_ids=ids, vectors=given[list(rows)]
            )
    await vectors.build_approximate_indexes(db, NAMESPACE)
    async with db.write() as tx:
        await tx.execute("ANALYZE documents")
    return House(db, index, given.astype(np.float16).astype(np.float32))


def _queries(house: House, count: int = 10) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [
        (house.stored[n] + 0.2 * random.standard_normal(DIMENSIONS)).astype(np.float32)
        for n in random.integers(0, ROWS, count)
    ]


@pytest.mark.parametrize(
    ("tree", "allowed"),
    [
        (None, lambda n: np.full(len(n), True)),
        ({"half": "yes"}, lambda n: n % 2 == 1),
        ({"number": {"lt": 150}}, lambda n: n < 150),
        ({"number": {"lt": 15}}, lambda n: n < 15),
        ({"number": [7, 70, 700]}, lambda n: np.isin(n, [7, 70, 700])),
        ({"NOT": {"half": "yes"}, "number": {"gte": 2_000}}, lambda n: (n % 2 == 0) & (n >= 2_000)),
        ({"number": -1}, lambda n: np.full(len(n), False)),
    ],
)
async def test_the_nearest_are_found_at_any_selectivity(house: House, tree: Any, allowed: Any) -> None:
    mask = allowed(np.arange(ROWS))
    hits = wanted = 0

    for query in _queries(house):
        expected = house.nearest(query, mask)
        found = await house.run(house.dense(query, parse(tree)))
        hits += len(set(found.document_ids) & set(expected))
        wanted += len(expected)

    assert hits >= 0.98 * wanted


async def test_the_nearest_are_found_when_the_collection_is_small(house: House) -> None:
    [query] = _queries(house, 1)

    found = await house.run(house.dense(query, collection_ids=["col_2"]))

    assert list(found.document_ids) == house.nearest(query, np.arange(ROWS) >= ROWS - 30)


async def test_the_nearest_are_found_when_there_is_no_approximate_index(house: House) -> None:
    [query] = _queries(house, 1)
    async with house.db.write() as tx:
        await tx.execute("UPDATE vector_indexes SET approximate = false")

    found = await house.run(house.dense(query))

    assert list(found.document_ids) == house.nearest(query, np.full(ROWS, True))


@pytest.mark.parametrize("fusion", list(Fusion))
async def test_fusion_equals_the_oracle(house: House, fusion: Fusion) -> None:
    first, second = _queries(house, 2)
    searches = [
        house.dense(first, top_k=20, weight=0.7),
        house.dense(second, top_k=15, weight=1.0),
        LexicalSearch(text="red shoes", collection_ids=["col_1"], top_k=10, weight=0.4),
    ]
    alone = [await house.run(search, limit=50) for search in searches]

    fused = await house.run(*searches, limit=50, fusion=fusion)

    expected = _fuse(alone, [0.7, 1.0, 0.4], fusion)
    assert dict(zip(fused.document_ids, fused.scores, strict=True)) == pytest.approx(expected)
    assert (
        list(fused.document_ids) == sorted(expected, key=lambda name: (-expected[name], name)) or fusion is Fusion.RRF
    )
    assert list(fused.scores) == sorted(fused.scores, reverse=True)


def _fuse(rankings: Sequence[Found], weights: Sequence[float], fusion: Fusion) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        scores = [float(score or 0) for score in ranking.scores]
        low, span = min(scores), max(scores) - min(scores)
        for rank, (name, score) in enumerate(zip(ranking.document_ids, scores, strict=True), start=1):
            part = {
                Fusion.RRF: weight / (60 + rank),
                Fusion.DBSF: weight * ((score - low) / span if span else 1),
                Fusion.WEIGHTED: weight * score,
                Fusion.MAX: score,
            }[fusion]
            parts.setdefault(name, []).append(part)
    return {name: max(given) if fusion is Fusion.MAX else sum(given) for name, given in parts.items()}


async def test_a_floor_applies_before_fusion(house: House) -> None:
    [query] = _queries(house, 1)
    every = await house.run(house.dense(query))

    some = await house.run(house.dense(query, min_score=every.scores[3]))

    assert list(some.document_ids) == list(every.document_ids)[:4]


@pytest.mark.parametrize("text", ["the of and", "", "!!!", "'", "a & b | (c", "red:*"])
async def test_odd_texts_are_no_errors(house: House, text: str) -> None:
    found = await house.run(LexicalSearch(text=text, collection_ids=["col_1"], top_k=5))

    assert len(found.document_ids) == (5 if text == "red:*" else 0)


async def test_lexical_search_prefers_documents_with_more_of_the_words(house: House) -> None:
    found = await house.run(
        LexicalSearch(text="Garden hoses", collection_ids=["col_1"], top_k=5), window=Window(stop=1)
    )

    assert found.documents[0] is not None
    assert "garden" in found.documents[0]
    assert "hose" in found.documents[0]
    assert found.documents[1] is None


async def test_another_namespace_sees_nothing(house: House) -> None:
    [query] = _queries(house, 1)
    asked = Query(searches=[house.dense(query)], collection_ids=["col_1"], limit=10)

    async with house.db.read() as tx:
        found = await run(tx.within(NamespaceId("ns_2")), asked)

    assert list(found.document_ids) == []


async def test_a_pattern_is_refused_when_only_the_database_dislikes_it(house: House) -> None:
    [query] = _queries(house, 1)

    with pytest.raises(InvalidPattern):
        await house.run(house.dense(query, parse({"words": {"regex": "(?<=x)\\Kred"}})))
