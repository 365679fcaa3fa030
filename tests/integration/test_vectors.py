"""Vector tables: declared once, written in bulk, emptied with their documents, indexed when they have grown."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from prismhouse.kit.errors import Invalid
from prismhouse.kit.ids import CollectionId, NamespaceId
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import Database, NamespaceWriter
from prismhouse.storage.postgres.vectors import VectorIndex, VectorSizeConflict, VectorUnusable

URI = "mixpeek://text_extractor@v1/small"
NAMESPACE = NamespaceId("ns_1")
COLLECTION = CollectionId("col_1")

SCENE = """
INSERT INTO organizations (organization_id, organization_name) VALUES ('org_1', 'one');
INSERT INTO namespaces (namespace_id, organization_id, namespace_name) VALUES ('ns_1', 'org_1', 'one');
INSERT INTO collections (namespace_id, collection_id, collection_name, source, source_ids, feature_extractor,
                         input_schema, output_schema)
VALUES ('ns_1', 'col_1', 'first', '{}', '{}', '{}', '{}', '{}');
"""


@pytest.fixture
async def house(db: Database) -> Database:
    async with db.write() as tx:
        await tx.execute(SCENE)
    return db


async def _declare(db: Database, *, dimensions: int = 4, distance: str = "cosine") -> VectorIndex:
    async with db.write() as tx:
        return await vectors.declare(
            tx.within(NAMESPACE), feature_uri=URI, dimensions=dimensions, distance=distance, model="m"
        )


async def _documents(tx: NamespaceWriter, count: int) -> list[str]:
    ids = [f"doc_{number}" for number in range(count)]
    await tx.execute(
        "INSERT INTO documents (namespace_id, collection_id, document_id, payload)"
        " SELECT %(namespace_id)s, 'col_1', unnest(%(ids)b::text[]), '{}' ON CONFLICT DO NOTHING",
        {"ids": ids},
    )
    return ids


async def _stored(db: Database, index: VectorIndex) -> list[list[float]]:
    async with db.read() as tx:
        rows = await tx.fetch_all(f"SELECT embedding::real[] AS v FROM {index.table_name} ORDER BY document_id")
    return [row["v"] for row in rows]


async def test_one_table_stands_when_many_declare_at_once(house: Database) -> None:
    declared = await asyncio.gather(*(_declare(house) for _ in range(4)))

    assert len({index.table_name for index in declared}) == 1


async def test_declaring_fails_when_the_size_differs(house: Database) -> None:
    await _declare(house)

    with pytest.raises(VectorSizeConflict, match="holds 4-dimensional vectors"):
        await _declare(house, dimensions=5)
    with pytest.raises(VectorSizeConflict):
        await _declare(house, distance="dot")


@pytest.mark.parametrize("dimensions", [0, vectors.MAX_DIMENSIONS + 1])
async def test_declaring_fails_when_the_size_cannot_be_stored(house: Database, dimensions: int) -> None:
    with pytest.raises(Invalid, match="1 to 4000 dimensions"):
        await _declare(house, dimensions=dimensions)


async def test_the_largest_size_can_be_written(house: Database) -> None:
    index = await _declare(house, dimensions=vectors.MAX_DIMENSIONS)

    async with house.write() as tx:
        scoped = tx.within(NAMESPACE)
        ids = await _documents(scoped, 2)
        ones = np.ones((2, vectors.MAX_DIMENSIONS), np.float32)
        await vectors.write(scoped, index, collection_id=COLLECTION, document_ids=ids, vectors=ones)

    assert len(await _stored(house, index)) == 2


async def test_vectors_are_replaced_when_written_again(house: Database) -> None:
    index = await _declare(house)
    first = np.asarray([[1, 2, 3, 4], [0.5, -0.25, 0, 8]], np.float32)

    for given in (first, first * 2):
        async with house.write() as tx:
            scoped = tx.within(NAMESPACE)
            ids = await _documents(scoped, 2)
            await vectors.write(scoped, index, collection_id=COLLECTION, document_ids=ids, vectors=given)

    assert await _stored(house, index) == (first * 2).tolist()


async def test_vectors_leave_when_their_documents_do(house: Database) -> None:
    index = await _declare(house)
    async with house.write() as tx:
        scoped = tx.within(NAMESPACE)
        ids = await _documents(scoped, 3)
        await vectors.write(
            scoped, index, collection_id=COLLECTION, document_ids=ids, vectors=np.ones((3, 4), np.float32)
        )

    async with house.write() as tx:
        await tx.execute("DELETE FROM documents WHERE document_id = 'doc_1'")
    assert len(await _stored(house, index)) == 2

    async with house.write() as tx:
        await tx.execute("DELETE FROM collections")
    assert await _stored(house, index) == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (np.ones((1, 3), np.float32), "shape"),
        (np.asarray([[1, 2, 3, np.nan]], np.float32), "not a number"),
        (np.asarray([[1, 2, 3, 1e6]], np.float32), "not a number from"),
    ],
)
async def test_writing_fails_when_a_vector_cannot_be_stored(house: Database, given: np.ndarray, reason: str) -> None:
    index = await _declare(house)

    with pytest.raises(VectorUnusable, match=reason):
        async with house.write() as tx:
            await vectors.write(
                tx.within(NAMESPACE), index, collection_id=COLLECTION, document_ids=["doc_1"], vectors=given
            )


async def test_an_approximate_index_is_built_once_when_the_table_has_grown(
    house: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "APPROXIMATE_FROM_ROWS", 20)
    index = await _declare(house)
    assert await vectors.build_approximate_indexes(house, NAMESPACE) == []
    async with house.write() as tx:
        scoped = tx.within(NAMESPACE)
        ids = await _documents(scoped, 20)
        given = np.random.default_rng(1).standard_normal((20, 4)).astype(np.float32)
        await vectors.write(scoped, index, collection_id=COLLECTION, document_ids=ids, vectors=given)

    assert await vectors.build_approximate_indexes(house, NAMESPACE) == [index.table_name]
    assert await vectors.build_approximate_indexes(house, NAMESPACE) == []
    assert (await _declare(house)).approximate


async def test_nothing_is_left_when_all_are_dropped(house: Database) -> None:
    index = await _declare(house)

    async with house.write() as tx:
        await vectors.drop_all(tx.within(NAMESPACE))

    async with house.read() as tx:
        assert await tx.fetch_value("SELECT to_regclass(%(name)s)", {"name": index.table_name}) is None
        assert await vectors.load(tx.within(NAMESPACE), [URI]) == {}
