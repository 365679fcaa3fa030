"""What is told of changes through the API: each change, once, bounded."""

from __future__ import annotations

from typing import Any

from .conftest import Place


async def told(place: Place, after: str | None = None) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Return the events after a cursor, as (type, payload), and the cursor after them."""
    page = (await place.client.get("/v1/events", params={"limit": 1000, **({"cursor": after} if after else {})})).json()
    return [(event["event_type"], event["payload"]) for event in page["results"]], page["next_cursor"]


async def ok(place: Place, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Return the answer of a success."""
    answer = await place.client.request(method, path, json=body)
    assert answer.status_code < 300, (path, answer.text)
    return answer.json() if answer.content else {}


async def test_every_change_is_told_once_in_its_order(place: Place) -> None:
    space = await ok(place, "POST", "/v1/namespaces", {"namespace_name": "told"})
    place.client.headers["X-Namespace"] = space["namespace_id"]
    schema = {"properties": {"text": {"type": "text"}, "n": {"type": "integer"}}}
    bucket = (await ok(place, "POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema}))["bucket_id"]
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1", "input_mappings": {"text": "text"}}
    source = {"type": "bucket", "bucket_ids": [bucket]}
    body = {"collection_name": "notes", "source": source, "feature_extractor": extractor}
    collection = (await ok(place, "POST", "/v1/collections", body))["collection_id"]
    path = f"/v1/collections/{collection}"
    named = {"collection_id": collection}

    await ok(place, "PATCH", path, {"description": "new"})
    blob = {"property": "text", "type": "text", "data": "x"}
    one = (await ok(place, "POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]}))["object_id"]
    await ok(place, "PATCH", f"/v1/buckets/{bucket}/objects/{one}", {"n": 1})
    first = (await ok(place, "POST", f"{path}/documents", {"text": "a", "root_object_id": one}))["document_id"]
    second = (await ok(place, "POST", f"{path}/documents", {"text": "b"}))["document_id"]
    events, cursor = await told(place)

    assert events == [
        ("collection.created", {**named, "collection_name": "notes"}),
        ("collection.updated", {**named, "collection_name": "notes", "changed_fields": ["description"]}),
        ("object.created", {"bucket_id": bucket, "object_id": one}),
        ("object.updated", {"bucket_id": bucket, "object_id": one}),
        ("document.created", {**named, "document_id": first}),
        ("document.created", {**named, "document_id": second}),
    ]

    await ok(place, "PATCH", f"{path}/documents/{first}", {"text": "c", "metadata": {"k": 1}})
    await ok(place, "PATCH", f"{path}/documents/{first}", {})  # changes nothing
    updates = [{"document_id": name, "update_data": {"n": 2}} for name in (first, second, "doc_gone")]
    await ok(place, "POST", f"{path}/documents/batch", {"updates": updates})
    await ok(place, "DELETE", f"{path}/documents/batch", {"document_ids": [second, "doc_gone"]})
    await ok(place, "DELETE", f"/v1/buckets/{bucket}/objects/{one}?cascade=true")
    await ok(place, "DELETE", path)
    events, _ = await told(place, cursor)

    both = sorted([first, second])
    assert [
        (kind, {**payload, "document_ids": sorted(payload.get("document_ids", []))}) for kind, payload in events
    ] == [
        (
            "document.updated",
            {**named, "document_id": first, "changed_fields": ["metadata.k", "text"], "document_ids": []},
        ),
        ("documents.updated.batch", {**named, "document_ids": both, "document_count": 2}),
        ("documents.deleted.batch", {**named, "document_ids": [second], "document_count": 1}),
        ("documents.deleted.batch", {**named, "document_ids": [first], "document_count": 1}),
        ("object.deleted", {"bucket_id": bucket, "object_id": one, "document_ids": []}),
        ("collection.deleted", {**named, "collection_name": "notes", "document_ids": []}),
    ]


async def test_a_change_that_is_refused_tells_nothing(place: Place) -> None:
    space = await ok(place, "POST", "/v1/namespaces", {"namespace_name": "told"})
    place.client.headers["X-Namespace"] = space["namespace_id"]
    _, cursor = await told(place)

    answer = await place.client.request("DELETE", "/v1/collections/nowhere/documents/doc_1")

    assert answer.status_code == 404
    assert await told(place, cursor) == ([], cursor)


async def test_an_upsert_tells_of_its_documents_by_the_thousand(place: Place) -> None:
    space = (await ok(place, "POST", "/v1/namespaces/standalone", {"namespace_name": "own"}))["namespace_id"]
    documents = [{"document_id": f"d{number}", "vectors": {"v": [1.0, 0.5]}} for number in range(1000)]

    for _ in range(2):
        await ok(place, "POST", f"/v1/namespaces/{space}/documents/upsert", {"documents": documents})
    events, _ = await told(place)

    written = [payload for kind, payload in events if kind == "collection.documents.written"]
    assert [payload["document_count"] for payload in written] == [1000, 1000]
    assert set(written[0]["document_ids"]) == {f"d{number}" for number in range(1000)}
    assert len({payload["index_signature"] for payload in written}) == 1
