"""A model of a user's own: uploaded, enabled, deployed, used by a batch and by queries, in its namespace alone."""

from __future__ import annotations

import json
import shutil
import urllib.request
from typing import Any

import pytest
from conditions import eventually
from tests.model_archives import form, minilm_archive
from tests.users_models import collection_with, uploaded

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
TEXTS = ("A recipe for bread with rye flour.", "The court dismissed the appeal.", "A cat sleeps on a warm stove.")


def filled(api: Any, model: str) -> dict[str, Any]:
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
    made = api.ok("POST", "/v1/collections", collection_with(model, bucket))
    objects = [
        api.ok(
            "POST", f"/v1/buckets/{bucket}/objects", {"blobs": [{"property": "text", "type": "text", "data": text}]}
        )["object_id"]
        for text in TEXTS
    ]
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    at = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{at}/submit", {})
    ended = eventually(lambda: api.ok("GET", at), until=lambda one: one["status"].upper() in TERMINAL)
    assert ended["status"].upper() == "COMPLETED", ended
    return made


def best(api: Any, made: dict[str, Any], text: str) -> str:
    uri = made["vector_indexes"][0]["feature_uri"]
    parameters = {"searches": [{"feature_uri": uri, "query": {"input_mode": "text", "text": text}, "top_k": 3}]}
    stage = {
        "stage_name": "s",
        "stage_type": "filter",
        "config": {"stage_id": "feature_search", "parameters": parameters},
    }
    body = {"collection_identifiers": [made["collection_id"]], "stages": [stage], "inputs": {}}
    return api.ok("POST", "/v1/retrievers/execute", body)["documents"][0]["text"]


def assert_asked_directly(api: Any, other: Any, model: str, name: str) -> None:
    """Check that a deployed model answers by its id and its name, in its namespace alone."""
    one, two = api.ok("POST", "/v1/inference", {"inference_name": model, "inputs": {"texts": ["one", "two"]}})["data"]
    named = api.ok("POST", "/v1/inference", {"inference_name": name, "inputs": {"text": "two"}})
    assert named["data"] == pytest.approx(two, abs=1e-5)
    assert (named["model"], len(one)) == (model, 384)

    sample = {"inputs": {"text": "two"}, "parameters": {"embedding_model": name}}
    tried = api.ok("POST", "/v1/extractors/text_extractor_v1/test", sample)
    assert tried["parameters"]["embedding_model"] == model
    assert tried["documents"][0]["vectors"][f"mixpeek://text_extractor@v1/{model}"] == pytest.approx(two, abs=1e-5)

    assert other.call("POST", "/v1/inference", {"inference_name": model, "inputs": {"text": "two"}})[0] == 404
    assert other.call("POST", "/v1/extractors/text_extractor_v1/test", sample)[0] == 422


def test_a_model_of_the_organization_serves_the_namespace_that_deployed_it(server, api_of, unique_name):
    api, other = api_of(server, unique_name), api_of(server, f"{unique_name}-other")
    at = f"/v1/namespaces/{api.namespace}/models"
    name = f"m{unique_name.replace('-', '')[:20]}"
    made = uploaded(api, minilm_archive(), name)
    assert (made["success"], made["validation_status"]) == (True, "passed"), made
    model = made["model_id"]

    question = {"inference_name": model, "inputs": {"texts": ["one", "two"]}}
    assert api.call("POST", "/v1/inference", question)[0] == 404
    enabled = api.ok("POST", f"{at}/org/{model}/enable", {})
    status, refused = api.call("POST", "/v1/inference", question)
    assert (status, f"/models/{model}/deploy first" in str(refused)) == (422, True), refused
    assert enabled["deployment_status"] == "not_deployed"
    deployed = api.ok("POST", f"{at}/{model}/deploy")
    assert (deployed["deployment_status"], deployed["cached"]) == ("deployed", False), deployed
    assert api.ok("POST", f"{at}/{model}/deploy")["cached"] is True
    assert_asked_directly(api, other, model, name)
    collection = filled(api, model)

    assert collection["vector_indexes"][0]["feature_uri"] == f"mixpeek://text_extractor@v1/{model}"
    assert best(api, collection, "baking a loaf") == TEXTS[0]
    assert best(api, collection, "a judge decides") == TEXTS[1]

    schema = {"properties": {"text": {"type": "text"}}}
    foreign = other.ok("POST", "/v1/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
    status, refused = other.call("POST", "/v1/collections", collection_with(model, foreign))
    assert (status, "is not available here" in refused["error"]["message"]) == (422, True), refused

    status, refused = api.call("POST", f"{at}/org/{model}/disable")
    assert (status, refused["error"]["details"]["collections"]) == (409, "own"), refused
    status, refused = api.call("DELETE", f"/v1/models/{model}")
    assert (status, refused["error"]["type"]) == (409, "ConflictError"), refused
    api.ok("DELETE", f"/v1/collections/{collection['collection_id']}")
    api.ok("POST", f"{at}/org/{model}/disable")
    api.ok("DELETE", f"/v1/models/{model}")
    assert api.call("GET", f"/v1/models/{model}")[0] == 404


def test_a_form_brings_a_model_of_the_namespace_and_a_broken_one_says_why(server, api_of, unique_name):
    api = api_of(server, unique_name)
    at = f"/v1/namespaces/{api.namespace}/models"

    def send(name: str, data: bytes) -> dict[str, Any]:
        fields = [("name", name), ("version", "1.0.0"), ("model_format", "onnx")]
        body, content_type = form(fields, data)
        headers = {"Authorization": f"Bearer {server.api_key}", "Content-Type": content_type}
        request = urllib.request.Request(f"{server.base_url}{at}", data=body, method="POST", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    whole = send("whole", minilm_archive())
    broken = send("broken", minilm_archive(lambda folder: (folder / "onnx" / "model.onnx").write_bytes(b"no graph")))

    assert whole["deployment_status"] == "not_deployed"
    assert api.ok("POST", f"{at}/{whole['model_id']}/deploy")["deployment_status"] == "deployed"
    failed = api.ok("POST", f"{at}/{broken['model_id']}/deploy")
    assert (failed["success"], failed["deployment_status"]) == (False, "failed")
    assert "INVALID_PROTOBUF" in failed["message"] or "Protobuf" in failed["message"], failed
    assert api.ok("DELETE", f"{at}/{broken['model_id']}")["success"] is True
    assert [one["model_id"] for one in api.ok("GET", at)["models"]] == [whole["model_id"]]


@pytest.mark.slow
def test_a_model_serves_when_files_are_in_a_bucket_and_its_unpacked_folder_is_gone(
    object_storage, private_server, api_of, unique_name
):
    server = private_server(**object_storage.environment(unique_name))
    api = api_of(server, unique_name)
    model = uploaded(api, minilm_archive(), "mine")["model_id"]
    enabled = api.ok("POST", f"/v1/namespaces/{api.namespace}/models/org/{model}/enable", {"deploy": True})
    assert enabled["deployment_status"] == "deployed", enabled

    shutil.rmtree(server.data_dir / "models" / "uploaded")
    collection = filled(api, "mine@1.0.0")

    assert collection["feature_extractor"]["parameters"]["embedding_model"] == model
    assert best(api, collection, "baking a loaf") == TEXTS[0]
    assert list((server.data_dir / "copies").iterdir()) == []
