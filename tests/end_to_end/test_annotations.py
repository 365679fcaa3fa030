"""Annotations on a running server through the official client, and the published bodies word for word."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import mixpeek
import pytest
from mixpeek.models import (
    BulkAnnotationCreate,
    BulkAnnotationsRequest,
    BulkAnnotationUpdate,
    CreateAnnotationRequest,
    ListAnnotationsRequest,
    PatchAnnotationRequest,
)
from tests.running import Api

# As the published pages of the API show them.
PUBLISHED_BULK = """
{
  "create": [
    {
      "document_id": "<string>",
      "label": "<string>",
      "collection_id": "<string>",
      "confidence": 0.5,
      "reasoning": "<string>",
      "payload": {},
      "retriever_id": "<string>",
      "execution_id": "<string>",
      "stage_name": "<string>"
    }
  ],
  "update": [
    {
      "annotation_id": "<string>",
      "label": "<string>",
      "confidence": 0.5,
      "reasoning": "<string>",
      "payload": {}
    }
  ],
  "delete": [
    "<string>"
  ]
}
"""
PUBLISHED_PATCH = """
{
  "label": "<string>",
  "confidence": 0.5,
  "reasoning": "<string>",
  "payload": {}
}
"""
PUBLISHED_ANSWER = {
    *("document_id", "namespace_id", "label", "annotation_id", "collection_id", "confidence", "reasoning", "payload"),
    *("retriever_id", "execution_id", "stage_name", "actor_id", "actor_type", "created_at", "updated_at"),
}


@pytest.fixture
def annotations(api: Api) -> Iterator[mixpeek.AnnotationsApi]:
    """The official client's class, in a fresh namespace."""
    configuration = mixpeek.Configuration(host=api.server.base_url, access_token=api.server.api_key)
    with mixpeek.ApiClient(configuration, header_name="X-Namespace", header_value=api.namespace) as client:
        yield mixpeek.AnnotationsApi(client)


def refused(call: Callable[[], Any], status: int) -> None:
    with pytest.raises(mixpeek.ApiException) as caught:
        call()
    assert caught.value.status == status


def test_the_published_bulk_body_is_answered_in_the_published_shape(api: Api) -> None:
    status, answer = api.raw("POST", "/v1/annotations/bulk", PUBLISHED_BULK.encode())

    assert status == 200
    counts = {name: answer[name] for name in ("created_count", "updated_count", "deleted_count", "failed_count")}
    # No document, no annotation has the id "<string>": each fails alone, and says so.
    assert counts == {"created_count": 0, "updated_count": 0, "deleted_count": 0, "failed_count": 3}
    assert [set(one) for one in answer["results"]] == [{"operation", "success", "annotation_id", "error"}] * 3
    assert [one["operation"] for one in answer["results"]] == ["create", "update", "delete"]
    assert all(isinstance(one["error"], str) for one in answer["results"])


def test_the_published_create_item_succeeds_without_the_collection_that_is_not_there(api: Api) -> None:
    body = json.loads(PUBLISHED_BULK)
    del body["create"][0]["collection_id"]

    made = api.ok("POST", "/v1/annotations/bulk", {"create": body["create"]})

    assert (made["created_count"], made["failed_count"]) == (1, 0)
    annotation = api.ok("GET", f"/v1/annotations/{made['results'][0]['annotation_id']}")
    assert {name: annotation[name] for name in body["create"][0]} == body["create"][0]


def test_the_published_patch_body_is_answered_in_the_published_shape(api: Api) -> None:
    made = api.ok("POST", "/v1/annotations", {"document_id": "doc_1", "label": "new"})

    status, answer = api.raw("PATCH", f"/v1/annotations/{made['annotation_id']}", PUBLISHED_PATCH.encode())

    assert status == 200
    assert set(answer) >= PUBLISHED_ANSWER
    assert set(answer) - PUBLISHED_ANSWER == {"metadata", "version", "revisions"}
    patch = json.loads(PUBLISHED_PATCH)
    assert {name: answer[name] for name in patch} == patch
    assert answer["version"] == 2


def test_a_decision_through_the_official_client(annotations: mixpeek.AnnotationsApi) -> None:
    made = annotations.create_annotation(
        CreateAnnotationRequest(document_id="doc_1", label="approved", confidence=1, metadata={"queue": "a"})
    )
    for edit in (
        PatchAnnotationRequest(label="rejected"),
        PatchAnnotationRequest(label="rejected"),
        PatchAnnotationRequest(reasoning="x" * 5000, payload={"codes": ["E11.40"]}),
    ):
        edited = annotations.patch_annotation(made.annotation_id, edit)

    versions = annotations.get_annotation_versions(made.annotation_id)
    first = annotations.get_annotation_at_version(made.annotation_id, 1)
    between = annotations.get_annotation_at_version(made.annotation_id, 2)

    assert (made.version, edited.version, versions.current_version) == (1, 3, 3)
    assert first.to_dict() == made.to_dict()
    assert [one.changed_fields for one in versions.versions] == [[], ["label"], ["reasoning", "payload"]]
    assert [one.prior for one in edited.revisions] == [{"label": "approved"}, {"reasoning": None, "payload": None}]
    assert annotations.get_annotation(made.annotation_id).to_dict() == edited.to_dict()
    for as_of, label in ((made.created_at, "approved"), (between.updated_at, "rejected")):
        then = annotations.list_annotations(list_annotations_request=ListAnnotationsRequest(as_of=as_of))
        assert [(one.version, one.label) for one in then.results] == [(1 if label == "approved" else 2, label)]
    stats = annotations.annotation_stats(document_id="doc_1")
    assert (stats.total, stats.by_label) == (1, {"rejected": 1})
    assert annotations.delete_annotation(made.annotation_id)["success"] is True
    refused(lambda: annotations.get_annotation(made.annotation_id), 404)
    refused(lambda: annotations.get_annotation_at_version(edited.annotation_id, 1), 404)


def test_a_bulk_through_the_official_client(annotations: mixpeek.AnnotationsApi) -> None:
    gone = annotations.create_annotation(CreateAnnotationRequest(document_id="doc_1", label="old"))

    answer = annotations.bulk_annotations(
        BulkAnnotationsRequest(
            create=[BulkAnnotationCreate(document_id="doc_2", label="x" * 100)],
            update=[BulkAnnotationUpdate(annotation_id="ann_unknown", label="y")],
            delete=[gone.annotation_id],
        )
    )

    assert (answer.created_count, answer.updated_count, answer.deleted_count, answer.failed_count) == (1, 0, 1, 1)
    assert [one.operation for one in answer.results] == ["create", "update", "delete"]
    left = annotations.list_annotations(limit=500)
    assert [one.annotation_id for one in left.results] == [answer.results[0].annotation_id]
    assert left.total_count == 1


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("label", ["x", "x" * 100], ["", "x" * 101]),
        ("confidence", [0.0, 1.0], [-0.01, 1.01]),
        ("reasoning", ["x" * 5000], ["x" * 5001]),
    ],
)
def test_bounds_through_the_official_client(
    annotations: mixpeek.AnnotationsApi, name: str, good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        made = annotations.create_annotation(
            CreateAnnotationRequest(**{"document_id": "doc_1", "label": "x", name: value})
        )
        assert getattr(made, name) == value
    assert made.annotation_id is not None
    for value in bad:
        # The client checks first; without its checks, the server refuses.
        create = CreateAnnotationRequest.model_construct(**{"document_id": "doc_1", "label": "x", name: value})
        refused(lambda: annotations.create_annotation(create), 422)  # noqa: B023 - called at once
        patch = PatchAnnotationRequest.model_construct(**{name: value})
        refused(lambda: annotations.patch_annotation(made.annotation_id, patch), 422)  # noqa: B023
    assert annotations.get_annotation(made.annotation_id).to_dict() == made.to_dict()
    assert annotations.list_annotations(limit=500).total_count == len(good)


def test_a_page_of_500_is_the_largest(api: Api, annotations: mixpeek.AnnotationsApi) -> None:
    items = [BulkAnnotationCreate(document_id="doc_1", label="x")] * 501
    assert annotations.bulk_annotations(BulkAnnotationsRequest(create=items)).created_count == 501

    page = annotations.list_annotations(limit=500)

    assert (len(page.results), page.total_count) == (500, 501)
    assert api.raw("POST", "/v1/annotations/list?limit=501", b"{}")[0] == 422


def test_another_namespace_has_no_such_annotation(
    annotations: mixpeek.AnnotationsApi, api: Api, api_of: Callable[..., Api], unique_name: str
) -> None:
    made = annotations.create_annotation(CreateAnnotationRequest(document_id="doc_1", label="x"))
    elsewhere = str(api_of(api.server, f"{unique_name}_other").namespace)
    configuration = mixpeek.Configuration(host=api.server.base_url, access_token=api.server.api_key)

    with mixpeek.ApiClient(configuration, header_name="X-Namespace", header_value=elsewhere) as client:
        other = mixpeek.AnnotationsApi(client)
        refused(lambda: other.get_annotation(made.annotation_id), 404)
        refused(lambda: other.patch_annotation(made.annotation_id, PatchAnnotationRequest(label="y")), 404)
        refused(lambda: other.delete_annotation(made.annotation_id), 404)
        refused(lambda: other.get_annotation_versions(made.annotation_id), 404)
        refused(lambda: other.get_annotation_at_version(made.annotation_id, 1), 404)
        both = BulkAnnotationsRequest(
            update=[BulkAnnotationUpdate(annotation_id=made.annotation_id, label="y")], delete=[made.annotation_id]
        )
        assert other.bulk_annotations(both).failed_count == 2
        assert other.list_annotations().total_count == 0
    assert annotations.get_annotation(made.annotation_id).to_dict() == made.to_dict()


def _public_document(api: Api) -> str:
    """Return the id of a document that every key may read."""
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "notes", "bucket_schema": schema})
    source = {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
    extractor: dict[str, Any] = {"feature_extractor_name": "passthrough_extractor", "version": "v1"}
    extractor["input_mappings"] = {"content": "text"}
    api.ok("POST", "/v1/collections", {"collection_name": "notes", "source": source, "feature_extractor": extractor})
    document_id: str = api.ok("POST", "/v1/collections/notes/documents", {"text": "tides"})["document_id"]
    api.ok("PATCH", f"/v1/collections/notes/documents/{document_id}/acl", {"public": True})
    return document_id


def test_the_actor_is_the_key_or_the_user_it_is_bound_to(annotations: mixpeek.AnnotationsApi, api: Api) -> None:
    me = api.ok("GET", "/v1/me")
    body = {"name": f"reviewer_{api.namespace}", "permissions": ["write"], "principal_id": "reviewer"}
    bound = api.ok("POST", f"/v1/organizations/users/{me['user_email']}/api-keys", body)
    request = CreateAnnotationRequest(document_id=_public_document(api), label="x")

    by_key = annotations.create_annotation(request)
    configuration = mixpeek.Configuration(host=api.server.base_url, access_token=bound["key"])
    with mixpeek.ApiClient(configuration, header_name="X-Namespace", header_value=api.namespace) as client:
        by_user = mixpeek.AnnotationsApi(client).create_annotation(request)

    assert by_key.actor_type == "api_key"
    assert by_key.actor_id.startswith("key_")
    assert (by_user.actor_id, by_user.actor_type) == (bound["user_id"], "user")


def test_an_export_begins_before_it_is_all_read(api: Api) -> None:
    for part in range(3):
        items = [{"document_id": f"doc_{part}_{place}", "label": "x", "reasoning": "y" * 5000} for place in range(1000)]
        assert api.ok("POST", "/v1/annotations/bulk", {"create": items})["created_count"] == 1000

    connection = http.client.HTTPConnection(api.server.host, api.server.port, timeout=60)
    headers = {"Authorization": f"Bearer {api.server.api_key}", "X-Namespace": str(api.namespace)}
    connection.request("GET", "/v1/annotations/export", headers=headers)
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    assert answer.getheader("transfer-encoding") == "chunked"
    # What is created while it is read comes after the instant of the export.
    late = api.ok("POST", "/v1/annotations", {"document_id": "late", "label": "x"})
    rest = [json.loads(line) for line in answer.read().splitlines()]
    connection.close()

    assert len({one["annotation_id"] for one in [first, *rest]}) == 3000
    assert late["annotation_id"] not in {one["annotation_id"] for one in rest}
