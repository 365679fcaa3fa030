"""The reference flow through the official client: its generated classes and its hand-written face."""

from __future__ import annotations

import mixpeek
import pytest
from conditions import eventually
from mixpeek.models import (
    BucketCreateRequest,
    CreateBatchRequest,
    CreateCollectionRequest,
    CreateNamespaceRequest,
    CreateObjectRequest,
    CreateRetrieverRequest,
    ExecuteRetrieverRequest,
    SubmitBatchRequest,
)

TERMINAL = {"completed", "completed_with_errors", "failed", "canceled"}
SENTENCES = {
    "cat": "The cat slept all afternoon on the warm window sill.",
    "engine": "A diesel engine compresses air until the fuel ignites by itself.",
    "bread": "Knead the dough for ten minutes and let the bread rise overnight.",
    "moon": "Apollo 11 landed on the Moon in July 1969.",
}


@pytest.fixture
def client(server, unique_name):
    """Generated API classes, in a namespace of their own."""
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    with mixpeek.ApiClient(configuration) as api_client:
        namespace = mixpeek.NamespacesApi(api_client).create_namespace(
            CreateNamespaceRequest.from_dict(
                {
                    "namespace_name": unique_name,
                    "feature_extractors": [{"feature_extractor_name": "text_extractor", "version": "v1"}],
                    "ttl_seconds": 86_400,
                }
            )
        )
        configuration.api_key["NamespaceHeader"] = namespace.namespace_id
        yield api_client


def test_generated_classes_run_the_reference_flow_when_only_the_host_differs(client):
    bucket = mixpeek.BucketsApi(client).create_bucket(
        BucketCreateRequest.from_dict(
            {"bucket_name": "notes", "bucket_schema": {"properties": {"content": {"type": "text"}}}}
        )
    )
    objects = mixpeek.BucketObjectsApi(client)
    created = {
        objects.create_object_buckets(
            bucket.bucket_id,
            CreateObjectRequest.from_dict(
                {"content": text, "blobs": [{"property": "content", "type": "text", "data": text}]}
            ),
        ).object_id: name
        for name, text in SENTENCES.items()
    }
    collections = mixpeek.CollectionsApi(client)
    collection = collections.create_collection(
        CreateCollectionRequest.from_dict(
            {
                "collection_name": "note_chunks",
                "source": {"type": "bucket", "bucket_ids": [bucket.bucket_id]},
                "feature_extractor": {
                    "feature_extractor_name": "text_extractor",
                    "version": "v1",
                    "input_mappings": {"text": "content"},
                    "parameters": {},
                    "field_passthrough": [{"source_path": "content"}],
                },
            }
        )
    )
    batches = mixpeek.BucketBatchesApi(client)
    batch = batches.create_batch_buckets_batches(
        bucket.bucket_id,
        CreateBatchRequest.from_dict(
            {"batch_name": "first", "object_ids": list(created), "collection_ids": [collection.collection_id]}
        ),
    )
    receipt = batches.submit_batch_buckets_batches(
        bucket.bucket_id,
        batch.batch_id,
        submit_batch_request=SubmitBatchRequest.from_dict({"collection_ids": [collection.collection_id]}),
    )
    tasks = mixpeek.TasksApi(client)
    task = eventually(lambda: tasks.get_task(receipt.task_id), until=lambda t: t.status.lower() in TERMINAL)
    assert task.status.lower() == "completed", task.to_json()
    assert batches.get_batch_buckets_batches(bucket.bucket_id, batch.batch_id).documents_written == len(SENTENCES)

    feature_uri = collections.get_collection(collection.collection_id).vector_indexes[0].feature_uri
    retrievers = mixpeek.RetrieversApi(client)
    retriever = retrievers.create_retriever(
        CreateRetrieverRequest.from_dict(
            {
                "retriever_name": "ask",
                "collection_identifiers": [collection.collection_id],
                "input_schema": {"query": {"type": "string", "required": True}},
                "stages": [
                    {
                        "stage_name": "search",
                        "stage_type": "filter",
                        "config": {
                            "stage_id": "feature_search",
                            "parameters": {
                                "searches": [
                                    {
                                        "feature_uri": feature_uri,
                                        "query": {"input_mode": "text", "value": "{{INPUT.query}}"},
                                        "top_k": 10,
                                    }
                                ],
                                "final_top_k": 3,
                            },
                        },
                    }
                ],
            }
        )
    )
    for question, expected in (("a sleepy kitten", "cat"), ("how do I bake", "bread"), ("astronauts", "moon")):
        found = retrievers.execute_retriever(
            retriever.retriever_id, ExecuteRetrieverRequest.from_dict({"inputs": {"query": question}})
        )
        assert found.status == "completed"
        scores = [document["score"] for document in found.documents]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        best = found.documents[0]
        assert created[best["_internal"]["lineage"]["root_object_id"]] == expected
        assert best["content"] == SENTENCES[expected]
        assert best["document_id"].startswith("doc_")


def test_high_level_client_runs_the_reference_flow_when_only_base_url_differs(server, unique_name):
    client = mixpeek.Mixpeek(server.api_key, base_url=f"{server.base_url}/v1")
    namespace = client.namespaces.create(
        namespace_name=unique_name, feature_extractors=[{"feature_extractor_name": "text_extractor", "version": "v1"}]
    )
    client = mixpeek.Mixpeek(server.api_key, namespace=unique_name, base_url=f"{server.base_url}/v1")
    assert namespace.namespace_id in {item["namespace_id"] for item in client.namespaces.list()["results"]}

    bucket = client.buckets.create(bucket_name="notes", bucket_schema={"properties": {"content": {"type": "text"}}})
    assert client.buckets.list()["results"][0]["bucket_id"] == bucket.bucket_id
    for text in SENTENCES.values():
        client.buckets.upload(bucket.bucket_id, data=text, blob_property="content", blob_type="text")
    listed = client.buckets.list_objects(bucket.bucket_id, page_size=2)
    assert len(listed["results"]) == 2
    assert listed["pagination"]["next_cursor"]

    collection = client.collections.create(
        collection_name="note_chunks",
        source={"type": "bucket", "bucket_ids": [bucket.bucket_id]},
        feature_extractor={
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "content"},
            "field_passthrough": ["content"],
        },
    )
    started = client.collections.trigger(collection.collection_id)
    task = eventually(lambda: client.tasks.get(started["task_id"]), until=lambda t: t["status"].lower() in TERMINAL)
    assert task["status"] == "COMPLETED", task

    feature_uri = client.collections.get(collection.collection_id)["vector_indexes"][0]["feature_uri"]
    retriever = client.retrievers.create(
        retriever_name="ask",
        collection_identifiers=["note_chunks"],
        stages=[
            {
                "stage_name": "search",
                "config": {
                    "stage_id": "feature_search",
                    "parameters": {"searches": [{"feature_uri": feature_uri, "query": "{{INPUT.query}}"}]},
                },
            }
        ],
    )
    found = client.retrievers.execute(retriever.retriever_id, inputs={"query": "fuel and pistons"})
    assert found["documents"][0]["content"] == SENTENCES["engine"]
    assert (
        client.search("moon landing", collection=collection.collection_id)["documents"][0]["content"]
        == (SENTENCES["moon"])
    )
    documents = client.documents.list(collection.collection_id, page_size=10)
    assert {document["content"] for document in documents["results"]} == set(SENTENCES.values())
    with pytest.raises(Exception, match="404"):
        client.collections.get("col_missing")
