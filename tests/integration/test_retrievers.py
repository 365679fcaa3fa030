"""Retrievers over HTTP: definition, run, pages, errors. Vectors are given, so no model is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi import FastAPI
from mixpeek import models
from psycopg.types.json import Jsonb

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.retrievers.routes import routes
from prismhouse.api.retrievers.schemas import AdhocExecute
from prismhouse.api.retrievers.service import Retrievers
from prismhouse.api.retrievers.service.log import ExecutionLog
from prismhouse.api.web import errors
from prismhouse.api.web.caller import Caller, Callers, NamespaceCaller, Scope
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Invalid
from prismhouse.kit.ids import KeyId, NamespaceId, OrganizationId
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import Database, DatabaseUnavailable, NamespaceReader

URI = "mixpeek://text_extractor@v1/tiny"
INDEX = {
    "name": "text_extractor_v1_embedding",
    "feature_uri": URI,
    "type": "single",
    "index": {"dimensions": 3, "distance": "cosine", "supported_inputs": ["text"]},
}
SCOPE = Scope(organization_id=OrganizationId("org_1"), namespace_id=NamespaceId("ns_1"))
SCENE = """
INSERT INTO organizations (organization_id, organization_name) VALUES ('org_1', 'one');
INSERT INTO namespaces (namespace_id, organization_id, namespace_name)
VALUES ('ns_1', 'org_1', 'one'), ('ns_2', 'org_1', 'two');
INSERT INTO collections (namespace_id, collection_id, collection_name, source, source_ids, feature_extractor,
                         input_schema, output_schema)
SELECT 'ns_1', c, n, '{}', '{}', '{}', '{}', '{}' FROM (VALUES ('col_1', 'shop'), ('col_2', 'attic')) AS v (c, n);
"""
DOCUMENTS = [
    ("doc_a", "col_1", {"title": "Red running shoes", "price": 30, "brand": "Acme"}, [1, 0, 0]),
    ("doc_b", "col_1", {"title": "Blue running shirt", "price": 10, "brand": "acme"}, [0.9, 0.1, 0]),
    ("doc_c", "col_1", {"title": "Green garden hose", "price": 20, "brand": "Zed"}, [0, 1, 0]),
    ("doc_d", "col_1", {"title": "Red lamp", "metadata": {"room": "hall"}}, [0, 0, 1]),
    ("doc_e", "col_2", {"title": "Old red shoes", "price": 1}, [1, 0, 0.1]),
]


class FakeCollections:
    """The two collections of the scene, in namespace ns_1."""

    def __init__(self) -> None:
        row = {
            "description": None, "source": {"type": "bucket"}, "source_ids": [], "metadata": {}, "config": {},
            "feature_extractor": {
                "feature_extractor_id": "text_extractor_v1",
                "feature_extractor_name": "text_extractor", "version": "v1", "parameters": {}, "input_mappings": {},
                "field_passthrough": [], "include_all_source_fields": False,
            },
            "vector_indexes": [INDEX], "input_schema": {}, "output_schema": {}, "enabled": True,
            "disabled_reason": None, "schema_version": 1, "created_at": None, "updated_at": None,
        }  # fmt: skip
        named = {"col_1": "shop", "col_2": "attic"}
        self.rows = [
            CollectionRow.from_record({**row, "collection_id": key, "collection_name": name})
            for key, name in named.items()
        ]

    async def resolve_known(self, tx: NamespaceReader, identifiers: Sequence[str]) -> dict[str, CollectionRow]:
        known = {r.name: r for r in self.rows} | {r.collection_id: r for r in self.rows}
        return {name: known[name] for name in identifiers if name in known and tx.namespace_id == "ns_1"}

    async def list_collections(self, scope: Any, request: Any, page: Any) -> Any:
        rows = self.rows if scope.namespace_id == "ns_1" else []
        counted = [type("Counted", (), {"row": row, "documents": 0})() for row in rows]
        return type("Page", (), {"results": counted})()


class FakeEmbedder:
    """Three directions: red, green, anything else. The text `wait` never comes to an end."""

    async def embed(self, model: str, texts: Sequence[str]) -> np.ndarray:
        if "wait" in texts:
            await asyncio.Event().wait()
        axis = [0 if "red" in t.lower() else 1 if "green" in t.lower() else 2 for t in texts]
        return np.eye(3, dtype=np.float32)[axis]


class FakeAuthenticator:
    """Any key; the namespace is the one that is named."""

    async def authenticate(self, key: str, *, origin: str | None) -> Caller:
        return Caller(
            organization_id=OrganizationId("org_1"), organization_name="one", user_id="usr_1", user_email="a@b.c",
            key_id=KeyId("key_1"), key_name="k", key_prefix="sk_", key_type="standard",
            permissions=frozenset({"admin"}), namespaces=None, principal_id=None, expires_at=None,
        )  # fmt: skip

    async def enter(self, key: str, namespace: str | None, *, origin: str | None) -> NamespaceCaller:
        caller = await self.authenticate(key, origin=origin)
        name = namespace or "ns_1"
        return NamespaceCaller(caller=caller, namespace_id=NamespaceId(name), namespace_name=name)


class Client:
    """Calls the application in the same process."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int = 200, namespace: str = "ns_1"
    ) -> Any:
        headers = {"Authorization": "Bearer sk_test", "X-Namespace": namespace}
        response = await self.http.request(method, path, json=body, headers=headers)
        assert response.status_code == status, response.text
        return response.json()


@pytest.fixture
async def service(db: Database) -> AsyncIterator[Retrievers]:
    async with db.write() as tx:
        await tx.execute(SCENE)
        scoped = tx.within(NamespaceId("ns_1"))
        index = await vectors.declare(scoped, feature_uri=URI, dimensions=3, distance="cosine", model="tiny")
        for document_id, collection_id, payload, vector in DOCUMENTS:
            await scoped.execute(
                "INSERT INTO documents (namespace_id, collection_id, document_id, payload)"
                " VALUES (%(namespace_id)s, %(c)s, %(d)s, %(p)s)",
                {"c": collection_id, "d": document_id, "p": Jsonb(payload)},
            )
            given = np.asarray([vector], np.float32)
            await vectors.write(scoped, index, collection_id=collection_id, document_ids=[document_id], vectors=given)
    made = Retrievers(db, collections=FakeCollections(), embedder=FakeEmbedder())
    yield made
    await made.close()


@pytest.fixture
async def client(service: Retrievers) -> AsyncIterator[Client]:
    async with client_of(service) as made:
        yield made


@asynccontextmanager
async def client_of(service: Retrievers) -> AsyncIterator[Client]:
    app = FastAPI()
    errors.install(app)
    app.include_router(routes(service, Callers(FakeAuthenticator())))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Client(http)


def _search(**parameters: Any) -> dict[str, Any]:
    searches = [{"feature_uri": URI, "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}]
    config = {"stage_id": "feature_search", "parameters": {"searches": searches, **parameters}}
    return {"stage_name": "find", "stage_type": "filter", "config": config}


def _stage(stage_id: str, **parameters: Any) -> dict[str, Any]:
    return {"stage_name": stage_id, "config": {"stage_id": stage_id, "parameters": parameters}}


def _definition(*stages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "retriever_name": "products",
        "collection_identifiers": ["shop"],
        "stages": list(stages or (_search(),)),
        "input_schema": {"query": {"type": "text", "required": True}},
        **fields,
    }


def _ids(answer: dict[str, Any]) -> list[str]:
    return [document["document_id"] for document in answer["documents"]]


async def _run(client: Client, *stages: dict[str, Any], **body: Any) -> dict[str, Any]:
    return await client.call(
        "POST",
        "/v1/retrievers/execute",
        {"collection_identifiers": ["shop"], "stages": list(stages), "inputs": {"query": "red"}, **body},
    )


async def test_a_retriever_is_answered_as_it_was_made(client: Client) -> None:
    made = await client.call("POST", "/v1/retrievers", _definition(tags=["a"], metadata={"x": 1}))

    assert made["retriever_id"].startswith("ret_")
    assert (made["version"], made["fusion"], made["collection_ids"]) == (1, "rrf", ["col_1"])
    assert made["collection_identifiers"] == ["col_1"]
    assert made["stages"][0]["parameters"]["searches"][0]["feature_uri"] == URI
    assert made["feature_dependencies"] == [
        {"scheme": "mixpeek", "extractor": "text_extractor", "version": "v1", "output": "tiny"}
    ]
    assert await client.call("GET", "/v1/retrievers/products") == made
    listed = await client.call("POST", "/v1/retrievers/list", {"search": "prod*"})
    assert (listed["results"], listed["total"]) == ([made], 1)


async def test_a_run_gives_documents_best_first(client: Client) -> None:
    made = await client.call("POST", "/v1/retrievers", _definition())

    got = await client.call("POST", f"/v1/retrievers/{made['retriever_id']}/execute", {"inputs": {"query": "red"}})

    assert got["status"] == "completed"
    assert _ids(got) == ["doc_a", "doc_b", "doc_c", "doc_d"]
    first = got["documents"][0]
    assert first["score"] == pytest.approx(1.0, abs=1e-3)
    assert (first["title"], first["collection_id"]) == ("Red running shoes", "col_1")
    assert first["_internal"]["created_at"].endswith("Z")
    assert got["stage_statistics"]["stages"]["find"]["output_count"] == 4
    assert got["pagination"] == {
        "method": "cursor", "limit": 25, "returned": 4, "total": 4, "cursor": None, "has_next": False,
    }  # fmt: skip


async def test_a_document_has_the_shape_that_lists_give(client: Client, db: Database) -> None:
    blobs = [
        {"field": "thumb", "role": "thumbnail", "type": "image", "checksum": "abc", "size_bytes": None},
        {"field": "text", "checksum": "def", "url": "http://x/y"},
    ]
    async with db.write() as tx:
        await tx.execute("UPDATE documents SET document_blobs = %(b)s WHERE document_id = 'doc_a'", {"b": Jsonb(blobs)})

    got = await _run(client, _search(), limit=1)

    [document] = got["documents"]
    assert document["thumb"] == "prismhouse://blobs/abc"
    assert document["document_blobs"] == [
        {"field": "thumb", "role": "thumbnail", "type": "image", "checksum": "abc", "url": "prismhouse://blobs/abc"},
        {"field": "text", "role": "source", "type": "other", "checksum": "def", "url": "http://x/y"},
    ]
    assert document["_internal"]["internal_id"] == "org_1"
    assert document["searchable_at"].endswith("Z")


async def test_files_have_links_when_they_are_asked_for(service: Retrievers, db: Database) -> None:
    blobs = [{"field": "thumb", "role": "thumbnail", "type": "image", "checksum": "abc"}]
    async with db.write() as tx:
        await tx.execute("UPDATE documents SET document_blobs = %(b)s WHERE document_id = 'doc_a'", {"b": Jsonb(blobs)})
    linking = Retrievers(
        db,
        collections=FakeCollections(),
        embedder=FakeEmbedder(),
        link_blob=lambda namespace_id, blob: f"http://house/{namespace_id}/{blob['checksum']}",
    )

    async with client_of(linking) as client:
        plain = await _run(client, _search(), limit=1)
        linked = await _run(client, _search(), limit=1, return_presigned_urls=True)
    await linking.close()

    assert "presigned_url" not in plain["documents"][0]["document_blobs"][0]
    assert linked["documents"][0]["document_blobs"][0]["presigned_url"] == "http://house/ns_1/abc"
    assert linked["documents"][0]["thumb"] == "http://house/ns_1/abc"
    assert "warnings" not in linked or "presigned" not in str(linked["warnings"])


async def test_pages_join_to_the_whole_when_a_cursor_is_followed(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    path, seen, cursor = "/v1/retrievers/products/execute", list[str](), None

    for _ in range(4):
        paging = {"method": "cursor", "limit": 1, "cursor": cursor}
        got = await client.call("POST", path, {"inputs": {"query": "red"}, "pagination": paging})
        seen += _ids(got)
        cursor = got["pagination"]["cursor"]

    assert (seen, cursor) == (["doc_a", "doc_b", "doc_c", "doc_d"], None)
    offset = {"method": "offset", "page_size": 3, "page_number": 2}
    got = await client.call("POST", path, {"inputs": {"query": "red"}, "pagination": offset})
    assert (_ids(got), got["pagination"]["has_next"]) == (["doc_d"], False)


async def test_a_cursor_is_refused_when_the_inputs_differ(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    path = "/v1/retrievers/products/execute"
    got = await client.call("POST", path, {"inputs": {"query": "red"}, "limit": 1})
    assert got["pagination"]["has_next"]
    paging = {"method": "cursor", "limit": 1, "cursor": got["pagination"]["cursor"]}

    await client.call("POST", path, {"inputs": {"query": "green"}, "pagination": paging}, status=400)


async def test_a_change_counts_at_once_when_the_retriever_has_run_before(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    path = "/v1/retrievers/products/execute"
    await client.call("POST", path, {"inputs": {"query": "red"}})

    changed = await client.call("PATCH", "/v1/retrievers/products", {"stages": [_search(), _stage("limit", limit=1)]})
    got = await client.call("POST", path, {"inputs": {"query": "red"}})

    assert changed["retriever"]["version"] == 2
    assert _ids(got) == ["doc_a"]
    await client.call("DELETE", "/v1/retrievers/products")
    await client.call("POST", path, {"inputs": {"query": "red"}}, status=404)


async def test_execute_filters_apply_before_scoring(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    path = "/v1/retrievers/products/execute"

    got = await client.call("POST", path, {"inputs": {"query": "red"}, "filters": {"brand": "ACME"}})
    bad = await client.call("POST", path, {"inputs": {"query": "red"}, "filters": {"must": [{"key": "a"}]}}, status=422)

    assert _ids(got) == ["doc_a", "doc_b"]
    assert bad["error"]["details"]["validation_errors"][0]["location"] == ["body", "filters", "must"]


async def test_a_condition_is_dropped_when_its_input_is_missing(client: Client) -> None:
    stage = _search()
    stage["config"]["pre_filters"] = {"AND": [{"field": "brand", "operator": "eq", "value": "{{INPUT.brand}}"}]}

    every = await _run(client, stage)
    some = await _run(client, stage, inputs={"query": "red", "brand": "zed"})

    assert len(every["documents"]) == 4
    assert every["interpretation"]["relaxations"] == ["brand"]
    assert _ids(some) == ["doc_c"]


async def test_hybrid_search_is_fused_by_rank(client: Client) -> None:
    searches = [{"feature_uri": URI, "query": "red"}, {"feature_uri": URI, "query": "garden", "lexical": True}]

    got = await _run(client, _stage("feature_search", searches=searches, final_top_k=3))

    assert _ids(got)[0] == "doc_c"
    assert got["documents"][0]["score"] == pytest.approx(1 / 63 + 1 / 61)


async def test_the_official_clients_search_is_understood(client: Client) -> None:
    stages = [
        {"type": "attribute_filter", "conditions": {"field": "price", "operator": "lt", "value": 25}},
        {
            "type": "feature_search",
            "feature_extractor": {"type": "text"},
            "query": "red",
            "collection_ids": [],
            "limit": 10,
        },
    ]

    got = await client.call("POST", "/v1/retrievers/execute", {"stages": stages, "inputs": {"query": "red"}})

    assert _ids(got) == ["doc_e", "doc_b", "doc_c"]
    assert got["optimization_applied"]
    assert got["execution_metadata"] == {"retriever_persisted": False}


async def test_stages_run_in_order(client: Client) -> None:
    stages = (
        _search(),
        _stage("attribute_filter", field="price", operator="gte", value=10),
        _stage("sort_attribute", field="price", direction="asc"),
        _stage("limit", limit=2, offset=1),
    )

    got = await _run(client, *stages)

    assert [d["price"] for d in got["documents"]] == [20, 30]
    assert got["stage_statistics"]["stages"]["attribute_filter"]["input_count"] == 4


async def test_attribute_filter_reads_documents_when_it_comes_first(client: Client) -> None:
    kept = await _run(client, _stage("attribute_filter", field="brand", operator="eq", value="Acme"))
    unlike = await _run(client, _stage("attribute_filter", field="brand", operator="ne", value="Acme"))
    loose = await _run(client, _stage("attribute_filter", AND=[{"brand": "ACME"}], case_insensitive=True))

    assert _ids(kept) == ["doc_a"]
    assert _ids(unlike) == ["doc_b", "doc_c"]
    assert _ids(loose) == ["doc_a", "doc_b"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"input_mode": "vector", "value": [0, 0, 1]}, "doc_d"),
        ([0, 0, 1], "doc_d"),
        ({"input_mode": "document", "document_ref": {"collection_id": "col_1", "document_id": "doc_c"}}, "doc_c"),
        ({"input_mode": "content", "value": [0, 1, 0]}, "doc_c"),
        ("green", "doc_c"),
    ],
)
async def test_a_search_can_ask_in_several_ways(client: Client, query: Any, expected: str) -> None:
    got = await _run(client, _stage("feature_search", searches=[{"feature_uri": URI, "query": query}]))

    assert _ids(got)[0] == expected


@pytest.mark.parametrize(
    ("search", "status", "message"),
    [
        ({"query": {"input_mode": "vector", "value": [0, 1]}}, 422, "has 2 values"),
        ({"query": {"input_mode": "vector", "value": "x"}}, 422, "not a list of numbers"),
        ({"query": {"input_mode": "document", "document_ref": {"document_id": "nope"}}}, 422, "has no vector"),
        (
            {"query": {"input_mode": "content", "value": "data:image/png;base64,AAAA"}},
            422,
            "cannot be searched with content",
        ),
        ({"query": ""}, 422, "is empty"),
        ({"feature_uri": "mixpeek://image_extractor@v1/none"}, 422, URI),
        ({"collection_identifiers": ["elsewhere"]}, 422, "elsewhere"),
        ({"colour": 1}, 422, "colour"),
        ({"query": "{{DOC.x}}"}, 422, "INPUT is"),
    ],
)
async def test_a_search_is_refused_with_a_reason(
    client: Client, search: dict[str, Any], status: int, message: str
) -> None:
    stage = _stage("feature_search", searches=[{"feature_uri": URI, "query": "red", **search}])

    got = await client.call(
        "POST", "/v1/retrievers/execute", {"collection_identifiers": ["shop"], "stages": [stage]}, status=status
    )

    assert message in got["error"]["message"]


@pytest.mark.parametrize(
    ("stage_id", "status", "message"),
    [("feature_serch", 422, "Did you mean feature_search?"), ("rerank", 501, "Stages that run: feature_search")],
)
async def test_a_stage_that_cannot_run_is_refused(client: Client, stage_id: str, status: int, message: str) -> None:
    got = await client.call("POST", "/v1/retrievers", _definition(_stage(stage_id)), status=status)

    assert message in got["error"]["message"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({}, "query: is required"), ({"query": {"a": 1}}, "must be of type text")],
)
async def test_inputs_are_checked(client: Client, inputs: dict[str, Any], message: str) -> None:
    await client.call("POST", "/v1/retrievers", _definition())

    got = await client.call("POST", "/v1/retrievers/products/execute", {"inputs": inputs}, status=422)

    assert message in got["error"]["message"]


async def test_a_name_is_refused_when_it_is_taken(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    await client.call("POST", "/v1/retrievers", _definition(), status=409)
    await client.call("POST", "/v1/retrievers/products/clone", {"retriever_name": "products"}, status=409)

    copy = await client.call("POST", "/v1/retrievers/products/clone", {"retriever_name": "second", "tags": ["x"]})

    assert (copy["retriever"]["retriever_name"], copy["retriever"]["version"]) == ("second", 1)
    await client.call("PATCH", "/v1/retrievers/second", {"retriever_name": "products"}, status=409)
    await client.call("PATCH", "/v1/retrievers/second", {}, status=400)


async def test_another_namespaces_retriever_is_not_there(client: Client) -> None:
    made = await client.call("POST", "/v1/retrievers", _definition())
    path = f"/v1/retrievers/{made['retriever_id']}"

    for method, where in [("GET", ""), ("DELETE", ""), ("POST", "/execute"), ("POST", "/executions/list")]:
        await client.call(method, f"{path}{where}", namespace="ns_2", status=404)
    await client.call("PATCH", path, {"description": "x"}, namespace="ns_2", status=404)


async def test_an_input_schema_is_refused_when_the_change_breaks_callers(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())

    got = await client.call(
        "PATCH",
        "/v1/retrievers/products",
        {"input_schema": {"query": {"type": "number"}, "more": {"type": "text", "required": True}}},
        status=422,
    )

    assert len(got["error"]["details"]["validation_errors"]) == 2


async def test_runs_are_recorded(client: Client) -> None:
    made = await client.call("POST", "/v1/retrievers", _definition())
    path = f"/v1/retrievers/{made['retriever_id']}"
    got = await client.call("POST", f"{path}/execute", {"inputs": {"query": "red"}})

    history = await client.call("POST", f"{path}/executions/list")
    one = await client.call("GET", f"{path}/executions/{got['execution_id']}")

    assert [row["execution_id"] for row in history["results"]] == [got["execution_id"]]
    assert (one["status"], one["total_returned"]) == ("completed", 4)
    await client.call("GET", f"{path}/executions/exec_none", status=404)


async def test_the_stage_registry_lists_what_runs(client: Client) -> None:
    every = await client.call("GET", "/v1/retrievers/stages")
    sorts = await client.call("GET", "/v1/retrievers/stages?category=sort")

    assert {stage["stage_id"] for stage in every} >= {"feature_search", "attribute_filter", "limit"}
    assert {stage["stage_id"] for stage in sorts} == {"sort_attribute", "sort_relevance"}


async def test_vectors_come_only_when_they_are_asked_for(client: Client) -> None:
    without = await _run(client, _search())
    with_vectors = await _run(client, _search(), return_vectors=True)

    assert "text_extractor_v1_embedding" not in without["documents"][0]
    assert with_vectors["documents"][0]["text_extractor_v1_embedding"] == [1, 0, 0]


async def test_a_failed_stage_is_skipped_when_it_says_so(client: Client) -> None:
    bad = {**_stage("attribute_filter", field="price", operator="regex", value="{{INPUT.p}}"), "on_error": "skip"}

    got = await _run(client, _search(), bad, inputs={"query": "red", "p": "("})

    assert got["status"] == "degraded"
    assert len(got["documents"]) == 4
    assert "regular expression" in got["stage_statistics"]["stages"]["attribute_filter"]["error"]


async def test_streaming_is_refused_until_it_is_built(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())

    got = await client.call("POST", "/v1/retrievers/products/execute", {"stream": True}, status=501)

    assert got["error"]["type"] == "NotImplementedError"


async def test_the_generated_client_reads_every_answer(client: Client) -> None:
    made = await client.call("POST", "/v1/retrievers", _definition())
    path = f"/v1/retrievers/{made['retriever_id']}"
    answers = {
        models.RetrieverConfig: made,
        models.RetrieverModelOutput: await client.call("GET", path),
        models.ListRetrieversResponse: await client.call("GET", "/v1/retrievers"),
        models.PatchRetrieverResponse: await client.call("PATCH", path, {"tags": ["x"]}),
        models.CloneRetrieverResponse: await client.call("POST", f"{path}/clone", {"retriever_name": "other"}),
        models.ExecuteRetrieverResponse: await client.call("POST", f"{path}/execute", {"inputs": {"query": "red"}}),
        models.ExplainRetrieverResponse: await client.call("POST", f"{path}/execute/explain", {}),
        models.ListExecutionsResponse: await client.call("POST", f"{path}/executions/list"),
    }

    for model, given in answers.items():
        assert model.from_dict(given) is not None
    for stage in await client.call("GET", "/v1/retrievers/stages"):
        assert models.RetrieverStageDefinition.from_dict(stage) is not None
    execution_id = answers[models.ExecuteRetrieverResponse]["execution_id"]
    one = await client.call("GET", f"{path}/executions/{execution_id}")
    assert models.ExecutionDetail.from_dict(one) is not None


async def test_a_search_that_takes_too_long_is_degraded(client: Client) -> None:
    got = await _run(client, _search(hard_timeout_ms=20), inputs={"query": "wait"})

    assert (got["status"], got["documents"]) == ("degraded", [])
    assert got["degraded"][0]["stage"] == "find"
    assert "longer than 0.02 s" in got["degraded"][0]["reason"]


async def test_records_of_runs_wait_when_the_database_does_not_answer(service: Retrievers, dsn: str) -> None:
    database = Database(dsn)
    log = ExecutionLog(database)
    row = {"execution_id": "exec_1", "retriever_id": None, "status": "completed", "duration_ms": 1.0, "returned": 0}
    log.add({**row, "namespace_id": "ns_1", "inputs_hash": "", "error": None, "created_at": utc_now()})

    with pytest.raises(DatabaseUnavailable):
        await log.flush()
    await database.open()
    await log.close()

    async with database.read() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM retriever_executions") == 1
    await database.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": {"query": "red\x00"}}, 422),
        ({"inputs": {"query": "red", "big": 2**70}}, 422),
        ({"inputs": {"query": "red"}, "filters": {"title": "a\x00"}}, 422),
        ({"inputs": {"query": "red"}, "collection_identifiers": ["a\x00"]}, 422),
    ],
)
async def test_values_that_the_database_cannot_hold_are_no_server_errors(
    client: Client, body: dict[str, Any], status: int
) -> None:
    stage = _stage("feature_search", searches=[{"feature_uri": URI, "lexical": True}])

    given = {"collection_identifiers": ["shop"], "stages": [stage], **body}
    await client.call("POST", "/v1/retrievers/execute", given, status=status)
    await client.call("GET", "/v1/retrievers/a%00b", status=404)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"filters": {"tags": "fast"}}, ["beta"]),
        ({"filters": {"metadata.team": {"$in": ["a", "b"]}}, "sort": {"field": "retriever_name"}}, ["alpha", "beta"]),
        ({"filters": {"version": {"$gte": 2}}}, ["alpha"]),
        ({"sorts": [{"field": "retriever_name", "direction": "desc"}]}, ["gamma", "beta", "alpha"]),
        ({"search": "BETA", "case_sensitive": True}, []),
        ({"search": "BETA"}, ["beta"]),
    ],
)
async def test_a_list_of_retrievers_obeys_what_is_asked(
    client: Client, body: dict[str, Any], expected: list[str]
) -> None:
    for name, extra in (
        ("alpha", {"metadata": {"team": "a"}}),
        ("beta", {"metadata": {"team": "b"}, "tags": ["fast"]}),
        ("gamma", {}),
    ):
        await client.call("POST", "/v1/retrievers", _definition(retriever_name=name, **extra))
    await client.call("PATCH", "/v1/retrievers/alpha", {"description": "newer"})

    answer = await client.call("POST", "/v1/retrievers/list", body)

    assert [one["retriever_name"] for one in answer["results"]] == expected
    assert answer["total"] == len(expected)


async def test_a_list_of_retrievers_names_what_it_can_be_sorted_by(client: Client) -> None:
    answer = await client.call("POST", "/v1/retrievers/list", {"sort": {"field": "colour"}}, status=422)

    assert "retriever_name" in answer["error"]["message"]


async def test_filters_may_nest_no_deeper_than_the_setting(db: Database, service: Retrievers) -> None:
    shallow = Retrievers(db, collections=FakeCollections(), embedder=FakeEmbedder(), filter_depth=1)
    deep = {"AND": [{"OR": [{"NOT": [{"field": "price", "operator": "eq", "value": 1}]}]}]}
    body = AdhocExecute(stages=[_search()], collection_identifiers=["shop"], inputs={"query": "red"}, filters=deep)

    assert await service.execute_adhoc(SCOPE, body)
    with pytest.raises(Invalid, match="nested deeper than 1"):
        await shallow.execute_adhoc(SCOPE, body)
    await shallow.close()


async def test_several_queries_are_answered_in_their_order_when_one_fails(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    cheap = {"AND": [{"field": "price", "operator": "lt", "value": 15}]}
    queries = [{"inputs": {"query": "red"}}, {"inputs": {}}, {"inputs": {"query": "red"}, "filters": cheap}]

    answer = await client.call(
        "POST", "/v1/retrievers/products/execute/batch", {"queries": queries, "settings": {"limit": 1}}
    )

    assert [one["index"] for one in answer["results"]] == [0, 1, 2]
    assert [_ids(one) for one in answer["results"]] == [["doc_a"], [], ["doc_b"]]
    assert [one["status"] for one in answer["results"]] == ["completed", "failed", "completed"]
    assert "query" in answer["results"][1]["error"]["message"]
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (3, 2, 1)


async def test_a_seventeenth_query_is_refused(client: Client) -> None:
    await client.call("POST", "/v1/retrievers", _definition())
    queries = [{"inputs": {"query": "red"}}] * 17

    answer = await client.call("POST", "/v1/retrievers/products/execute/batch", {"queries": queries}, status=422)

    assert answer["error"]["details"]["limits"] == {"max_queries": 16}


async def test_several_queries_to_a_missing_retriever_fail_as_a_whole(client: Client) -> None:
    body = {"queries": [{"inputs": {"query": "red"}}]}

    await client.call("POST", "/v1/retrievers/nobody/execute/batch", body, status=404)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"text": "red {{INPUT.x}}"}, "doc_a"),
        ({"input_mode": "vector", "vector": [0, 1, 0]}, "doc_c"),
    ],
)
async def test_a_feature_is_searched_without_a_retriever(client: Client, query: Any, expected: str) -> None:
    body = {"query": query, "feature_uri": URI, "collection_identifiers": ["shop"], "top_k": 2}

    answer = await client.call("POST", "/v1/features/search", body)

    assert _ids(answer)[0] == expected
    assert len(answer["documents"]) == 2
    missing = {**body, "query": {"input_mode": "image", "text": "red"}}
    refused = await client.call("POST", "/v1/features/search", missing, status=422)
    assert "image" in refused["error"]["message"]
