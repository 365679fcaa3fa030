"""Models of a file through the whole product: collections, batches in compute processes, queries, and what changes."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mixpeek
import numpy as np
import pytest
from conditions import eventually
from mixpeek.models import CreateNamespaceRequest
from PIL import Image
from tests.folders import minilm_folder, models_file
from tests.running import RunningServer, launch

_TINY = Path(__file__).parents[1] / "tiny_models"
_FILE = """
[models.my_e5]
kind = "sentence_transformers"
path = "mine"
query_prompt = "query: "
passage_prompt = "passage: "

[models.my_clip]
kind = "clip"
path = "clip"

[defaults]
joint_embedding = "my_clip"
"""
_TEXTS = ("The cat slept on the window sill.", "A diesel engine compresses air.", "Apollo 11 landed on the Moon.")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    minilm_folder(folder / "data" / "mine")
    shutil.copytree(_TINY / "clip", folder / "data" / "clip")
    models_file(folder / "data", _FILE)
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[RunningServer]:
    running = launch(place / "data", {})
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[Any]:
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    with mixpeek.ApiClient(configuration) as api_client:
        named = {
            "namespace_name": "own_models",
            "feature_extractors": [{"feature_extractor_name": "text_extractor", "version": "v1"}],
        }
        made = mixpeek.NamespacesApi(api_client).create_namespace(CreateNamespaceRequest.from_dict(named))
        configuration.api_key["NamespaceHeader"] = made.namespace_id
        yield api_client


class _Calls:
    """Requests of the official client, without its classes, so that a test stays short."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.objects: dict[str, list[str]] = defaultdict(list)

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        configuration = self._client.configuration
        headers = {
            "Authorization": f"Bearer {configuration.access_token}",
            "X-Namespace": configuration.api_key["NamespaceHeader"],
            "Content-Type": "application/json",
        }
        answer = self._client.rest_client.request(method, f"{configuration.host}/v1{path}", headers=headers, body=body)
        answer.read()
        assert answer.status == status, answer.data
        return json.loads(answer.data)

    def collection(self, extractor: str, kind: str, values: list[str], **parameters: Any) -> Any:
        """Make a bucket with objects, and a collection of them."""
        name = f"{extractor}_{len(parameters)}_{kind}"
        schema = {"properties": {"content": {"type": kind}}}
        bucket = self("POST", "/buckets", {"bucket_name": name, "bucket_schema": schema})["bucket_id"]
        for value in values:
            blob = {"property": "content", "type": kind, "data": value}
            made = self("POST", f"/buckets/{bucket}/objects", {"blobs": [blob]})
            self.objects[bucket].append(made["object_id"])
        return self("POST", "/collections", {**_asked(extractor, kind, bucket, parameters), "collection_name": name})

    def run(self, bucket: str) -> dict[str, Any]:
        """Run a batch of the whole bucket to its end."""
        at = f"/buckets/{bucket}/batches"
        batch = self("POST", at, {"object_ids": self.objects[bucket]})["batch_id"]
        self("POST", f"{at}/{batch}/submit", {})
        ended: dict[str, Any] = eventually(
            lambda: self("GET", f"{at}/{batch}"),
            until=lambda shown: shown["status"] not in {"QUEUED", "PROCESSING"},
            timeout_seconds=120,
        )
        return ended

    def search(self, collection: str, uri: str, value: str, *, status: int = 200, mode: str = "text") -> Any:
        """Search one feature by an adhoc retriever."""
        asked = {"feature_uri": uri, "query": {"input_mode": mode, "value": value}, "top_k": 10}
        parameters = {"searches": [asked], "final_top_k": 10}
        stage = {"stage_name": "s", "stage_type": "filter", "config": {"stage_id": "feature_search"}}
        stage["config"]["parameters"] = parameters
        body = {"collection_identifiers": [collection], "stages": [stage], "input_schema": {}, "inputs": {}}
        return self("POST", "/retrievers/execute", body, status=status)


def _asked(extractor: str, kind: str, bucket: str, parameters: dict[str, Any]) -> dict[str, Any]:
    chosen = {
        "feature_extractor_name": extractor,
        "version": "v1",
        "input_mappings": {kind: "content"},
        "parameters": parameters,
    }
    return {"source": {"type": "bucket", "bucket_ids": [bucket]}, "feature_extractor": chosen}


def _picture(seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def test_texts_and_pictures_are_found_by_models_of_the_file_until_these_change(
    place: Path, server: RunningServer, client: Any
) -> None:
    call = _Calls(client)
    texts = call.collection("text_extractor", "text", list(_TEXTS), embedding_model="my_e5")
    pictures = call.collection("image_extractor", "image", [_picture(seed) for seed in range(3)])
    (text_index,) = texts["vector_indexes"]
    assert text_index["feature_uri"] == "mixpeek://text_extractor@v1/my_e5"
    picture_index = pictures["vector_indexes"][0]
    assert picture_index["feature_uri"] == "mixpeek://image_extractor@v1/my_clip"
    assert (picture_index["index"]["dimensions"], picture_index["index"]["model"]) == (12, "my_clip")
    assert pictures["feature_extractor"]["parameters"]["embedding_model"] == "my_clip"
    buckets = {one["collection_id"]: one["source"]["bucket_ids"][0] for one in (texts, pictures)}
    for bucket in buckets.values():
        assert call.run(bucket)["status"] == "COMPLETED"

    found = call.search(texts["collection_id"], text_index["feature_uri"], "a feline")["documents"]
    assert found[0]["text"] == _TEXTS[0]
    expected = json.loads((_TINY / "clip" / "expected.json").read_text())
    found = call.search(pictures["collection_id"], picture_index["feature_uri"], expected["texts"][0])["documents"]
    order = np.asarray(expected["image"]) @ np.asarray(expected["text"][0])
    scores = sorted((float(one["score"]) for one in found), reverse=True)
    assert np.allclose(scores, np.sort(order)[::-1], atol=2e-3)
    found = call.search(pictures["collection_id"], picture_index["feature_uri"], _picture(1), mode="content")
    assert found["documents"][0]["score"] > 0.999

    server.stop()
    (place / "data" / "models.toml").write_text(_FILE.replace('"passage: "', '""'))
    again = server.again()
    try:
        again.wait_until_healthy()
        error = call.search(texts["collection_id"], text_index["feature_uri"], "a feline", status=409)["error"]
        assert "were made by a my_e5 with other files or settings" in error["message"]
        at = f"/buckets/{buckets[texts['collection_id']]}/batches"
        wanted = {"object_ids": call.objects[buckets[texts["collection_id"]]]}
        batch = call("POST", at, wanted)["batch_id"]
        assert "my_e5" in call("POST", f"{at}/{batch}/submit", {}, status=409)["error"]["message"]
        body = _asked("text_extractor", "text", buckets[texts["collection_id"]], {"embedding_model": "my_e5"})
        call("POST", "/collections", {**body, "collection_name": "another"}, status=409)
        call.search(pictures["collection_id"], picture_index["feature_uri"], "cat")
    finally:
        again.stop()
