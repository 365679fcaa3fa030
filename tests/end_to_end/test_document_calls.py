"""The official client's calls that change, sum up and follow documents, on a running server."""

from __future__ import annotations

import mixpeek
import pytest
from conditions import eventually
from mixpeek.models import (
    BatchDeleteDocumentsRequest,
    BatchListDocumentsRequest,
    BatchUpdateDocumentsRequest,
    BulkUpdateDocumentsRequest,
    DistinctValuesRequest,
    DocumentAggregationRequest,
    DocumentCreateRequest,
    UpdateDocumentACLRequest,
)
from tests.documents import published_list

TERMINAL = {"completed", "failed", "canceled"}
STORED = "text_extractor_v1_embedding"


@pytest.fixture
def client(server, api):
    """Generated API classes, in a namespace of their own with the collection `notes`."""
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "notes", "bucket_schema": schema})
    collection = {
        "collection_name": "notes",
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "text"},
        },
    }
    api.ok("POST", "/v1/collections", collection)
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    configuration.api_key["NamespaceHeader"] = api.namespace
    with mixpeek.ApiClient(configuration) as api_client:
        yield api_client


def test_the_generated_classes_change_and_follow_documents(client, api):
    documents, everywhere = mixpeek.CollectionDocumentsApi(client), mixpeek.DocumentsApi(client)
    lineage = mixpeek.DocumentLineageApi(client)
    bucket_id = api.ok("GET", "/v1/buckets/notes")["bucket_id"]
    blobs = [{"property": "text", "type": "text", "data": "tides"}]
    object_id = api.ok("POST", f"/v1/buckets/{bucket_id}/objects", {"blobs": blobs})["object_id"]

    body = {"title": "a", "n": 1, "metadata": {"x": 1}, "root_object_id": object_id, "vectors": {STORED: [0.5] * 384}}
    first = documents.create_document("notes", DocumentCreateRequest.from_dict(body))
    second = documents.create_document(
        "notes", DocumentCreateRequest.from_dict({"title": "b", "n": 2, "source_document_id": first.document_id})
    )
    merged = documents.patch_document("notes", first.document_id, {"metadata": {"y": 2}})
    documents.update_document("notes", first.document_id, {"n": 3})
    everywhere.patch_document_ns(first.document_id, {"metadata": {"x": None}})
    replaced = everywhere.update_document_ns(second.document_id, {"title": "c", "n": 5})
    shared = documents.update_document_acl(
        "notes", second.document_id, UpdateDocumentACLRequest.from_dict({"public": True})
    )
    counted = documents.aggregate_documents(
        "notes",
        DocumentAggregationRequest.from_dict(
            {"group_by": [{"field": "title"}], "aggregations": [{"function": "sum", "field": "n", "alias": "sum"}]}
        ),
    )
    values = documents.distinct_document_values("notes", DistinctValuesRequest.from_dict({"field": "title"}))
    tree = lineage.get_decomposition_tree_objects(object_id, include_document_ids=True)

    assert merged.additional_properties["metadata"] == {"x": 1, "y": 2}
    assert replaced.additional_properties["title"] == "c"
    assert shared.internal.acl.public is True
    assert [(one.group, one.metrics) for one in counted.results] == [
        ({"title": "c"}, {"sum": 5}),
        ({"title": "a"}, {"sum": 3}),
    ]
    assert {one.value: one.count for one in values.values} == {"a": 1, "c": 1}
    assert documents.count_documents("notes").count == 2
    assert [one.document_id for one in documents.get_document_ancestors("notes", second.document_id)] == [
        first.document_id
    ]
    assert [one.document_id for one in documents.get_document_descendants("notes", first.document_id)] == [
        second.document_id
    ]
    assert documents.get_document_diagnostics("notes", first.document_id).visibility_reason.searchable is True
    assert lineage.get_document_lineage("notes", first.document_id).lineage.root_object_id == object_id
    assert tree["tree"][0]["document_ids"] == [first.document_id]
    assert documents.validate_document_schema("notes", {"text": "x"})["valid"] is True
    with pytest.raises(mixpeek.ApiException):
        documents.download_document_media("notes", first.document_id)


def test_the_published_example_means_the_same_through_the_generated_classes(client):
    documents, everywhere = mixpeek.CollectionDocumentsApi(client), mixpeek.DocumentsApi(client)
    customer = documents.create_document("notes", DocumentCreateRequest.from_dict({"name": "customer"})).document_id
    matching = {"name": "John", "age": 30, "status": "active", "customer_id": customer, "metadata": {"title": "quick"}}
    others = [{"name": "john"}, {"age": 29}, {"status": "away"}, {"department": "HR"}, {"location": "remote"}]
    for more in [{}, {"location": "Remote"}, *others]:
        body = {**matching, "source_object_id": "obj_1", **more}
        documents.create_document("notes", DocumentCreateRequest.from_dict(body))
    request = published_list("notes", search="Quick", limit=1)
    plain = {**request, "group_by": None}

    def ask(**requests):
        queries = [{"key": key, "request": one} for key, one in requests.items()]
        body = BatchListDocumentsRequest.from_dict({"queries": queries})
        return {one.key: one for one in everywhere.list_documents_batch(body).results}

    first = ask(grouped=request, plain=plain)
    cursor = first["plain"].response.pagination.next_cursor
    second = ask(last={**plain, "cursor": cursor}, moved={**request, "cursor": cursor})

    (group,) = first["grouped"].response.groups
    assert (group.group_key, group.count) == ("obj_1", 2)
    assert group.documents[0].additional_properties["metadata"] == {"title": "quick"}
    assert group.documents[0].additional_properties["_expanded"]["customer_id"]["name"] == "customer"
    found = [*first["plain"].response.results, *second["last"].response.results]
    assert len({one.document_id for one in found}) == 2
    assert second["last"].response.pagination.next_cursor is None
    assert "cursor" in second["moved"].error


def test_bulk_changes_run_in_a_worker_and_tell_their_count(client):
    documents, tasks = mixpeek.CollectionDocumentsApi(client), mixpeek.TasksApi(client)
    ids = [documents.create_document("notes", DocumentCreateRequest.from_dict({"n": n})).document_id for n in range(4)]

    started = documents.bulk_update(
        "notes", BulkUpdateDocumentsRequest.from_dict({"update_data": {"metadata.seen": True}})
    )
    task = eventually(lambda: tasks.get_task(started.task_id), until=lambda t: t.status.lower() in TERMINAL)
    by_id = documents.batch_update(
        "notes",
        BatchUpdateDocumentsRequest.from_dict({"updates": [{"document_id": ids[0], "update_data": {"n": 9}}]}),
    )
    gone = documents.batch_delete(
        "notes", BatchDeleteDocumentsRequest.from_dict({"document_ids": [ids[0], "doc_none"], "reason": "done"})
    )
    rest = documents.batch_delete(
        "notes",
        BatchDeleteDocumentsRequest.from_dict({"filters": {"AND": [{"field": "n", "operator": "gte", "value": 2}]}}),
    )
    documents.delete_document("notes", ids[1])

    assert (task.status.lower(), task.additional_data["updated_count"]) == ("completed", 4)
    assert (by_id.updated_count, by_id.failed_count) == (1, 0)
    assert (gone.deleted_count, gone.failed_count) == (1, 1)
    assert (rest.deleted_count, rest.limits["matched"]) == (2, 2)
    assert documents.count_documents("notes").count == 0


def test_the_hand_written_face_updates_documents(server, api, client):
    face = mixpeek.Mixpeek(server.api_key, base_url=f"{server.base_url}/v1", namespace=api.namespace)
    made = api.ok("POST", "/v1/collections/notes/documents", {"n": 1, "metadata": {"a": 1}})["document_id"]

    face.documents.update("notes", made, update_data={"n": 2, "metadata": {"b": 2}})
    face.documents.batch_update("notes", updates=[{"document_id": made, "update_data": {"metadata.c": 3}}])
    found = face.documents.get("notes", made)

    assert (found["n"], found["metadata"]) == (2, {"a": 1, "b": 2, "c": 3})
    face.documents.delete("notes", made)
    assert api.call("GET", f"/v1/documents/{made}")[0] == 404
