"""Keys that are bound to an end user: what their access lists do not open is not there, on any route."""

from __future__ import annotations

from typing import Any

import pytest
from mixpeek.models import DocumentResponse
from starlette.routing import Route
from tests.contract.test_isolation import BODIES, belongings, filled, least_body
from tests.opened import Open
from tests.shelf import Shelf

from prismhouse.api.documents import NewDocument
from prismhouse.kit.ids import CollectionId, DocumentId, NamespaceId

_SECRET = "unspeakable"


def everything(opened: Open) -> list[tuple[str, Route]]:
    """Return (method, route) of every built operation."""
    return [
        (method, route)
        for route in opened.app.routes
        if isinstance(route, Route) and route.path.startswith("/v1/")
        if not route.endpoint.__qualname__.startswith("_route.")
        for method in sorted(route.methods or ())
    ]


async def test_no_route_shows_a_document_to_a_user_who_may_not_read_it(opened: Open) -> None:
    client = opened.client()
    ids = await belongings(client)
    made = {}
    for name, fields in {
        "hidden": {"text": _SECRET, "root_object_id": ids["object_id"]},
        "open": {"text": "open"},
    }.items():
        answer = await client.post(f"/v1/collections/{ids['collection_id']}/documents", json=fields)
        made[name] = answer.json()["document_id"]
    await client.patch(f"/v1/collections/{ids['collection_id']}/documents/{made['open']}/acl", json={"public": True})
    key = {"name": "reader", "principal_id": "ann", "permissions": ["read"]}
    secret = (await client.post("/v1/organizations/users/admin@localhost/api-keys", json=key)).json()["key"]
    user = opened.client(secret, **{"X-Namespace": ids["namespace_id"]})
    ids["document_id"] = made["hidden"]

    shown, controls = [], 0
    for method, route in everything(opened):
        operation = opened.app.openapi()["paths"].get(route.path, {}).get(method.lower(), {})
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        body = BODIES.get((method, route.path), least_body(schema, opened.app.openapi()) if schema else None)
        if route.path == "/v1/documents/batch-get":
            body = {"document_ids": [made["hidden"]]}
        if route.path.endswith("/distinct"):
            body = {"field": "text"}
        sent = {} if body is None else {"json": body}
        path = filled(route.path, ids)
        answer = await user.request(method, path, **sent)
        if _SECRET in answer.text:
            shown.append(f"{method} {route.path}")
        if method == "GET":
            controls += _SECRET in (await client.get(path)).text
    assert shown == []
    assert controls >= 3
    listed = (await user.post("/v1/documents/list", json={"include_total": True})).json()
    assert [one["document_id"] for one in listed["results"]] == [made["open"]]
    assert listed["total_documents"] == 1


async def test_a_user_sees_what_is_owned_shared_or_public(shelf: Shelf) -> None:
    ann, bob = await shelf.user("ann"), await shelf.user("bob")
    house = await shelf.add(n=0)
    own = (await shelf.send("POST", "", {"n": 1}, client=ann))["document_id"]
    shared = await shelf.add(n=2)
    public = await shelf.add(n=3)

    answer = await shelf.send("PATCH", f"/{shared}/acl", {"read": ["ann"]})
    DocumentResponse.from_dict(answer)
    await shelf.send("PATCH", f"/{public}/acl", {"public": True})

    assert answer["_internal"]["_acl"] == {"read": ["ann"], "write": [], "public": False, "owner": None}
    seen = {}
    for name, client in {"ann": ann, "bob": bob, "house": shelf.client}.items():
        listed = await shelf.send("POST", "/list", {}, client=client)
        counted = await shelf.send("GET", "/count", client=client)
        seen[name] = {one["document_id"] for one in listed["results"]}
        assert counted["count"] == len(seen[name])
    assert seen == {"ann": {own, shared, public}, "bob": {public}, "house": {house, own, shared, public}}
    chosen = {"field": "_internal._acl.owner", "operator": "eq", "value": "ann"}
    owned = await shelf.send("POST", "/list", {"filters": {"AND": [chosen]}})
    assert [one["document_id"] for one in owned["results"]] == [own]


async def test_only_owners_share_and_only_writers_change(shelf: Shelf) -> None:
    ann, bob = await shelf.user("ann"), await shelf.user("bob")
    document_id = (await shelf.send("POST", "", {"n": 1}, client=ann))["document_id"]
    change = [("PATCH", f"/{document_id}", {"n": 2}), ("PUT", f"/v1/documents/{document_id}", {"n": 2})]

    for method, path, body in [*change, ("PATCH", f"/{document_id}/acl", {"public": True})]:
        await shelf.send(method, path, body, 404, client=bob)
    await shelf.send("PATCH", f"/{document_id}/acl", {"read": ["bob"]}, client=ann)
    await shelf.send("GET", f"/{document_id}", client=bob)
    for method, path, body in [*change, ("DELETE", f"/{document_id}", None)]:
        await shelf.send(method, path, body, 403, client=bob)
    refused = await shelf.send("DELETE", "/batch", {"document_ids": [document_id]}, client=bob)
    by_filter = await shelf.send("DELETE", "/batch", {"filters": {"n": 1}}, client=bob)
    updated = await shelf.send("POST", "/batch", {"filters": {"n": 1}, "update_data": {"n": 9}}, client=bob)
    await shelf.send("PATCH", f"/{document_id}/acl", {"write": ["bob"]}, client=ann)
    for method, path, body in change:
        await shelf.send(method, path, body, client=bob)
    await shelf.send("PATCH", f"/{document_id}/acl", {"public": True}, 403, client=bob)
    kept = (await shelf.send("GET", f"/{document_id}"))["_internal"]["_acl"]
    await shelf.send("DELETE", f"/{document_id}", client=bob)

    assert (refused["deleted_count"], refused["failed_count"]) == (0, 1)
    assert (by_filter["deleted_count"], updated["updated_count"]) == (0, 0)
    assert kept == {"owner": "ann", "read": ["bob"], "write": ["bob"], "public": False}


@pytest.mark.parametrize("approximate", [False, True])
async def test_a_search_finds_what_its_user_may_read(shelf: Shelf, approximate: bool) -> None:
    ann = await shelf.user("ann")
    near, far = [1.0] + [0.0] * 383, [0.6, 0.8] + [0.0] * 382
    stored = "text_extractor_v1_embedding"
    for n in range(12):
        await shelf.add(n=n, text="tides", vectors={stored: near})
    own = (await shelf.send("POST", "", {"n": 99, "text": "tides", "vectors": {stored: far}}, client=ann))[
        "document_id"
    ]
    uri = (await shelf.send("GET", "/v1/collections/articles"))["vector_indexes"][0]["feature_uri"]
    async with shelf.opened.house.db.write() as tx:
        await tx.execute("UPDATE vector_indexes SET approximate = %(it)s", {"it": approximate})
    search = {"feature_uri": uri, "query": {"input_mode": "vector", "value": near}, "top_k": 5}
    stage = {
        "stage_name": "search",
        "stage_type": "filter",
        "config": {"stage_id": "feature_search", "parameters": {"searches": [search], "final_top_k": 5}},
    }
    body = {"retriever_name": "near", "stages": [stage], "collection_identifiers": ["articles"]}
    retriever_id = (await shelf.send("POST", "/v1/retrievers", body))["retriever_id"]

    for _ in range(7):  # prepared statements come back too
        found = await shelf.send("POST", f"/v1/retrievers/{retriever_id}/execute", {"inputs": {}}, client=ann)
        everyone = await shelf.send("POST", f"/v1/retrievers/{retriever_id}/execute", {"inputs": {}})
        assert [one["document_id"] for one in found["documents"]] == [own]
        assert len(everyone["documents"]) == 5


async def test_a_user_of_an_end_user_key_cannot_make_keys(shelf: Shelf) -> None:
    ann = await shelf.user("ann", permissions=("admin",))

    answer = await ann.post("/v1/organizations/users/admin@localhost/api-keys", json={"name": "free"})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body", [{"read": "ann"}, {"read": [""]}, {"write": ["x" * 257]}, {"public": "?"}, {"owner": "x"}]
)
async def test_access_lists_that_are_none_are_refused(shelf: Shelf, body: Any) -> None:
    document_id = await shelf.add(n=1)

    await shelf.send("PATCH", f"/{document_id}/acl", body, 422)
    assert "_acl" not in (await shelf.send("GET", f"/{document_id}"))["_internal"]


async def test_the_reader_index_serves_a_user_with_few_documents(shelf: Shelf) -> None:
    async with shelf.opened.house.db.write() as tx:
        await tx.execute("SET LOCAL search_path = readable, public")
        await tx.execute("SELECT set_config('prismhouse.principal', 'ann', true)")
        await tx.execute("SET LOCAL enable_seqscan = off")
        await tx.execute("SET LOCAL enable_indexscan = off")
        plan = await tx.fetch_all("EXPLAIN SELECT document_id FROM documents")

    assert "documents_by_reader" in str(plan)


async def test_access_lists_stay_when_the_document_is_made_anew(shelf: Shelf) -> None:
    document_id = await shelf.add(n=1)
    await shelf.send("PATCH", f"/{document_id}/acl", {"read": ["ann"]})
    again = NewDocument(
        document_id=DocumentId(document_id),
        collection_id=CollectionId(shelf.collection_id),
        payload={"n": 2},
        internal={"modality": "text"},
    )
    namespace_id = NamespaceId((await shelf.send("GET", "/v1/namespaces/shelf"))["namespace_id"])

    async with shelf.opened.house.db.write() as unit:
        await shelf.opened.house.documents.write(unit.within(namespace_id), [again])

    found = await shelf.send("GET", f"/{document_id}", client=await shelf.user("ann"))
    assert (found["n"], found["_internal"]["modality"]) == (2, "text")
    assert found["_internal"]["_acl"]["read"] == ["ann"]


async def test_the_views_have_the_columns_of_their_table(shelf: Shelf) -> None:
    async with shelf.opened.house.db.read() as tx:
        rows = await tx.fetch_all(
            """SELECT table_schema, table_name, array_agg(column_name::text ORDER BY column_name) AS columns
               FROM information_schema.columns WHERE table_name IN ('documents', 'every_document') GROUP BY 1, 2"""
        )

    assert len(rows) == 3
    assert len({tuple(row["columns"]) for row in rows}) == 1
