"""Real answers read by the official client's generated classes, which check types and required keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mixpeek import models
from tests.model_archives import extractor_zip, form, small_archive
from tests.opened import Open

USER = "/v1/organizations/users/admin@localhost"


def read(kind: str, content: Any) -> Any:
    """Return the client's object of an answer; raise where the shape is wrong."""
    found = getattr(models, kind).from_dict(content)
    assert found is not None
    return found


async def test_identity_organization_and_keys(opened: Open) -> None:
    client = opened.client()

    me = read("MeResponse", (await client.get("/v1/me")).json())
    organization = read("OrganizationModelResponse", (await client.get("/v1/organizations")).json())
    changed = (await client.patch("/v1/organizations", json={"organization_name": "Acme", "metadata": {"a": 1}})).json()
    made = read("APIKeyCreateResponse", (await client.post(f"{USER}/api-keys", json={"name": "k"})).json())
    updated = read("APIKeyModel", (await client.patch(f"{USER}/api-keys/k", json={"description": "d"})).json())
    rotated = read("APIKeyCreateResponse", (await client.post(f"{USER}/api-keys/k/rotate")).json())
    read("GenericSuccessResponse", (await client.delete(f"{USER}/api-keys/k")).json())

    assert me.key.name == "admin-key"
    assert me.organization_id == organization.organization_id
    assert read("OrganizationModelResponse", changed).organization_name == "Acme"
    assert made.key != rotated.key
    assert updated.description == "d"


async def test_namespaces(opened: Open) -> None:
    client = opened.client()
    body = {
        "namespace_name": "shapes",
        "description": "all of it",
        "ttl_seconds": 3600,
        "payload_indexes": [{"field_name": "colour", "type": "keyword"}],
        "infrastructure": {"max_workers": 2},
        "spend_budget": {"daily_usd": 1.5},
        "tiering": {"enabled": False},
        "cost_cap_override": {"daily_usd": 1.0, "reason": "because of reasons", "owner": "ann"},
    }

    made = read("NamespaceModel", (await client.post("/v1/namespaces", json=body)).json())
    found = read("NamespaceModel", (await client.get("/v1/namespaces/shapes")).json())
    patched = read("NamespaceModel", (await client.patch("/v1/namespaces/shapes", json={"pinned": True})).json())
    listed = read("ListNamespacesResponse", (await client.post("/v1/namespaces/list?view=summary")).json())
    stats = read("NamespaceStatsResponse", (await client.get("/v1/namespaces/shapes/stats")).json())
    batch = (await client.post("/v1/namespaces/stats/batch", json={"namespace_ids": ["shapes"]})).json()
    extractors = (await client.get("/v1/namespaces/shapes/extractors")).json()

    assert made.namespace_id == found.namespace_id == patched.namespace_id == stats.namespace_id
    assert listed.results[0].payload_index_count == 12
    assert read("NamespaceStatsBatchResponse", batch).stats["shapes"].document_count == 0
    assert read("UnifiedExtractorListResponse", extractors).total > 0
    everywhere = (await client.get("/v1/extractors?source=builtin")).json()
    assert read("UnifiedExtractorListResponse", everywhere).total == extractors["builtin_count"]
    for one in extractors["extractors"]:
        path = f"/v1/namespaces/shapes/extractors/{one['feature_extractor_id']}"
        read("UnifiedExtractorResponse", (await client.get(path)).json())


async def test_tasks_and_deletion(opened: Open) -> None:
    client = opened.client()
    await client.post("/v1/namespaces", json={"namespace_name": "shapes"})

    task_id = (await client.delete("/v1/namespaces/shapes")).json()["task_id"]

    task = read("TaskResponse", (await client.get(f"/v1/tasks/{task_id}")).json())
    listed = read("ListTasksResponse", (await client.post("/v1/tasks/list")).json())
    read("GenericDeleteResponse", (await client.delete(f"/v1/tasks/{task_id}")).json())
    assert task.task_type == "api_namespaces_delete"
    assert listed.results[0].task_id == task_id


async def test_health_and_errors(opened: Open) -> None:
    client = opened.client("")

    health = (await client.get("/v1/health")).json()
    deep = read("HealthCheckResponse", (await client.get("/v1/health/deep?deep=true")).json())
    error = read("ErrorResponse", (await client.get("/v1/me")).json())

    assert (health["alive"], health["ready"]) == (True, True)
    assert deep.data.metadata is True
    assert error.error.type == "UnauthorizedError"
    assert (await client.get("/v1/health/beat")).status_code == 200


async def test_uploads(opened: Open) -> None:
    client = opened.client()
    await client.post("/v1/namespaces", json={"namespace_name": "shapes"})
    client.headers["X-Namespace"] = "shapes"
    schema = {"properties": {"note": {"type": "text"}}}
    await client.post("/v1/buckets", json={"bucket_name": "notes", "bucket_schema": schema})
    made = (
        await client.post("/v1/buckets/notes/uploads", json={"filename": "a.txt", "content_type": "text/plain"})
    ).json()
    path = f"/v1/buckets/notes/uploads/{made['upload_id']}"
    await opened.house.staging.receive(made["s3_key"], _chunks(b"of mine"), content_type="text/plain", limit_bytes=100)

    started = read("ConfirmUploadResponse", (await client.post(f"{path}/confirm?async=true")).json())
    body = {"confirmations": [{"upload_id": made["upload_id"]}]}
    receipt = read(
        "BatchConfirmResponse", (await client.post("/v1/buckets/notes/uploads/confirm/batch", json=body)).json()
    )
    task = read("TaskResponse", (await client.get(f"/v1/tasks/{started.task_id}")).json())

    assert (started.status, task.status) == ("PROCESSING", "PENDING")
    assert receipt.task.task_type == "api_buckets_uploads_batch_confirm"


async def test_models(opened: Open) -> None:
    client = opened.client()
    await client.post("/v1/namespaces", json={"namespace_name": "shapes"})
    asked = {"name": "mine", "version": "1.0.0", "model_format": "onnx", "description": "of mine"}
    issued = read("ModelPresignedURLResponse", (await client.post("/v1/models/uploads", json=asked)).json())
    await opened.house.staging.receive(
        issued.s3_key, _chunks(small_archive()), content_type="application/gzip", limit_bytes=10_000
    )
    confirmed = read(
        "ConfirmModelUploadResponse", (await client.post(f"/v1/models/uploads/{issued.upload_id}/confirm")).json()
    )
    one, at = f"/v1/models/{confirmed.model_id}", "/v1/namespaces/shapes/models"
    fields = [("name", "own"), ("version", "1.0.0"), ("model_format", "onnx"), ("memory_gb", "2")]
    body, content_type = form(fields, small_archive())
    sent = await client.post(at, content=body, headers={"Content-Type": content_type})

    own = read("ModelUploadResponse", sent.json())
    listed = read("OrgModelListResponse", (await client.get("/v1/models")).json())
    found = read("OrgModelDetailResponse", (await client.get(one)).json())
    link = (await client.get(f"{one}/download")).json()["download_url"]
    available = read("AvailableOrgModelsResponse", (await client.get(f"{at}/available")).json())
    enabled = read("EnableOrgModelResponse", (await client.post(f"{at}/org/{confirmed.model_id}/enable")).json())
    inside = read("ModelListResponse", (await client.get(at)).json())
    detail = read("ModelDetailResponse", (await client.get(f"{at}/{own.model_id}")).json())
    opened.house.models.deployments.patience_seconds = 0
    deployed = read("ModelDeployResponse", (await client.post(f"{at}/{own.model_id}/deploy")).json())
    disabled = read("DisableOrgModelResponse", (await client.post(f"{at}/org/{confirmed.model_id}/disable")).json())
    gone = read("ModelDeleteResponse", (await client.delete(f"{at}/{own.model_id}")).json())
    read("OrgModelDeleteResponse", (await client.delete(one)).json())

    assert listed.total == available.total == 1
    assert found.model.validation["files"]["model.onnx"] == len(b"no graph")
    assert link.startswith("http")
    assert enabled.deployment_status == "not_deployed"
    assert {item.name for item in inside.models} == {"mine", "own"}
    assert detail.model.resource_requirements.memory == 2 * 2**30
    assert deployed.deployment_status == "pending"
    assert disabled.success
    assert gone.model_id == own.model_id


async def test_submitted_extractors(opened: Open) -> None:
    client = opened.client()
    asked = {"name": "mine", "version": "v1", "file_name": "mine.zip"}
    uploads = "/v1/extractors/submissions/uploads"
    issued = read("SubmissionPresignedURLResponse", (await client.post(uploads, json=asked)).json())
    await opened.house.staging.receive(
        issued.s3_key, _chunks(extractor_zip("mine")), content_type="application/zip", limit_bytes=10_000
    )

    answer = await client.post(f"{uploads}/{issued.submission_id}/confirm", json={})
    confirmed = read("ConfirmSubmissionResponse", answer.json())
    listed = read("SubmissionListResponse", (await client.get("/v1/extractors/submissions")).json())
    path = f"/v1/extractors/submissions/{issued.submission_id}"
    found = read("SubmissionDetailResponse", (await client.get(path)).json())

    assert (issued.version, confirmed.status) == ("1.0.0", "pending_review")
    assert [item.status for item in listed.submissions] == ["pending_review"]
    assert found.submission["manifest"]["metadata"]["feature_extractor_name"] == "mine"


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_webhooks_and_events(opened: Open) -> None:
    client = opened.client()
    path = "/v1/organizations/webhooks"
    configs = {"url": "https://receiver.invalid/hook", "signing_secret": "s3cret", "headers": {"X-A": "1"}}
    body = {
        "webhook_name": "shapes",
        "event_types": ["object.created", "collection.documents.written"],
        "resource_types": ["object"],
        "channels": [{"channel": "webhook", "configs": configs}],
    }
    sent = models.WebhookInput.from_dict(body)
    assert sent is not None

    made = read("WebhookOutput", (await client.post(path, json=sent.to_dict())).json())
    raw = (await client.get(f"{path}/shapes")).json()
    found = read("WebhookOutput", raw)
    again = read("WebhookOutput", (await client.put(f"{path}/{made.webhook_id}", json=raw)).json())
    listed = read("ListWebhooksResponse", (await client.post(f"{path}/list", json={"is_active": True})).json())
    await client.post("/v1/namespaces", json={"namespace_name": "shapes"})
    client.headers["X-Namespace"] = "shapes"
    schema = {"properties": {"note": {"type": "text"}}}
    await client.post("/v1/buckets", json={"bucket_name": "notes", "bucket_schema": schema})
    blob = {"property": "note", "type": "text", "data": "a"}
    await client.post("/v1/buckets/notes/objects", json={"blobs": [blob]})
    events = read("ListEventsResponse", (await client.get("/v1/events")).json())

    assert made == found
    assert again.channels == found.channels
    assert again.channels[0].configs.actual_instance.signing_secret == "redacted"
    assert (listed.total, listed.results[0].webhook_id) == (1, made.webhook_id)
    assert [event.operation for event in events.results] == ["insert"]
    assert events.results[0].cursor == events.next_cursor
