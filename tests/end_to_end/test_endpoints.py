"""Models behind a server of one's own, through a running warehouse and the official client."""

from __future__ import annotations

import base64
import json
import threading

import mixpeek
import pytest
from conditions import eventually
from mixpeek.models import CreateBatchRequest, CreateCollectionRequest, SubmitBatchRequest
from tests.openai_server import openai_server
from tests.photos import png
from tests.running import Api

KEY = "sk-very-secret-0123456789"
NAMES = ("rocket", "coffee", "chelsea", "flower", "china", "astronaut")
TEXTS = tuple(f"Note {number}: " + "a cat sleeps on the mat. " * number for number in range(1, 9))
SHAPE = {
    "type": "object",
    "properties": {"words": {"type": "integer"}, "mood": {"type": "string", "enum": ["calm", "glad"]}},
    "required": ["words", "mood"],
}
TABLES = """
[models.far]
kind = "openai_embeddings"
url = "{url}"
model = "minilm"
api_key_env = "FAR_KEY"
dimensions = 384
attempts = 1

[models.seer]
kind = "openai_chat"
url = "{url}"
model = "seer"
api_key_env = "FAR_KEY"
vision = true
attempts = 1
"""


@pytest.fixture
def models(tmp_path):
    (tmp_path / "cache").mkdir()
    with openai_server(tmp_path / "cache") as running:
        running.key = KEY
        yield running


@pytest.fixture
def warehouse(models, private_server, tmp_path):
    file = tmp_path / "my-models.toml"
    file.write_text(TABLES.format(url=models.url))
    return private_server(
        PRISMHOUSE_INFERENCE__MODELS_FILE=str(file),
        PRISMHOUSE_WORKER__RETRY_SECONDS="0.3",
        PRISMHOUSE_WORKER__MAX_ATTEMPTS="7",
        FAR_KEY=KEY,
    )


def filled(api, schema_type: str, given: list[bytes]) -> tuple[str, list[str]]:
    schema = {"properties": {schema_type: {"type": schema_type}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": f"{schema_type}s", "bucket_schema": schema})["bucket_id"]
    objects = []
    for data in given:
        value = data.decode() if schema_type == "text" else {"base64": base64.b64encode(data).decode()}
        blob = {"property": schema_type, "type": schema_type, "data": value}
        objects.append(api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"])
    return bucket, objects


def wanted(name: str, bucket: str, extractor: str, kind: str, parameters: dict) -> dict:
    return {
        "collection_name": name,
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {
            "feature_extractor_name": extractor,
            "version": "v1",
            "input_mappings": {kind: kind},
            "parameters": {"extractor_type": extractor, **parameters},
        },
    }


def official(server, api):
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    configuration.api_key["NamespaceHeader"] = api.namespace
    return mixpeek.ApiClient(configuration)


def submitted(client, bucket: str, objects: list[str]) -> str:
    batches = mixpeek.BucketBatchesApi(client)
    batch = batches.create_batch_buckets_batches(bucket, CreateBatchRequest.from_dict({"object_ids": objects}))
    batches.submit_batch_buckets_batches(bucket, batch.batch_id, submit_batch_request=SubmitBatchRequest.from_dict({}))
    return batch.batch_id


def ended(api, bucket: str, batch: str) -> dict:
    done = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    return eventually(lambda: api.ok("GET", path), until=lambda b: b["status"].upper() in done)


@pytest.mark.slow
def test_pictures_are_described_and_nothing_is_lost_when_the_server_goes_and_comes_back(models, warehouse, api_of):
    api = api_of(warehouse, "pictures")
    bucket, objects = filled(api, "image", [png(name) for name in NAMES])
    down = threading.Event()

    def goes(handler, body) -> bool:
        if len(models.asked) < 3 or down.is_set():
            return False
        down.set()
        handler.close_connection = True
        threading.Thread(target=models.stop).start()
        return True

    models.behave = goes
    parameters = {
        "run_video_description": True,
        "run_description_embedding": True,
        "response_shape": {"type": "object", "properties": {"seen": {"type": "string"}}},
    }
    with official(warehouse, api) as client:
        body = wanted("described", bucket, "multimodal_extractor", "image", parameters)
        mixpeek.CollectionsApi(client).create_collection(CreateCollectionRequest.from_dict(body))
        batch = submitted(client, bucket, objects)
    assert down.wait(60)
    journal = f"/v1/buckets/{bucket}/batches/{batch}/logs"
    eventually(lambda: json.dumps(api.call("GET", journal)), until=lambda told: "rows.retried" in told)
    models.start()

    shown = ended(api, bucket, batch)

    assert shown["status"].upper() == "COMPLETED", shown
    documents = api.pages("/v1/collections/described/documents/list")
    assert len(documents) == len(NAMES)
    assert all(one["description"].startswith("1 picture of ") for one in documents)
    assert all(one["json_output"]["seen"] == one["description"] for one in documents)
    assert len({one["description"] for one in documents}) >= 5
    listed = api.ok("GET", "/v1/collections/described")["vector_indexes"]
    assert [one["name"] for one in listed][-1] == "multimodal_extractor_v1_description_embedding"
    assert KEY not in warehouse.log()


def test_texts_are_shaped_embedded_and_found_and_the_key_is_nowhere(models, warehouse, api_of):
    api = api_of(warehouse, "notes")
    bucket, objects = filled(api, "text", [text.encode() for text in TEXTS])
    parameters = {"embedding_model": "far", "response_shape": SHAPE, "llm_model": "seer"}
    with official(warehouse, api) as client:
        body = wanted("shaped", bucket, "text_extractor", "text", parameters)
        collection = mixpeek.CollectionsApi(client).create_collection(CreateCollectionRequest.from_dict(body))
        shown = ended(api, bucket, submitted(client, bucket, objects))

    assert shown["status"].upper() == "COMPLETED", shown
    documents = api.pages("/v1/collections/shaped/documents/list")
    assert sorted(one["words"] for one in documents) == sorted(len(text.split()) for text in TEXTS)
    assert {one["mood"] for one in documents} <= {"calm", "glad"}
    uri = collection.vector_indexes[0].feature_uri
    assert uri == "mixpeek://text_extractor@v1/far"
    search = {"feature_uri": uri, "query": {"input_mode": "text", "value": "{{INPUT.words}}"}}
    config = {"stage_id": "feature_search", "parameters": {"searches": [search], "final_top_k": 3}}
    retriever = {
        "retriever_name": "ask",
        "collection_identifiers": ["shaped"],
        "input_schema": {"words": {"type": "text", "required": True}},
        "stages": [{"stage_name": "search", "config": config}],
    }
    made = api.ok("POST", "/v1/retrievers", retriever)["retriever_id"]
    found = api.ok("POST", f"/v1/retrievers/{made}/execute", {"inputs": {"words": "a sleepy kitten"}})
    assert "cat" in found["documents"][0]["text"]

    models.key = "another"
    status, refused = api.call("POST", f"/v1/retrievers/{made}/execute", {"inputs": {"words": "unheard of"}})
    blob = {"property": "text", "type": "text", "data": "One more note."}
    more = api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]
    again = ended(api, bucket, submitted_by(api, bucket, [more]))
    failures = api.ok("GET", f"/v1/buckets/{bucket}/batches/{again['batch_id']}/failed-documents")
    assert (status, again["status"].upper()) == (503, "FAILED")
    assert "FAR_KEY is not accepted" in json.dumps(failures)
    assert KEY not in json.dumps([status, refused, again, failures])
    warehouse.stop()
    files = [path for path in warehouse.data_dir.rglob("*") if path.is_file()]
    assert [str(path) for path in (*files, warehouse.log_file) if KEY.encode() in path.read_bytes()] == []


def submitted_by(api, bucket: str, objects: list[str]) -> str:
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    api.ok("POST", f"/v1/buckets/{bucket}/batches/{batch}/submit", {})
    return batch


def test_it_is_said_before_a_batch_starts_when_the_model_is_configured_no_more(
    models, warehouse, private_server, api_of
):
    api = api_of(warehouse, "gone")
    bucket, objects = filled(api, "text", [b"one text"])
    body = wanted("shaped", bucket, "text_extractor", "text", {"embedding_model": "far", "response_shape": "mood"})
    api.ok("POST", "/v1/collections", body)
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    warehouse.stop()

    without = Api(private_server(data_dir=warehouse.data_dir), api.namespace)
    status, told = without.call("POST", f"/v1/buckets/{bucket}/batches/{batch}/submit", {})
    created, refused = without.call(
        "POST", "/v1/collections", wanted("more", bucket, "text_extractor", "text", {"response_shape": "mood"})
    )

    assert (status, created) == (503, 422)
    assert "there is no model far" in told["error"]["message"].lower()
    for answer in (told, refused):
        assert "PRISMHOUSE_INFERENCE__MODELS_FILE" in answer["error"]["message"]
    assert "response_shape" in refused["error"]["message"]
    assert "openai_chat" in refused["error"]["message"]
    assert without.ok("GET", f"/v1/buckets/{bucket}/batches/{batch}")["status"].upper() == "DRAFT"
    assert models.asked == []
