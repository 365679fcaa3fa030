"""A namespace to annotate in, and the calls that tests of annotations make."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from typing import Any

import httpx2
from tests.opened import Open

from prismhouse.api.documents import NewDocument
from prismhouse.kit.ids import DocumentId, NamespaceId

ROOT = "/v1/annotations"


async def reviews(opened: Open, key: str | None = None) -> httpx2.AsyncClient:
    """Return a client in a new namespace."""
    client = opened.client(key)
    made = await ok(client.post("/v1/namespaces", json={"namespace_name": f"reviews_{uuid.uuid4().hex[:8]}"}))
    client.headers["X-Namespace"] = made["namespace_id"]
    return client


async def ok(answer: Awaitable[httpx2.Response]) -> dict[str, Any]:
    """Return the answer of a success; fail with the whole answer of anything else."""
    found = await answer
    assert found.status_code == 200, found.text
    content: dict[str, Any] = found.json()
    return content


async def create(client: httpx2.AsyncClient, **values: Any) -> dict[str, Any]:
    """Create an annotation."""
    return await ok(client.post(ROOT, json={"document_id": "doc_1", "label": "approved", **values}))


async def events_of(opened: Open, client: httpx2.AsyncClient) -> list[tuple[str, dict[str, Any]]]:
    """Return type and payload of the events of annotations in the client's namespace, in order."""
    statement = """SELECT event_type, payload FROM events
                   WHERE namespace_id = %(namespace)s AND event_type LIKE 'annotation.%%' ORDER BY sequence"""
    async with opened.house.db.read() as tx:
        rows = await tx.fetch_all(statement, {"namespace": client.headers["X-Namespace"]})
    return [(row["event_type"], row["payload"]) for row in rows]


async def stored_document(opened: Open, client: httpx2.AsyncClient) -> tuple[str, str]:
    """Return the ids of a new collection and of a document in it."""
    name = f"posts_{uuid.uuid4().hex[:8]}"
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = await ok(client.post("/v1/buckets", json={"bucket_name": name, "bucket_schema": schema}))
    body = {
        "collection_name": name,
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "text"},
        },
    }
    collection_id = (await ok(client.post("/v1/collections", json=body)))["collection_id"]
    document_id = DocumentId(f"doc_{uuid.uuid4().hex}")
    document = NewDocument(document_id=document_id, collection_id=collection_id, payload={"text": "a"})
    async with opened.house.db.write() as unit:
        await opened.house.documents.write(unit.within(NamespaceId(client.headers["X-Namespace"])), [document])
    return collection_id, document_id
