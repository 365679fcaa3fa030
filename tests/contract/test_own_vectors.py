"""Namespaces for vectors of one's own: made, filled, searched and promoted, with answers the official client reads."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import numpy as np
import pytest
from mixpeek import models
from tests.opened import Open, assert_envelope

from prismhouse.storage.postgres.vectors import build_approximate_indexes

Client = httpx2.AsyncClient


async def space_of(opened: Open, **body: Any) -> tuple[Client, str]:
    """Return a client, and a new namespace that its calls go to."""
    client = opened.client()
    name = f"own-{np.random.default_rng().integers(10**12)}"
    answer = await client.post("/v1/namespaces/standalone", json={"namespace_id": name, **body})
    assert answer.status_code == 200, answer.text
    models.StandaloneNamespaceResponseModel.from_dict(answer.json())
    client.headers["X-Namespace"] = name
    return client, f"/v1/namespaces/{name}"


async def upsert(client: Client, base: str, documents: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    answer = await client.post(f"{base}/documents/upsert", json={"documents": documents, **rest})
    assert answer.status_code == 200, answer.text
    models.BYOUpsertResponse.from_dict(answer.json())
    return answer.json()  # type: ignore[no-any-return]


async def search(client: Client, uri: str, value: Any, *, top_k: int = 10, **run: Any) -> list[dict[str, Any]]:
    """Search as the high-level client does, with a retriever that is made for it."""
    searches = [{"feature_uri": uri, "query": {"input_mode": "vector", "value": value}, "top_k": top_k}]
    parameters = {"searches": searches, "final_top_k": top_k}
    stage = {
        "stage_name": "feature_search",
        "stage_type": "filter",
        "config": {"stage_id": "feature_search", "parameters": parameters},
    }
    made = await client.post("/v1/retrievers", json={"retriever_name": "sdk-byov-search-1", "stages": [stage]})
    assert made.status_code == 200, made.text
    identifier = made.json()["retriever_id"]
    answer = await client.post(f"/v1/retrievers/{identifier}/execute", json={"inputs": {}, **run})
    await client.delete(f"/v1/retrievers/{identifier}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "completed", answer.text
    return answer.json()["documents"]  # type: ignore[no-any-return]


async def refused(client: Client, base: str, documents: list[dict[str, Any]], status: int = 422) -> str:
    answer = await client.post(f"{base}/documents/upsert", json={"documents": documents})
    return str(assert_envelope(answer, status)["message"])


async def test_dense_vectors_are_found_and_given_back_when_inferred(opened: Open) -> None:
    client, base = await space_of(opened)

    made = await upsert(
        client,
        base,
        [
            {"document_id": "a", "vectors": {"image": [1.0, 0.0]}, "payload": {"colour": "red"}, "metadata": {"k": 1}},
            {"document_id": "b", "vectors": {"image": [0.8, 0.6]}, "payload": {"colour": "blue"}},
            {"document_id": "c", "vectors": {}, "payload": {"colour": "red", "_internal": 1, "document_id": "x"}},
        ],
        options={"write_token": True},
    )
    assert made["inserted"] == 3
    assert made["document_ids"] == ["a", "b", "c"]
    collection = (await client.post("/v1/collections/list")).json()["results"][0]["collection_id"]
    features = (await client.get(f"/v1/collections/{collection}/features")).json()
    told = models.DescribeCollectionFeaturesResponse.from_dict(features)
    assert told is not None
    assert all("array" in (one.vector_index.supported_inputs or ()) for one in told.features)
    assert made["unsearchable_document_ids"] == ["c"]
    assert made["dropped_payload_fields"] == {"c": ["_internal", "document_id"]}
    assert made["write_token"]
    assert [d["document_id"] for d in await search(client, "image", [1.0, 0.1])] == ["a", "b"]
    blue = {"field": "colour", "operator": "eq", "value": "blue"}
    assert [d["document_id"] for d in await search(client, "image", [1.0, 0.1], filters=blue)] == ["b"]
    one = (await client.get(f"{base}/documents/a?return_vectors=true")).json()
    assert one["image"] == [1.0, 0.0]
    assert one["colour"] == "red"
    assert one["_internal"]["metadata"] == {"k": 1}
    kept = {"field": "_internal.metadata.k", "operator": "eq", "value": 1}
    listed = (await client.post("/v1/documents/list", json={"filters": kept, "return_vectors": True})).json()
    assert [d["image"] for d in listed["results"]] == [[1.0, 0.0]]
    assert (await client.get(f"{base}/documents/zz")).status_code == 404
    shown = (await client.get(base)).json()
    models.NamespaceModel.from_dict(shown)
    assert shown["mode"] == "standalone"
    assert shown["vector_configs"] == [{"name": "image", "type": "dense", "metric": "cosine", "dimension": 2}]
    collection = (await client.get("/v1/collections/documents")).json()
    models.CollectionResponse.from_dict(collection)
    assert collection["vector_indexes"][0]["source"] == "namespace_vector_config"


async def test_an_upsert_replaces_the_whole_document_when_its_id_stands(opened: Open) -> None:
    client, base = await space_of(opened)
    first = {"one": [1, 0], "several": [[1, 0], [0, 1]], "few": {"indices": [5, 2], "values": [0.25, 1]}}
    await upsert(client, base, [{"document_id": "a", "vectors": first, "payload": {"x": 1}}])
    before = (await client.get(f"{base}/documents/a?return_vectors=true")).json()
    assert before["several"] == [[1, 0], [0, 1]]
    assert before["few"] == {"indices": [2, 5], "values": [1, 0.25]}

    await upsert(client, base, [{"document_id": "a", "vectors": {"one": [0, 1]}, "payload": {"y": 2}}])

    after = (await client.get(f"{base}/documents/a?return_vectors=true")).json()
    assert after["one"] == [0, 1]
    assert after["y"] == 2
    assert not {"x", "several", "few"} & after.keys()
    assert after["_internal"]["created_at"] == before["_internal"]["created_at"]
    assert await search(client, "several", [[1, 0]]) == []
    found = await search(client, "one", [0, 1], return_vectors=True)
    assert [d["one"] for d in found] == [[0, 1]]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
async def test_the_order_is_that_of_an_exact_scan_for_every_metric(opened: Open, metric: str) -> None:
    random = np.random.default_rng(7)
    rows = random.standard_normal((300, 16)).astype(np.float16).astype(np.float64)
    query = random.standard_normal(16).astype(np.float16).astype(np.float64)
    client, base = await space_of(opened, vector_configs=[{"name": "v", "dimension": 16, "metric": metric}])
    documents = [
        {"document_id": f"d{n:03}", "vectors": {"v": row.tolist()}, "payload": {"even": n % 2 == 0}}
        for n, row in enumerate(rows)
    ]
    await upsert(client, base, documents)

    scores = {
        "cosine": rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query),
        "dot": rows @ query,
        "euclidean": 1 / (1 + np.linalg.norm(rows - query, axis=1)),
    }[metric]
    best = np.argsort(-scores)
    found = await search(client, "v", query.tolist(), top_k=25)
    assert [d["document_id"] for d in found] == [f"d{n:03}" for n in best[:25]]
    assert np.allclose([d["score"] for d in found], scores[best[:25]], atol=1e-4)
    even = {"field": "even", "operator": "eq", "value": True}
    filtered = await search(client, "v", query.tolist(), top_k=5, filters=even)
    assert [d["document_id"] for d in filtered] == [f"d{n:03}" for n in best if n % 2 == 0][:5]


async def test_sparse_vectors_are_ranked_by_inner_product(opened: Open) -> None:
    random = np.random.default_rng(8)
    rows = np.where(random.random((200, 500)) < 0.03, random.random((200, 500)), 0).astype(np.float32)
    rows[:, 0] = 0.01
    query = np.where(random.random(500) < 0.05, random.random(500), 0).astype(np.float32)
    client, base = await space_of(opened)

    def sparse(row: Any) -> dict[str, Any]:
        places = np.flatnonzero(row)
        return {"indices": places.tolist(), "values": row[places].tolist()}

    await upsert(
        client, base, [{"document_id": f"d{n:03}", "vectors": {"s": sparse(row)}} for n, row in enumerate(rows)]
    )

    scores = rows.astype(np.float64) @ query.astype(np.float64)
    best = sorted(np.flatnonzero(scores), key=lambda n: -scores[n])
    found = await search(client, "s", sparse(query), top_k=20)
    assert [d["document_id"] for d in found] == [f"d{n:03}" for n in best[:20]]
    assert await search(client, "s", {"indices": [999_999_999], "values": [1.0]}) == []


async def test_several_vectors_are_ranked_by_their_best_matches(opened: Open) -> None:
    random = np.random.default_rng(9)
    documents = [random.standard_normal((random.integers(1, 9), 8)).astype(np.float16) for _ in range(120)]
    query = random.standard_normal((4, 8)).astype(np.float16)
    client, base = await space_of(opened)
    await upsert(
        client,
        base,
        [{"document_id": f"d{n:03}", "vectors": {"t": rows.tolist()}} for n, rows in enumerate(documents)],
    )

    def unit(rows: Any) -> Any:
        wide = rows.astype(np.float64)
        return wide / np.linalg.norm(wide, axis=1, keepdims=True)

    scores = np.array([(unit(query) @ unit(rows).T).max(axis=1).sum() for rows in documents])
    best = np.argsort(-scores)
    found = await search(client, "t", query.tolist(), top_k=15)
    assert [d["document_id"] for d in found] == [f"d{n:03}" for n in best[:15]]
    assert np.allclose([d["score"] for d in found], scores[best[:15]], atol=1e-3)


async def test_a_created_document_takes_dense_vectors_only(opened: Open) -> None:
    client, base = await space_of(opened)
    await upsert(client, base, [{"document_id": "a", "vectors": {"v": [1, 0], "t": [[1, 0]]}}])
    path = "/v1/collections/documents/documents"

    made = await client.post(path, json={"vectors": {"v": [0, 1]}})
    refused_one = await client.post(path, json={"vectors": {"t": [0, 1]}})

    assert [one["document_id"] for one in await search(client, "v", [0, 1])] == [made.json()["document_id"], "a"]
    assert "upsert" in str(assert_envelope(refused_one, 422)["message"])


async def test_a_name_that_the_server_fills_is_no_vector(opened: Open) -> None:
    client, base = await space_of(opened)

    for name in ("document_id", "_internal", "a b", "a/b", "", "x" * 129):
        await refused(client, base, [{"document_id": "a", "vectors": {name: [1, 2]}}])
        body = {"namespace_id": "n", "vector_configs": [{"name": name, "dimension": 2}]}
        assert_envelope(await client.post("/v1/namespaces/standalone", json=body), 422)
    names = {f"v{n}": [1] for n in range(101)}
    assert "100" in await refused(client, base, [{"document_id": "a", "vectors": names}])


async def test_more_like_a_stored_document_is_found(opened: Open) -> None:
    client, base = await space_of(opened)
    several, few = [[1, 0], [0, 1]], {"indices": [1, 7], "values": [0.5, 1]}
    await upsert(
        client,
        base,
        [
            {"document_id": "a", "vectors": {"v": [1, 0], "t": several, "s": few}},
            {"document_id": "b", "vectors": {"v": [0, 1], "t": several[:1], "s": {"indices": [7], "values": [0.1]}}},
        ],
    )

    for name, scores in (("v", [1, 0]), ("t", [2, 1]), ("s", [1.25, 0.1])):
        query = {"input_mode": "document", "document_ref": {"document_id": "a", "collection_id": "documents"}}
        config = {"stage_id": "feature_search", "parameters": {"searches": [{"feature_uri": name, "query": query}]}}
        stage = {"stage_name": "like", "stage_type": "filter", "config": config}
        found = (await client.post("/v1/retrievers/execute", json={"stages": [stage], "inputs": {}})).json()
        assert [one["document_id"] for one in found["documents"]] == ["a", "b"]
        assert np.allclose([one["score"] for one in found["documents"]], scores, atol=1e-3)


async def test_a_query_that_is_no_vector_of_the_index_is_refused(opened: Open) -> None:
    client, base = await space_of(opened)
    vectors = {"v": [1, 0], "t": [[1, 0]], "s": {"indices": [1], "values": [1]}}
    await upsert(client, base, [{"document_id": "a", "vectors": vectors}])
    wrong: list[tuple[str, Any]] = [("v", [0, 0]), ("v", [1]), ("t", [[1]]), ("t", [[0, 0]]), ("t", [["x", 1]])]
    wrong += [("t", [[1, 0]] * 257), ("s", [1, 2]), ("s", {"indices": [1, 1], "values": [1, 1]})]
    wrong += [("s", {"indices": [-1], "values": [1]}), ("s", {"indices": [1], "values": [0]}), ("nothing", [1, 0])]

    for name, value in wrong:
        searches = [{"feature_uri": name, "query": {"input_mode": "vector", "value": value}}]
        config = {"stage_id": "feature_search", "parameters": {"searches": searches}}
        stage = {"stage_name": "s", "stage_type": "filter", "config": config}
        answer = await client.post("/v1/retrievers/execute", json={"stages": [stage], "inputs": {}})
        assert answer.status_code == 422, (name, value, answer.text)


async def test_nothing_is_written_when_one_vector_does_not_fit(opened: Open) -> None:
    client, base = await space_of(opened, vector_configs=[{"name": "v", "dimension": 2}])
    good = {"document_id": "good", "vectors": {"v": [1, 2]}}

    wrong = [good, {"document_id": "bad", "vectors": {"v": [1, 2, 3]}}]
    message = await refused(client, base, wrong)
    assert "bad" in message
    assert "3 dimensions, not the 2 of v" in message
    assert "names no vector" in await refused(client, base, [{"document_id": "a", "vectors": {"w": [1, 2]}}])
    assert "cosine" in await refused(client, base, [{"document_id": "a", "vectors": {"v": [0, 0]}}])
    assert "cosine" in await refused(client, base, [{"document_id": "a", "vectors": {"v": [1e-9, 0]}}])
    assert "65504" in await refused(client, base, [{"document_id": "a", "vectors": {"v": [1e9, 0]}}])
    for value in ([], {}, "x", [True, False], ["1"], [[1, 2], [1]], [1, [2]], {"indices": [1], "values": []}, None):
        await refused(client, base, [{"document_id": "a", "vectors": {"v": value}}])
    raw = '{"documents": [{"document_id": "a", "vectors": {"v": [NaN, Infinity]}}]}'
    assert_envelope(await client.post(f"{base}/documents/upsert", content=raw), 422)
    assert_envelope(await client.post(f"{base}/documents/upsert", json={"documents": [good] * 1001}), 422)
    huge = {"document_id": "a", "vectors": {"v": [1, 2]}, "payload": {"n": 10**30}}
    for options in ({}, {"idempotency_key": "k"}):
        answer = await client.post(f"{base}/documents/upsert", json={"documents": [huge], "options": options})
        assert_envelope(answer, 422)
    assert "65504" in await refused(client, base, [{"document_id": "a", "vectors": {"v": [10**400, 0]}}])
    sparse = {"indices": [10**30], "values": [1]}
    await refused(client, base, [{"document_id": "a", "vectors": {"v": sparse}}])
    await refused(client, base, [{"document_id": "a\u0000", "vectors": {}}])
    assert (await client.get(f"{base}/documents/%00")).status_code == 422
    assert (await client.get("/v1/namespaces/%00/documents/a")).status_code == 422
    assert (await client.get(f"{base}/documents/good")).status_code == 404
    await upsert(client, base, [good])
    assert "are dense" in await refused(client, base, [{"document_id": "a", "vectors": {"v": [[1, 2]]}}])


async def test_dimensions_have_limits(opened: Open) -> None:
    client, base = await space_of(opened)
    random = np.random.default_rng(1)

    await upsert(client, base, [{"document_id": "é" * 256, "vectors": {"v": random.random(16_000).tolist()}}])
    await upsert(client, base, [{"document_id": "x" * 512, "vectors": {"w": random.random(3_600).tolist()}}])
    await upsert(client, base, [{"document_id": "x" * 512, "vectors": {"u": random.random(4_000).tolist()}}])

    assert len(await search(client, "v", random.random(16_000).tolist())) == 1
    long = {"document_id": "b", "vectors": {"z": random.random(16_001).tolist()}}
    assert "at most 16000" in await refused(client, base, [long])
    several = {"document_id": "b", "vectors": {"z": random.random((1, 4_001)).tolist()}}
    assert "at most 4000" in await refused(client, base, [several])


async def test_an_upsert_is_answered_again_when_its_idempotency_key_is(opened: Open) -> None:
    client, base = await space_of(opened)
    documents = [{"document_id": "a", "vectors": {"v": [1, 2]}, "payload": {"n": 1}}]
    options = {"idempotency_key": "k", "write_token": True}

    first, again = await asyncio.gather(*(upsert(client, base, documents, options=options) for _ in range(2)))
    await client.delete("/v1/collections/documents/documents/a")
    third = await upsert(client, base, documents, options=options)

    assert first == again == third
    assert (await client.get(f"{base}/documents/a")).status_code == 404
    body = {"documents": [{"document_id": "a", "vectors": {"v": [1, 3]}}], "options": options}
    assert_envelope(await client.post(f"{base}/documents/upsert", json=body), 409)
    bad = {"documents": [{"document_id": "a", "vectors": {"v": [1]}}], "options": {"idempotency_key": "l"}}
    assert_envelope(await client.post(f"{base}/documents/upsert", json=bad), 422)
    good = {"documents": [{"document_id": "a", "vectors": {"v": [1, 3]}}], "options": {"idempotency_key": "l"}}
    assert (await client.post(f"{base}/documents/upsert", json=good)).status_code == 200


async def test_all_of_one_upsert_stays_when_several_write_the_same_ids(opened: Open) -> None:
    client, base = await space_of(opened)

    def documents(writer: int) -> list[dict[str, Any]]:
        tokens = [[writer + 1, 1]] * (writer + 1)
        vectors = {"v": [writer + 1, 1], "t": tokens, f"only{writer}": [1]}
        ids = [f"d{n}" for n in range(40)][:: -1 if writer % 2 else 1]
        return [{"document_id": one, "vectors": vectors, "payload": {"writer": writer}} for one in ids]

    await asyncio.gather(*(upsert(client, base, documents(writer)) for writer in range(5)))

    body = {"return_vectors": True, "limit": 100}
    found = (await client.post("/v1/documents/list", json=body)).json()["results"]
    assert len(found) == 40
    for document in found:
        writer = document["writer"]
        assert document["v"] == [writer + 1, 1]
        assert len(document["t"]) == writer + 1
        assert [name for name in document if name.startswith("only")] == [f"only{writer}"]


async def test_documents_go_to_the_collection_that_is_named(opened: Open) -> None:
    client, base = await space_of(opened)
    one = {"document_id": "a", "vectors": {"v": [1, 2]}}

    await upsert(client, base, [one], collection_id="col_mine")

    assert (await client.get(f"{base}/documents/a")).json()["collection_id"] == "col_mine"
    elsewhere = {"documents": [one], "collection_id": "other"}
    assert_envelope(await client.post(f"{base}/documents/upsert", json=elsewhere), 409)
    await upsert(client, base, [{**one, "document_id": "b"}], collection_id="other")
    assert len((await client.post("/v1/collections/other/documents/list", json={})).json()["results"]) == 1
    assert len(await search(client, "v", [1, 2])) == 2


async def test_a_namespace_is_refused_when_its_id_is_taken(opened: Open) -> None:
    client, base = await space_of(opened)
    name = base.rpartition("/")[2]

    assert_envelope(await client.post("/v1/namespaces/standalone", json={"namespace_id": name}), 409)
    assert_envelope(await client.post("/v1/namespaces/standalone", json={}), 422)
    storage = {"namespace_id": "elsewhere", "storage": {"connection_id": "conn_1"}}
    assert_envelope(await client.post("/v1/namespaces/standalone", json=storage), 501)
    twice = [{"name": "v", "dimension": 2}] * 2
    body = {"namespace_id": "twice", "vector_configs": twice}
    assert_envelope(await client.post("/v1/namespaces/standalone", json=body), 422)
    managed = (await client.post("/v1/namespaces", json={"namespace_name": "managed"})).json()["namespace_id"]
    await refused(client, f"/v1/namespaces/{managed}", [{"document_id": "a", "vectors": {"v": [1]}}], 400)


async def test_text_finds_documents_when_the_namespace_is_promoted(opened: Open) -> None:
    client, base = await space_of(opened, vector_configs=[{"name": "t", "dimension": 384}])
    await upsert(client, base, [{"document_id": "a", "vectors": {"t": [1.0] + [0.0] * 383}}])
    mapping = {"vector_mappings": [{"existing_index": "t", "inference_service": "all_minilm_l6_v2_v1"}]}
    wrong = {"vector_mappings": [{"existing_index": "nope", "inference_service": "all_minilm_l6_v2_v1"}]}

    parameters = {"searches": [{"feature_uri": "t", "query": "{{INPUT.query}}"}]}
    stage = {
        "stage_name": "s",
        "stage_type": "filter",
        "config": {"stage_id": "feature_search", "parameters": parameters},
    }
    body = {"retriever_name": "text", "stages": [stage], "collection_identifiers": ["documents"]}
    body["input_schema"] = {"query": {"type": "text"}}
    kept = f"/v1/retrievers/{(await client.post('/v1/retrievers', json=body)).json()['retriever_id']}/execute"
    assert_envelope(await client.post(kept, json={"inputs": {"query": "tides"}}), 422)
    dry = (await client.post(f"{base}/promote/validate", json=wrong)).json()
    models.PromoteValidateResponseModel.from_dict(dry)
    assert not dry["valid"]
    assert dry["errors"]
    assert_envelope(await client.post(f"{base}/promote", json=wrong), 422)
    plain = (await client.post(f"{base}/promote/validate")).json()
    assert plain["valid"]
    assert plain["suggestions"][0]["existing_index"] == "t"
    promoted = (await client.post(f"{base}/promote", json=mapping)).json()
    models.PromoteNamespaceResponseModel.from_dict(promoted)

    asked = await client.post(kept, json={"inputs": {"query": "tides"}})
    assert [one["document_id"] for one in asked.json()["documents"]] == ["a"]
    assert promoted["mode"] == "managed"
    assert promoted["vector_inference_map"] == {"t": "all_minilm_l6_v2_v1"}
    assert_envelope(await client.post(f"{base}/promote", json=mapping), 409)
    assert (await client.get(f"{base}/documents/a?return_vectors=true")).json()["t"][0] == 1.0
    await upsert(client, base, [{"document_id": "b", "vectors": {"t": [0.0, 1.0] + [0.0] * 382}}])
    assert len(await search(client, "t", [1.0] + [0.0] * 383)) == 2


async def test_an_end_user_owns_what_he_brings(opened: Open) -> None:
    client, base = await space_of(opened)
    made = await client.post(
        "/v1/organizations/users/admin@localhost/api-keys", json={"name": "ann", "principal_id": "ann"}
    )
    ann = opened.client(made.json()["key"])
    ann.headers["X-Namespace"] = client.headers["X-Namespace"]
    await upsert(client, base, [{"document_id": "theirs", "vectors": {"v": [1, 0], "t": [[1, 0]]}}])

    await upsert(ann, base, [{"document_id": "hers", "vectors": {"v": [0, 1], "t": [[0, 1]]}}])

    assert [d["document_id"] for d in await search(ann, "v", [1, 0])] == ["hers"]
    assert [d["document_id"] for d in await search(ann, "t", [[1, 0]])] == ["hers"]
    assert len(await search(client, "v", [1, 0])) == 2
    listed = {"document_id": "x", "vectors": {}, "acl": {"public": True}}
    await refused(ann, base, [listed], 403)
    await refused(ann, base, [{"document_id": "theirs", "vectors": {}}], 403)
    assert (await ann.get(f"{base}/documents/theirs")).status_code == 404
    await upsert(client, base, [{"document_id": "theirs", "vectors": {}, "acl": {"read": ["ann"]}}])
    assert (await ann.get(f"{base}/documents/theirs")).status_code == 200


async def test_its_tables_and_receipts_go_when_a_namespace_is_deleted(opened: Open) -> None:
    client, base = await space_of(opened)
    vectors = {"v": [1, 0], "t": [[1, 0]], "s": {"indices": [1], "values": [1]}}
    await upsert(client, base, [{"document_id": "a", "vectors": vectors}], options={"idempotency_key": "k"})
    name = base.rpartition("/")[2]
    async with opened.house.db.read() as tx:
        tables = await tx.fetch_all("SELECT table_name FROM vector_indexes WHERE namespace_id = %(n)s", {"n": name})

    task_id = (await client.delete(base)).json()["task_id"]
    await opened.house.namespace_deletion.run(namespace_id=name, task_id=task_id)  # type: ignore[arg-type]

    async with opened.house.db.read() as tx:
        assert len(tables) == 3
        for table in tables:
            assert await tx.fetch_value("SELECT to_regclass(%(t)s)", {"t": table["table_name"]}) is None
        count = "SELECT count(*) FROM upsert_receipts WHERE namespace_id = %(n)s"
        assert await tx.fetch_value(count, {"n": name}) == 0
    again = await client.post("/v1/namespaces/standalone", json={"namespace_id": name})
    assert again.status_code == 200


async def test_another_organization_reaches_nothing_of_it(opened: Open) -> None:
    client, base = await space_of(opened)
    await upsert(client, base, [{"document_id": "a", "vectors": {"v": [1, 0]}}])
    other = opened.client(opened.other_key)
    body = {"documents": [{"document_id": "a", "vectors": {"v": [0, 1]}}]}

    assert_envelope(await other.post(f"{base}/documents/upsert", json=body), 404)
    assert_envelope(await other.get(f"{base}/documents/a"), 404)
    assert_envelope(await other.post(f"{base}/promote"), 404)
    assert_envelope(await other.post(f"{base}/promote/validate"), 404)
    name = base.rpartition("/")[2]
    assert_envelope(await other.post("/v1/namespaces/standalone", json={"namespace_id": name}), 409)
    assert (await client.get(f"{base}/documents/a?return_vectors=true")).json()["v"] == [1, 0]


async def test_a_graph_of_token_vectors_keeps_its_recall(opened: Open) -> None:
    random = np.random.default_rng(11)
    topics = random.standard_normal((60, 12))
    documents = [
        (topics[random.choice(60, 3)][random.integers(3, size=16)] + 0.4 * random.standard_normal((16, 12))).astype(
            np.float16
        )
        for _ in range(700)
    ]
    client, base = await space_of(opened)
    await upsert(
        client,
        base,
        [
            {"document_id": f"d{n}", "vectors": {"t": rows.tolist()}, "payload": {"third": n % 3 == 0}}
            for n, rows in enumerate(documents)
        ],
    )
    name = base.rpartition("/")[2]
    assert len(await build_approximate_indexes(opened.house.db, name)) == 1  # type: ignore[arg-type]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in np.asarray(documents, np.float64)]

    recall = []
    for filters, admitted in ((None, range(700)), ({"field": "third", "value": True}, range(0, 700, 3))):
        for asked in range(8):
            query = unit[asked * 50][:6] + 0.2 * random.standard_normal((6, 12))
            near = query / np.linalg.norm(query, axis=1, keepdims=True)
            scores = {n: float((near @ unit[n].T).max(axis=1).sum()) for n in admitted}
            best = {f"d{n}" for n in sorted(scores, key=lambda n: -scores[n])[:10]}
            given = {} if filters is None else {"filters": filters}
            found = {d["document_id"] for d in await search(client, "t", query.tolist(), **given)}
            recall.append(len(found & best) / 10)
    assert np.mean(recall) >= 0.97
