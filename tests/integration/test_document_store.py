"""Writing documents: set-based, repeatable, and never stopped by a character."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.extractors import SmallCatalogue
from tests.web import FixedBuckets, add_tenant

from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.model import NewDocument
from prismhouse.api.documents.service import DocumentElsewhere, Documents
from prismhouse.kit.ids import BatchId, CollectionId, DocumentId, NamespaceId, ObjectId
from prismhouse.storage.postgres.database import Database


def document(name: str, payload: dict[str, Any] | None = None, **columns: Any) -> NewDocument:
    columns = {"collection_id": CollectionId("col_1"), **columns}
    return NewDocument(document_id=DocumentId(f"doc_{name}"), payload=payload or {"name": name}, **columns)


@pytest.fixture
async def namespace(db: Database) -> NamespaceId:
    namespace_id = await add_tenant(db, "one")
    async with db.write() as unit:
        await unit.within(namespace_id).execute(
            """INSERT INTO collections (namespace_id, collection_id, collection_name, source, source_ids,
                 feature_extractor, input_schema, output_schema)
               SELECT %(namespace_id)s, id, id, '{}', '{}', '{}', '{}', '{}'
               FROM unnest(ARRAY['col_1', 'col_2']) AS id"""
        )
    return namespace_id


@pytest.fixture
def documents(db: Database) -> Documents:
    return Documents(db, collections=Collections(db, catalogue=SmallCatalogue(), buckets=FixedBuckets()))


async def test_a_document_written_twice_is_replaced_and_keeps_its_creation_time(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    async with db.write() as unit:
        assert await documents.write(unit.within(namespace), [document("a"), document("b")]) == 2
    async with db.write() as unit:
        assert await documents.write(unit.within(namespace), [document("a", {"name": "new"})]) == 1

    async with db.read() as unit:
        found = await documents.load(unit.within(namespace), ["doc_a", "doc_b", "doc_c"])
    assert {key: one.payload for key, one in found.items()} == {"doc_a": {"name": "new"}, "doc_b": {"name": "b"}}
    assert found["doc_a"].created_at < found["doc_a"].updated_at
    assert found["doc_a"].created_at == found["doc_b"].created_at


async def test_of_two_documents_with_one_id_in_one_call_the_later_one_stays(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    async with db.write() as unit:
        assert await documents.write(unit.within(namespace), [document("a", {"n": 1}), document("a", {"n": 2})]) == 1
        found = await documents.load(unit.within(namespace), ["doc_a"])
    assert found["doc_a"].payload == {"n": 2}


async def test_characters_that_jsonb_refuses_are_dropped_and_the_rest_is_kept(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    payload = {
        "te\x00xt": "a\x00b",
        "deep": [{"x": "\x00"}],
        "path": "c:\\u0000",
        "half": "x\ud800y",
        "nan": float("nan"),
    }

    async with db.write() as unit:
        await documents.write(unit.within(namespace), [document("a", payload)])
        found = await documents.load(unit.within(namespace), ["doc_a"])

    assert found["doc_a"].payload == {
        "text": "ab",
        "deep": [{"x": ""}],
        "path": "c:\\u0000",
        "half": "x\ufffdy",
        "nan": None,
    }


async def test_fields_that_the_api_fills_itself_are_left_out(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    async with db.write() as unit:
        await documents.write(unit.within(namespace), [document("a", {"_internal": 1, "document_id": 2, "x": 3})])
        found = await documents.load(unit.within(namespace), ["doc_a"])
    assert found["doc_a"].payload == {"x": 3}


async def test_a_document_never_moves_to_another_collection(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    async with db.write() as unit:
        await documents.write(unit.within(namespace), [document("a")])
    with pytest.raises(DocumentElsewhere):
        async with db.write() as unit:
            await documents.write(unit.within(namespace), [document("a", collection_id=CollectionId("col_2"))])

    async with db.read() as unit:
        assert await documents.count(unit.within(namespace), "col_1") == 1
        assert await documents.count(unit.within(namespace), "col_2") == 0


async def test_counts_stay_exact_when_writers_run_at_once_and_some_fail(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    async def write(number: int) -> None:
        made = [document(f"{number}_{n}") for n in range(20)] + [document("shared")]
        async with db.write() as unit:
            tx = unit.within(namespace)
            await documents.write(tx, made)
            await documents.delete_of_objects(tx, "col_1", ["obj_none"], except_batch=None)
            if number % 3 == 0:
                raise RuntimeError

    await asyncio.gather(*(write(number) for number in range(9)), return_exceptions=True)

    async with db.read() as unit:
        tx = unit.within(namespace)
        standing = await tx.fetch_value("SELECT count(*) FROM documents WHERE namespace_id = %(namespace_id)s")
        assert standing == 6 * 20 + 1
        assert await documents.count(tx, "col_1") == standing


async def test_a_namespace_with_documents_can_be_deleted(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    async with db.write() as unit:
        await documents.write(unit.within(namespace), [document("a")])
        await unit.execute("DELETE FROM namespaces")

    async with db.read() as unit:
        assert await unit.fetch_value("SELECT count(*) FROM collection_counters") == 0


async def test_nothing_is_written_for_no_documents(db: Database, documents: Documents, namespace: NamespaceId) -> None:
    async with db.write() as unit:
        assert await documents.write(unit.within(namespace), []) == 0


async def test_replacing_leaves_only_what_the_new_batch_made(
    db: Database, documents: Documents, namespace: NamespaceId
) -> None:
    old, new = BatchId("btch_old"), BatchId("btch_new")
    of_one: dict[str, Any] = {"root_object_id": ObjectId("obj_1")}
    async with db.write() as unit:
        tx = unit.within(namespace)
        await documents.write(
            tx,
            [
                document("a", batch_id=old, **of_one),
                document("b", batch_id=old, **of_one),
                document("other", batch_id=old, root_object_id=ObjectId("obj_2")),
                document("elsewhere", batch_id=old, collection_id=CollectionId("col_2"), **of_one),
                document("early", **of_one),
            ],
        )
        await documents.write(tx, [document("a", batch_id=new, **of_one)])

        assert await documents.existing_objects(tx, "col_1", ["obj_1", "obj_3"]) == {"obj_1"}
        assert await documents.delete_of_objects(tx, "col_1", ["obj_1"], except_batch=new) == 2

        assert await documents.counts_of_objects(tx, ["obj_1", "obj_2", "obj_3"]) == {"obj_1": 2, "obj_2": 1}
        assert await documents.count(tx, "col_1") == 2
        assert await documents.ids_of_batch(tx, old, ["col_1", "col_2"], limit=10) == ["doc_elsewhere", "doc_other"]
        assert await documents.ids_of_batch(tx, old, ["col_1", "col_2"], after="doc_elsewhere", limit=1) == [
            "doc_other"
        ]
