"""A document found by a retriever is the document of a list: two places in the code make the same shape."""

from __future__ import annotations

import httpx2
from psycopg.types.json import Jsonb
from tests.opened import Open

BLOBS = [
    {"field": "thumb", "role": "thumbnail", "type": "image", "checksum": "abc", "size_bytes": None},
    {"field": "text", "checksum": "def", "url": "http://x/y"},
    {"field": "sheet", "role": "derived", "type": "excel"},
]
FILLED = """
INSERT INTO documents (namespace_id, collection_id, document_id, payload, document_blobs, source_blobs, internal,
  root_object_id, root_bucket_id, source_type, source_object_id, lineage_path, lineage_chain, content_hash, batch_id)
VALUES (%(n)s, %(c)s, 'doc_full', %(payload)s, %(blobs)s, %(source)s, %(internal)s, 'obj_1', 'bkt_1', 'bucket', 'obj_1',
  'bkt_1/col_1', %(chain)s, 'hash', 'btch_1')
"""
BARE = (
    "INSERT INTO documents (namespace_id, collection_id, document_id, payload) VALUES (%(n)s, %(c)s, 'doc_bare', '{}')"
)


async def test_a_run_and_a_list_show_the_same_document(opened: Open) -> None:
    client = opened.client()
    collection_id = await _collection(client)
    given = {"n": client.headers["X-Namespace"], "c": collection_id}
    full = {
        "payload": Jsonb({"title": "a", "nested": {"list": [1, 2.5, None, True]}}),
        "blobs": Jsonb(BLOBS),
        "source": Jsonb([{"blob_id": "b", "property": "text"}]),
        "internal": Jsonb({"modality": "text", "start_time": 1.25}),
        "chain": Jsonb([{"collection_id": collection_id}]),
    }
    async with opened.house.db.write() as tx:
        await tx.execute(FILLED, given | full)
        await tx.execute(BARE, given)
    stage = {"stage_id": "attribute_filter", "parameters": {"field": "collection_id", "value": collection_id}}
    body = {"collection_identifiers": [collection_id], "stages": [{"stage_name": "all", "config": stage}]}

    listed = (await client.post(f"/v1/collections/{collection_id}/documents/list", json={})).json()["results"]
    found = (await client.post("/v1/retrievers/execute", json=body)).json()["documents"]

    assert {one["document_id"] for one in found} == {"doc_full", "doc_bare"}
    by_id = {one["document_id"]: one for one in listed}
    for one in found:
        one.pop("score", None)
        assert one == by_id[one["document_id"]]


async def _collection(client: httpx2.AsyncClient) -> str:
    space = (await client.post("/v1/namespaces", json={"namespace_name": "shape"})).json()["namespace_id"]
    client.headers["X-Namespace"] = space
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = (await client.post("/v1/buckets", json={"bucket_name": "texts", "bucket_schema": schema})).json()[
        "bucket_id"
    ]
    body = {
        "collection_name": "chunks",
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "text"},
        },
    }
    return str((await client.post("/v1/collections", json=body)).json()["collection_id"])
