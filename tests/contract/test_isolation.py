"""For every route with an id in its path: what is another organization's is missing, whoever asks how."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from starlette.routing import Route
from tests.model_archives import small_archive
from tests.opened import Open

# What tenant A owns, by the name of the path parameter. A route with a parameter that is not here is called with
# an id that nobody has, which proves less: add the noun to `belongings` when it is built.
Ids = dict[str, str]

# Answers that are right and are not 404, with the reason.
EXPECTED = {
    ("DELETE", "/v1/tasks/{task_id}"): (200, "killing is idempotent; test_a_foreign_kill_changes_nothing"),
    ("POST", "/v1/tasks/{task_id}/kill"): (200, "killing is idempotent; test_a_foreign_kill_changes_nothing"),
    ("DELETE", "/v1/organizations/webhooks/{identifier}"): (
        204,
        "deleting is idempotent; test_a_foreign_deletion_leaves_the_webhook",
    ),
}
# Bodies that a schema alone does not give.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/collections/{collection_identifier}/documents/batch"): {"filters": {"a": 1}, "update_data": {"a": 1}},
    ("DELETE", "/v1/collections/{collection_identifier}/documents/batch"): {"document_ids": ["doc_1"]},
    ("PATCH", "/v1/collections/{collection_identifier}/documents/bulk"): {"update_data": {"a": 1}},
    ("POST", "/v1/namespaces/{namespace_id}/documents/upsert"): {
        "documents": [{"document_id": "mine now", "vectors": {"v": [1.0]}}]
    },
    ("PATCH", "/v1/retrievers/{retriever_id}"): {"description": "mine now"},
    ("POST", "/v1/buckets/{bucket_identifier}/batches/{batch_id}/tiers/{tier_num}/heal"): {"action": "sync_status"},
}
_OWNED = "owned_by_a"
# Names, not ids: both tenants have their own thing of this name.
_SHARED = {"extractor_id", "key_name", "version"}
# Places in a thing: the same in everyone's, and no owner of their own.
_PLACES = {"tier_num", "ray_job_id"}


async def belongings(client: httpx2.AsyncClient) -> Ids:
    """Make one of everything that is built, through the API; return ids by parameter name."""
    ids: Ids = {
        "extractor_id": "text_extractor_v1",
        "user_email": "only.a@example.com",
        "key_name": "a-key",
        "version": "1",
        "tier_num": "0",
    }

    async def make(path: str, body: Any, key: str, *names: str, **headers: str) -> str | None:
        answer = await client.post(path, json=body, headers=headers)
        if answer.status_code not in {200, 202}:
            assert answer.status_code == 501, (path, answer.text)
            return None
        made = str(answer.json()[key])
        ids.update(dict.fromkeys(names, made))
        return made

    space = await make(
        "/v1/namespaces", {"namespace_name": _OWNED}, "namespace_id", "namespace_id", "namespace_identifier"
    )
    client.headers["X-Namespace"] = str(space)
    # A name that never resolves: nobody is called.
    receiver = {"channel": "webhook", "configs": {"url": "https://receiver.invalid/hook"}}
    hook = {"webhook_name": _OWNED, "event_types": ["*"], "channels": [receiver]}
    await make("/v1/organizations/webhooks", hook, "webhook_id", "identifier")
    email = ids["user_email"]
    await make("/v1/organizations/users", {"email": email, "user_name": "Only A"}, "email")
    await make(f"/v1/organizations/users/{email}/api-keys", {"name": "a-key"}, "name")
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = await make(
        "/v1/buckets", {"bucket_name": _OWNED, "bucket_schema": schema}, "bucket_id", "bucket_id", "bucket_identifier"
    )
    blobs = [{"property": "text", "type": "text", "data": "of A"}]
    obj = await make(f"/v1/buckets/{bucket}/objects", {"blobs": blobs}, "object_id", "object_id", "object_identifier")
    photo = {"filename": f"{_OWNED}.txt", "content_type": "text/plain"}
    await make(f"/v1/buckets/{bucket}/uploads", photo, "upload_id", "upload_id")
    collection = await make(
        "/v1/collections",
        {
            "collection_name": _OWNED,
            "source": {"type": "bucket", "bucket_ids": [bucket]},
            "feature_extractor": {
                "feature_extractor_name": "text_extractor",
                "version": "v1",
                "input_mappings": {"text": "text"},
            },
        },
        "collection_id",
        "collection_id",
        "collection_identifier",
    )
    await make(f"/v1/buckets/{bucket}/batches", {"object_ids": [obj]}, "batch_id", "batch_id", "batch_identifier")
    stage = {
        "stage_name": "filter",
        "stage_type": "filter",
        "config": {
            "stage_id": "attribute_filter",
            "parameters": {"conditions": {"field": "text", "operator": "eq", "value": "x"}},
        },
    }
    body = {"retriever_name": f"{_OWNED}_retriever", "stages": [stage], "collection_identifiers": [collection]}
    await make("/v1/retrievers", body, "retriever_id", "retriever_id", "retriever_identifier")
    await make("/v1/annotations", {"document_id": "doc_a", "label": _OWNED}, "annotation_id", "annotation_id")
    await make(f"/v1/collections/{collection}/trigger", {}, "task_id", "task_id")
    logs = (await client.get("/v1/organizations/audit/logs", params={"limit": 1})).json()
    ids["audit_id"] = logs["results"][0]["audit_id"]
    await make(f"/v1/collections/{collection}/documents", {"text": "of A"}, "document_id", "document_id")
    await client.get("/v1/events")  # gives events their places, and makes deliveries of them
    log = await client.get(f"/v1/organizations/webhooks/{ids['identifier']}/deliveries", params={"limit": 1})
    asked = {"name": _OWNED, "version": "1.0.0", "model_format": "onnx"}
    issued = (await client.post("/v1/models/uploads", json=asked)).json()
    await client.put(
        issued["presigned_url"], content=small_archive(), headers={"Content-Type": issued["required_content_type"]}
    )
    model = await make(f"/v1/models/uploads/{issued['upload_id']}/confirm", {}, "model_id", "model_id")
    await make(f"/v1/namespaces/{space}/models/org/{model}/enable", {}, "model_id")
    submission = {"name": _OWNED, "version": "1.0.0"}
    await make("/v1/extractors/submissions/uploads", submission, "submission_id", "submission_id")
    ids["delivery_id"] = log.json()["results"][0]["delivery_id"]
    return ids


def routes_with_ids(opened: Open) -> list[tuple[str, Route]]:
    """Return (method, route) of every built route with a parameter in its path."""
    return [
        (method, route)
        for route in opened.app.routes
        if isinstance(route, Route)
        and route.path.startswith("/v1/")
        and "{" in route.path
        and not route.endpoint.__qualname__.startswith("_route.")
        for method in sorted(route.methods or ())
    ]


def filled(path: str, ids: Ids) -> str:
    """Return the path with A's ids in it."""
    return re.sub(r"\{([^}:]*)[^}]*\}", lambda found: ids.get(found[1], "nobody_has_this"), path)


def least_body(node: dict[str, Any], whole: dict[str, Any], depth: int = 0) -> Any:
    """Return the smallest value that a schema accepts, as far as a schema says."""
    while "$ref" in node:
        target: Any = whole
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    if "enum" in node or "const" in node:
        return node.get("const", node.get("enum", [None])[0])
    for option in node.get("anyOf", []) + node.get("oneOf", []):
        return least_body(option, whole, depth + 1)
    kind = node.get("type", "object")
    if kind == "object":
        required = node.get("required", []) if depth < 6 else []
        return {name: least_body(node["properties"][name], whole, depth + 1) for name in required}
    if kind == "array":
        return [least_body(node.get("items", {}), whole, depth + 1)] * node.get("minItems", 1)
    number = node.get("minimum", 1)
    return {"integer": number, "number": number, "boolean": False, "null": None}.get(
        kind, "x" * node.get("minLength", 1)
    )


async def call(opened: Open, client: httpx2.AsyncClient, method: str, route: Route, ids: Ids) -> httpx2.Response:
    """Call the route with these ids and the least body it accepts."""
    operation = opened.app.openapi()["paths"].get(route.path, {}).get(method.lower(), {})
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = BODIES.get((method, route.path), least_body(schema, opened.app.openapi()) if schema else None)
    sent = {} if body is None else {"json": body}
    return await client.request(method, filled(route.path, ids), **sent)


@pytest.mark.parametrize("asked_in", ["its own namespace", "the owner's namespace", "its own parents"])
async def test_a_foreign_id_is_missing_on_every_route(opened: Open, asked_in: str) -> None:
    ids = await belongings(opened.client())
    other = opened.client(opened.other_key)
    if asked_in == "its own parents":
        own_ids = await belongings(other)
    else:
        own = (await other.post("/v1/namespaces", json={"namespace_name": "own"})).json()["namespace_id"]
        other.headers["X-Namespace"] = own if asked_in == "its own namespace" else ids["namespace_id"]
        own_ids = {}

    wrong = {}
    for method, route in routes_with_ids(opened):
        names = [name for name in re.findall(r"\{([^}:]*)", route.path) if name not in _PLACES]
        asked = ids | {name: own_ids[name] for name in names[:-1] if name in own_ids}
        if own_ids and (len(names) < 2 or _SHARED.intersection(names)):
            continue
        if set(names) == {"extractor_id"}:
            continue  # extractors are everybody's; test_inference holds the namespace of their tests
        answer = await call(opened, other, method, route, asked)
        expected, _ = EXPECTED.get((method, route.path), (404, ""))
        unresolved = answer.status_code == 200 and "X-Namespace-Unresolved" in answer.headers
        if answer.status_code != expected and not (unresolved and answer.json()["results"] == []):
            wrong[f"{method} {route.path}"] = (answer.status_code, answer.text[:300])
        assert _OWNED not in answer.text, (method, route.path)
    assert wrong == {}


async def test_the_owner_reaches_the_same_ids(opened: Open) -> None:
    client = opened.client()
    ids = await belongings(client)

    missing = {}
    for method, route in routes_with_ids(opened):
        names = set(re.findall(r"\{([^}:]*)", route.path))
        if method == "GET" and names <= set(ids):
            answer = await client.get(filled(route.path, ids))
            if answer.status_code in {404, 500}:
                missing[route.path] = answer.text[:200]
    assert missing == {}


async def test_a_foreign_kill_changes_nothing(opened: Open) -> None:
    client = opened.client()
    organization_id = (await client.get("/v1/me")).json()["organization_id"]
    async with opened.house.db.write() as tx:
        task_id = await opened.house.tasks.create(
            tx,
            organization_id=organization_id,
            namespace_id=None,
            task_type="materialize",
            inputs=["x"],
            additional_data={},
        )

    answer = await opened.client(opened.other_key).delete(f"/v1/tasks/{task_id}")

    assert answer.status_code == 200
    assert (await opened.client(opened.other_key).get(f"/v1/tasks/{task_id}")).status_code == 404
    assert (await client.get(f"/v1/tasks/{task_id}")).json()["status"] == "PENDING"


async def test_a_foreign_deletion_leaves_the_webhook(opened: Open) -> None:
    client = opened.client()
    ids = await belongings(client)
    path = f"/v1/organizations/webhooks/{ids['identifier']}"

    answer = await opened.client(opened.other_key).delete(path)

    assert answer.status_code == 204
    assert (await client.get(path)).status_code == 200
