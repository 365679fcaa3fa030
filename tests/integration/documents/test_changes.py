"""Documents created, merged, replaced, updated and deleted over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mixpeek.models import (
    BatchDeleteDocumentsResponse,
    BatchUpdateDocumentsResponse,
    BulkUpdateDocumentsResponse,
    DocumentResponse,
    GenericDeleteResponse,
)
from tests.shelf import Shelf

from prismhouse.kit.ids import NamespaceId

VECTOR = [0.6, 0.8] + [0.0] * 382
STORED = "text_extractor_v1_embedding"


async def read(shelf: Shelf, document_id: str, query: str = "") -> dict[str, Any]:
    found = await shelf.send("GET", f"/{document_id}{query}")
    DocumentResponse.from_dict(found)
    return found  # type: ignore[no-any-return]


async def test_a_document_is_created_with_lineage_fields_and_vectors(shelf: Shelf) -> None:
    made = await shelf.send(
        "POST",
        "",
        {
            "collection_id": shelf.collection_id,
            "root_object_id": "obj_1",
            "root_bucket_id": "bkt_1",
            "source_type": "bucket",
            "lineage_path": "bkt_1/col_1",
            "lineage_chain": [
                {"collection_id": "col_1", "feature_extractor_id": "e", "timestamp": "2026-01-01T00:00:00Z"}
            ],
            "content_hash": "h",
            "document_schema_version": "v2",
            "metadata": {"a": 1},
            "title": "Tides",
            "features": [{"feature_extractor_id": "mine", "payload": {"mood": "calm"}}],
            "vectors": {STORED: VECTOR},
        },
    )

    DocumentResponse.from_dict(made)
    found = await read(shelf, made["document_id"], "?return_vectors=true")
    assert made["document_id"].startswith("doc_")
    assert (found["title"], found["mood"], found["metadata"]) == ("Tides", "calm", {"a": 1})
    assert found[STORED][:2] == pytest.approx(VECTOR[:2], abs=1e-3)
    lineage = found["_internal"]["lineage"]
    assert (lineage["root_object_id"], lineage["source_type"], lineage["path"]) == ("obj_1", "bucket", "bkt_1/col_1")
    assert found["_internal"]["content_hash"] == "h"
    assert (await shelf.send("GET", "/count"))["count"] == 1


@pytest.mark.parametrize("name", [STORED, "multilingual", "uri", "features"])
async def test_a_vector_is_stored_under_its_index_whatever_it_is_called(shelf: Shelf, name: str) -> None:
    collection = await shelf.send("GET", "/v1/collections/articles")
    uri = collection["vector_indexes"][0]["feature_uri"]
    named = {"multilingual": uri.rpartition("/")[2], "uri": uri}.get(name, STORED)
    brought: dict[str, Any] = {"vectors": {named: VECTOR}}
    if name == "features":
        brought = {"features": [{"feature_extractor_id": "x", "vectors": {named: VECTOR}}]}

    document_id = await shelf.add(**brought)

    assert len((await read(shelf, document_id, "?return_vectors=true"))[STORED]) == 384


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"vectors": {"nobody": VECTOR}}, f"body.vectors.nobody: names no vector index here. There are: {STORED} (384"),
        ({"vectors": {STORED: [1.0]}}, f"body.vectors.{STORED}: has 1 dimensions, not 384. There are: {STORED}"),
        ({"vectors": {STORED: [1e9] * 384}}, "holds a value that is no number"),
        ({"vectors": {STORED: {"indices": [1], "values": [1.0]}}}, "must be a list of numbers"),
        ({"collection_id": "col_other"}, "body.collection_id: is not the collection of the path"),
        ({"_internal": {}}, "body._internal: The server fills this itself"),
        ({"document_id": "doc_mine"}, "body.document_id: The server fills this itself"),
        ({"source_type": "thin air"}, "body.source_type: Input should be"),
        ({"title": "a\x00b"}, "body.title: Text must not contain U+0000"),
    ],
)
async def test_a_document_that_does_not_fit_is_refused(shelf: Shelf, body: dict[str, Any], said: str) -> None:
    assert said in await shelf.fault("POST", "", body)
    assert (await shelf.send("GET", "/count"))["count"] == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_both_methods_merge_on_the_collection_route(shelf: Shelf, method: str) -> None:
    document_id = await shelf.add(title="old", kept=1, metadata={"a": 1, "b": 2, "c.d": 3}, deep={"x": 1, "y": 2})

    changed = await shelf.send(
        method,
        f"/{document_id}",
        {"title": None, "metadata": {"a": 9, "b": None, "c.d": 4}, "deep.x": 5, "new.er": [1]},
    )

    found = await read(shelf, document_id)
    assert changed == found
    assert (found["title"], found["kept"], found["metadata"]) == (None, 1, {"a": 9, "c.d": 4})
    assert (found["deep"], found["new"]) == ({"x": 5, "y": 2}, {"er": [1]})


async def test_the_namespace_route_replaces_with_put_and_merges_with_patch(shelf: Shelf) -> None:
    document_id = await shelf.add(title="old", metadata={"a": 1}, root_object_id="obj_1", vectors={STORED: VECTOR})
    path = f"/v1/documents/{document_id}"

    merged = await shelf.send("PATCH", path, {"metadata": {"b": 2}})
    replaced = await shelf.send("PUT", path, {"only": True})

    assert (merged["title"], merged["metadata"]) == ("old", {"a": 1, "b": 2})
    assert {"title", "metadata"}.isdisjoint(replaced)
    assert replaced["only"] is True
    found = await read(shelf, document_id, "?return_vectors=true")
    assert found["_internal"]["lineage"]["root_object_id"] == "obj_1"
    assert len(found[STORED]) == 384


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"_internal": {"x": 1}}, "body._internal: The server fills this itself"),
        ({"vectors": {}}, "body.vectors: Vectors cannot be changed here"),
        ({"root_object_id": "x"}, "body.root_object_id: Lineage stays as it was made"),
        ({"metadata": None}, "body.metadata: must be an object"),
        ({"a..b": 1}, "A name must not be empty"),
        ({"": 1}, "A name must not be empty"),
        ({".".join("x" * 33): 1}, "at most 32 parts"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(shelf: Shelf, body: dict[str, Any], said: str) -> None:
    document_id = await shelf.add(title="old")

    assert said in await shelf.fault("PATCH", f"/{document_id}", body)
    if "at most" not in said and "a..b" not in body:
        await shelf.send("PUT", f"/v1/documents/{document_id}", body, 422)
    assert (await read(shelf, document_id))["title"] == "old"


async def test_unknown_documents_are_missing_for_every_verb(shelf: Shelf) -> None:
    for method, path, body in (
        ("PUT", "/doc_none", {"a": 1}),
        ("PATCH", "/doc_none", {"a": 1}),
        ("PATCH", "/doc_none", {}),
        ("PATCH", "/doc_none/acl", {"public": True}),
        ("DELETE", "/doc_none", None),
        ("PUT", "/v1/documents/doc_none", {"a": 1}),
        ("PATCH", "/v1/documents/doc_none", {"a": 1}),
    ):
        error = (await shelf.send(method, path, body, 404))["error"]
        assert error["code"] == "document_not_found"


async def test_concurrent_merges_lose_nothing_of_each_other(shelf: Shelf) -> None:
    document_id = await shelf.add(metadata={})

    await asyncio.gather(
        *(shelf.send("PATCH", f"/{document_id}", {f"f{n}": n, "metadata": {f"m{n}": n}}) for n in range(12)),
        *(
            shelf.send("POST", "/batch", {"updates": [{"document_id": document_id, "update_data": {f"deep.b{n}": n}}]})
            for n in range(12)
        ),
    )

    found = await read(shelf, document_id)
    assert found["metadata"] == {f"m{n}": n for n in range(12)}
    assert found["deep"] == {f"b{n}": n for n in range(12)}
    assert all(found[f"f{n}"] == n for n in range(12))


async def test_a_replacement_that_loses_to_a_deletion_is_told(shelf: Shelf) -> None:
    for _ in range(5):
        document_id = await shelf.add(title="x")

        gone, replaced = await asyncio.gather(
            shelf.client.delete(f"{shelf.path}/{document_id}"),
            shelf.client.put(f"/v1/documents/{document_id}", json={"title": "y"}),
        )

        GenericDeleteResponse.from_dict(gone.json())
        assert gone.status_code == 200
        assert replaced.status_code in {200, 404}
        await shelf.send("GET", f"/{document_id}", None, 404)


async def test_updates_by_id_tell_each_result(shelf: Shelf) -> None:
    one, two = await shelf.add(metadata={"a": 1, "b": 1}), await shelf.add(tags=["x", "y"])

    answer = await shelf.send(
        "POST",
        "/batch",
        {
            "updates": [
                {"document_id": one, "update_data": {"metadata.a": 2}},
                {"document_id": two, "update_data": {"metadata": {"fresh": True}, "tags.1": "z"}},
                {"document_id": one, "update_data": {"metadata.c": None}},
                {"document_id": "doc_none", "update_data": {"a": 1}},
            ]
        },
    )

    BatchUpdateDocumentsResponse.from_dict(answer)
    assert (answer["updated_count"], answer["failed_count"]) == (2, 1)
    assert [one["success"] for one in answer["results"]] == [True, True, True, False]
    assert "doc_none" in answer["results"][3]["error"]
    assert (await read(shelf, one))["metadata"] == {"a": 2, "b": 1, "c": None}
    assert (await read(shelf, two))["metadata"] == {"fresh": True}
    assert (await read(shelf, two))["tags"] == ["x", "z"]


async def test_an_update_by_filter_replaces_undotted_keys(shelf: Shelf) -> None:
    ids = [await shelf.add(kind="a" if n < 3 else "b", metadata={"n": n}) for n in range(5)]
    chosen = {"field": "kind", "operator": "eq", "value": "a"}

    answer = await shelf.send("POST", "/batch", {"filters": {"AND": [chosen]}, "update_data": {"metadata": {"new": 1}}})

    BatchUpdateDocumentsResponse.from_dict(answer)
    assert (answer["updated_count"], answer["failed_count"], answer["results"]) == (3, 0, [])
    assert [(await read(shelf, one))["metadata"] for one in ids] == [{"new": 1}] * 3 + [{"n": 3}, {"n": 4}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"updates": []},
        {"updates": [{"document_id": "d", "update_data": {"a": 1}}] * 1001},
        {"updates": [{"document_id": "d", "update_data": {"a": 1}}], "filters": {"kind": "a"}},
        {"updates": [{"document_id": "d", "update_data": {"a": 1}}], "update_data": {"a": 1}},
        {"filters": {"kind": "a"}},
        {"update_data": {"a": 1}},
        {"updates": [{"document_id": "d", "update_data": {}}]},
        {"updates": [{"document_id": "d", "update_data": {"document_id": "e"}}]},
        {"updates": [{"document_id": "d", "update_data": {"metadata": None}}]},
        {"updates": [{"document_id": 7, "update_data": {"a": 1}}]},
        {"filters": {"must": [{"key": "a"}]}, "update_data": {"a": 1}},
        {"filters": "kind=a", "update_data": {"a": 1}},
        {"updates": "all", "surprise": 1},
    ],
)
async def test_a_batch_update_that_is_not_clear_is_refused(shelf: Shelf, body: Any) -> None:
    await shelf.send("POST", "/batch", body, 422)


async def test_deletion_by_id_tells_each_result(shelf: Shelf) -> None:
    one, two = await shelf.add(a=1), await shelf.add(a=2)

    answer = await shelf.send("DELETE", "/batch", {"document_ids": [one, "doc_none", one], "reason": "old"})

    BatchDeleteDocumentsResponse.from_dict(answer)
    assert (answer["deleted_count"], answer["failed_count"]) == (1, 1)
    assert [(r["document_id"], r["success"]) for r in answer["results"]] == [(one, True), ("doc_none", False)]
    await shelf.send("GET", f"/{one}", None, 404)
    await read(shelf, two)


async def test_a_small_deletion_by_filter_is_done_at_once(shelf: Shelf) -> None:
    for n in range(4):
        await shelf.add(n=n, vectors={STORED: VECTOR})

    chosen = {"AND": [{"field": "n", "operator": "gte", "value": 2}]}
    answer = await shelf.send("DELETE", "/batch", {"filters": chosen})

    BatchDeleteDocumentsResponse.from_dict(answer)
    assert (answer["deleted_count"], answer["task_id"], answer["results"]) == (2, None, [])
    assert answer["limits"] == {"max_rows_inline": 1000, "matched": 2}
    assert (await shelf.send("GET", "/count"))["count"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"document_ids": []},
        {"document_ids": [f"doc_{n}" for n in range(1001)]},
        {"document_ids": ["doc_1"], "filters": {"a": 1}},
        {"filters": {}},
        {"filters": {"a": 1}, "reason": "x" * 501},
        {"document_ids": "doc_1"},
    ],
)
async def test_a_deletion_that_is_not_clear_is_refused(shelf: Shelf, body: Any) -> None:
    document_id = await shelf.add(a=1)

    await shelf.send("DELETE", "/batch", body, 422)
    await read(shelf, document_id)


async def test_a_bulk_update_is_a_task_that_reaches_every_document(shelf: Shelf) -> None:
    bulk = shelf.opened.house.bulk_changes
    ids = [await shelf.add(n=n) for n in range(5)]

    answer = await shelf.send("PATCH", "/bulk", {"update_data": {"metadata.seen": True}})
    BulkUpdateDocumentsResponse.from_dict(answer)
    job = await queued(shelf, answer["task_id"])
    await bulk.run(**job)

    task = await shelf.send("GET", f"/v1/tasks/{answer['task_id']}")
    assert (answer["status"], answer["updated_count"]) == ("PENDING", None)
    assert (task["status"], task["additional_data"]["updated_count"]) == ("COMPLETED", 5)
    assert task["task_type"] == "api_collections_documents_bulk_update"
    assert [(await read(shelf, one))["metadata"] for one in ids] == [{"seen": True}] * 5


async def test_a_killed_bulk_update_goes_on_where_it_was(shelf: Shelf) -> None:
    bulk = small(shelf, chunk_rows=2)
    for n in range(5):
        await shelf.add(n=n)
    task_id = (await shelf.send("PATCH", "/bulk", {"update_data": {"seen": 1}}))["task_id"]
    job = await queued(shelf, task_id)

    assert await bulk._chunk(**job) is True
    first = (await shelf.send("GET", f"/v1/tasks/{task_id}"))["additional_data"]["updated_count"]
    await bulk.run(**job)
    await bulk.run(**job)

    task = await shelf.send("GET", f"/v1/tasks/{task_id}")
    assert (first, task["status"], task["additional_data"]["updated_count"]) == (2, "COMPLETED", 5)


async def test_a_canceled_bulk_update_stops(shelf: Shelf) -> None:
    bulk = small(shelf, chunk_rows=2)
    for n in range(5):
        await shelf.add(n=n)
    task_id = (await shelf.send("PATCH", "/bulk", {"update_data": {"seen": 1}}))["task_id"]
    job = await queued(shelf, task_id)
    await bulk._chunk(**job)

    await shelf.send("DELETE", f"/v1/tasks/{task_id}")
    await bulk.run(**job)

    task = await shelf.send("GET", f"/v1/tasks/{task_id}")
    assert (task["status"], task["additional_data"]["updated_count"]) == ("CANCELED", 2)


async def test_a_large_deletion_by_filter_becomes_a_task(shelf: Shelf) -> None:
    bulk = shelf.opened.house.bulk_changes
    bulk.inline_rows, before = 3, bulk.inline_rows
    for n in range(6):
        await shelf.add(n=n)

    try:
        answer = await shelf.send("DELETE", "/batch", {"filters": {"field": "n", "operator": "lt", "value": 5}})
    finally:
        bulk.inline_rows = before
    BatchDeleteDocumentsResponse.from_dict(answer)
    await small(shelf, chunk_rows=2).run(**await queued(shelf, answer["task_id"]))

    task = await shelf.send("GET", f"/v1/tasks/{answer['task_id']}")
    assert (answer["status"], answer["deleted_count"]) == ("PENDING", None)
    assert answer["limits"] == {"max_rows_inline": 3, "matched": 5}
    assert (task["status"], task["additional_data"]["deleted_count"]) == ("COMPLETED", 5)
    assert (await shelf.send("GET", "/count"))["count"] == 1


@pytest.mark.parametrize("body", [{}, {"update_data": {}}, {"update_data": {"document_id": "x"}}, {"update_data": 5}])
async def test_a_bulk_update_that_changes_nothing_is_refused(shelf: Shelf, body: Any) -> None:
    await shelf.send("PATCH", "/bulk", body, 422)


async def test_who_deleted_what_and_why_is_kept(shelf: Shelf) -> None:
    ids = [await shelf.add(n=n) for n in range(6)]
    bulk = shelf.opened.house.bulk_changes
    await shelf.send("DELETE", f"/{ids[0]}")
    await shelf.send("DELETE", "/batch", {"document_ids": [ids[1], "doc_none"], "reason": "by id"})
    await shelf.send("DELETE", "/batch", {"filters": {"n": 2}, "reason": "by filter"})
    bulk.inline_rows, before = 1, bulk.inline_rows
    answer = await shelf.send("DELETE", "/batch", {"filters": {"n": [3, 4, 5]}, "reason": "in numbers"})
    bulk.inline_rows = before
    await small(shelf, chunk_rows=2).run(**await queued(shelf, answer["task_id"]))

    async with shelf.opened.house.db.read() as tx:
        rows = await tx.fetch_all(
            """SELECT action, resource_id, reason, actor_type FROM audit_events
               WHERE resource_id = ANY(%(ids)s) AND action LIKE 'document_%%' ORDER BY sequence""",
            {"ids": ids},
        )
    bulk_deleted = "document_bulk_soft_deleted"
    assert [tuple(row.values()) for row in rows] == [
        ("document_deleted", ids[0], None, "api_key"),
        (bulk_deleted, ids[1], "by id", "api_key"),
        (bulk_deleted, ids[2], "by filter", "api_key"),
        *((bulk_deleted, one, "in numbers", "api_key") for one in sorted(ids[3:])),
    ]


def small(shelf: Shelf, *, chunk_rows: int) -> Any:
    """Return the house's bulk changes, in smaller chunks."""
    bulk = object.__new__(type(shelf.opened.house.bulk_changes))
    bulk.__dict__.update(shelf.opened.house.bulk_changes.__dict__, _chunk_rows=chunk_rows)
    return bulk


async def queued(shelf: Shelf, task_id: str) -> dict[str, Any]:
    """Return the arguments of the job that waits for a task."""
    async with shelf.opened.house.db.read() as tx:
        found = await tx.fetch_value(
            "SELECT args FROM procrastinate_jobs WHERE args ->> 'task_id' = %(task_id)s", {"task_id": task_id}
        )
    return dict(found)


@pytest.mark.parametrize(
    ("method", "path", "rest"),
    [
        ("POST", "/batch", {"update_data": {"seen": True}}),
        ("DELETE", "/batch", {}),
        ("POST", "/aggregate", {"aggregations": [{"function": "count", "alias": "n"}]}),
        ("POST", "/distinct", {"field": "title"}),
    ],
)
async def test_a_pattern_that_is_none_is_refused_and_changes_nothing(
    shelf: Shelf, method: str, path: str, rest: dict[str, Any]
) -> None:
    document_id = await shelf.add(title="tides")
    broken = {"AND": [{"field": "title", "operator": "regex", "value": "(["}]}
    unknown_class = {"AND": [{"field": "title", "operator": "regex", "value": "[[:nobody:]]"}]}

    await shelf.send(method, path, {"filters": broken, **rest}, 422)
    await shelf.send(method, path, {"filters": unknown_class, **rest}, 422)

    assert "seen" not in await read(shelf, document_id)


async def test_a_pattern_leaves_the_rest_of_its_transaction_its_time(shelf: Shelf) -> None:
    async with shelf.opened.house.db.write() as unit:
        tx = unit.within(NamespaceId("ns_any"))
        before = await tx.fetch_value("SELECT current_setting('statement_timeout') FROM (SELECT %(namespace_id)s) AS n")
        async with tx.limited(1.0):
            pass
        after = await tx.fetch_value("SELECT current_setting('statement_timeout') FROM (SELECT %(namespace_id)s) AS n")

    assert after == before
