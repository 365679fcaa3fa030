"""The official client with vectors of one's own: its hand-written face and its generated classes."""

from __future__ import annotations

import mixpeek
import numpy as np
import pytest
from mixpeek.exceptions import UnprocessableEntityException
from mixpeek.models import BYOUpsertRequest, CreateStandaloneNamespaceRequestModel, PromoteNamespaceRequestModel


def test_the_hand_written_face_upserts_and_searches(server, unique_name):
    client = mixpeek.Mixpeek(server.api_key, base_url=f"{server.base_url}/v1")
    rows = np.random.default_rng(3).standard_normal((50, 8))
    query = rows[7] + 0.01

    made = client.namespaces.create(
        namespace_id=unique_name, vector_configs=[{"name": "clip", "dimension": 8, "metric": "cosine"}]
    )
    stored = client.namespaces.documents.upsert(
        namespace_id=unique_name,
        documents=[
            {"document_id": f"d{n}", "vectors": {"clip": row.tolist()}, "payload": {"n": n}}
            for n, row in enumerate(rows)
        ],
        options={"idempotency_key": "once"},
    )
    queries = [{"vector_name": "clip", "vector": query.tolist(), "top_k": 5}]
    found = client.search(queries=queries, namespace_id=unique_name)
    odd = {"AND": [{"field": "n", "operator": "gt", "value": 7}]}
    filtered = client.search(queries=queries, namespace_id=unique_name, filters=odd)

    assert made["mode"] == "standalone"
    assert stored["inserted"] == 50
    scores = rows @ query / np.linalg.norm(rows, axis=1)
    best = [int(n) for n in np.argsort(-scores)]
    assert [one["n"] for one in found["documents"]] == best[:5]
    assert [one["n"] for one in filtered["documents"]] == [n for n in best if n > 7][:5]
    inside = mixpeek.Mixpeek(server.api_key, namespace=unique_name, base_url=f"{server.base_url}/v1")
    assert inside.retrievers.list()["results"] == []
    assert client.namespaces.promote(unique_name)["mode"] == "managed"


def test_the_generated_classes_make_fill_and_promote_a_namespace(server, unique_name):
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    with mixpeek.ApiClient(configuration) as api_client:
        calls = mixpeek.BYODocumentsApi(api_client)
        made = calls.create_standalone_namespace(CreateStandaloneNamespaceRequestModel(namespace_id=unique_name))
        documents = [
            {"document_id": "a", "vectors": {"v": [0.5, 1.0]}, "payload": {"x": 1}},
            {"document_id": "b", "vectors": {"t": [[1.0, 0.0]], "s": {"indices": [3], "values": [2.0]}}},
        ]
        stored = calls.upsert_documents_byo_namespaces(
            unique_name, BYOUpsertRequest.from_dict({"documents": documents})
        )
        wrong = BYOUpsertRequest.from_dict({"documents": [{"document_id": "c", "vectors": {"v": [1.0]}}]})
        with pytest.raises(UnprocessableEntityException, match="dimension"):
            calls.upsert_documents_byo_namespaces(unique_name, wrong)
        found = calls.get_document_byo_namespaces(unique_name, "a", return_vectors=True)
        dry = calls.validate_promotion_namespaces_id_promote(unique_name, PromoteNamespaceRequestModel())
        promoted = calls.promote_namespace(unique_name, PromoteNamespaceRequestModel())

    assert (made.mode, made.status) == ("standalone", "active")
    assert stored.document_ids == ["a", "b"]
    assert found["v"] == [0.5, 1.0]
    assert dry.valid
    assert (promoted.previous_mode, promoted.mode) == ("standalone", "managed")
