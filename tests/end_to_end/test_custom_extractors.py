"""The documented package, built and installed, through a running server; a broken one beside it."""

from __future__ import annotations

import base64
import os

from conditions import eventually
from tests.custom_extractors import bring, documented, install
from tests.photos import png
from tests.running import clean_environment

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


def add(api, bucket: str, data: bytes) -> str:
    blob = {"property": "photo", "type": "image", "data": {"base64": base64.b64encode(data).decode()}}
    return api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]


def test_the_documented_extractor_runs_when_a_package_brings_it(private_server, api_of, tmp_path):
    site = install(documented(), tmp_path / "package")
    bring(site, "broken_pack", "import a_module_that_is_not_there\n", "sad_extractor_v1 = broken_pack:DEFINITION")
    path = os.pathsep.join([clean_environment()["PYTHONPATH"], str(site)])
    api = api_of(private_server(PYTHONPATH=path), "custom")

    listed = api.ok("GET", "/v1/extractors?source=custom")
    seen = {one["feature_extractor_id"]: one["validation_status"] for one in listed["extractors"]}
    assert seen == {"colour_extractor_v1": "passed", "sad_extractor_v1": "failed"}
    assert (listed["custom_count"], listed["builtin_count"]) == (2, 0)
    failed = api.ok("GET", f"/v1/namespaces/{api.namespace}/extractors/sad_extractor_v1")
    assert "No module named 'a_module_that_is_not_there'" in failed["description"]

    schema = {"properties": {"photo": {"type": "image"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": schema})["bucket_id"]
    source = {"type": "bucket", "bucket_ids": [bucket]}

    def collection(name: str) -> dict:
        extractor = {"feature_extractor_name": name, "version": "v1", "input_mappings": {"image": "photo"}}
        return {"collection_name": name, "source": source, "feature_extractor": extractor}

    status, answer = api.call("POST", "/v1/collections", collection("sad_extractor"))
    assert (status, answer["error"]["code"]) == (422, "feature_extractor_broken"), answer
    made = api.ok("POST", "/v1/collections", collection("colour_extractor"))
    assert made["vector_indexes"][0]["feature_uri"] == "mixpeek://colour_extractor@v1/colours"

    objects = [add(api, bucket, png("coffee")), add(api, bucket, png("rocket")), add(api, bucket, b"no picture")]
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    at = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{at}/submit", {})
    ended = eventually(lambda: api.ok("GET", at), until=lambda one: one["status"].upper() in TERMINAL)

    assert ended["status"].upper() == "COMPLETED_WITH_ERRORS"
    documents = api.pages("/v1/collections/colour_extractor/documents/list")
    assert [one["input_index"] for one in documents] == [0, 0]
    assert all(len(one["mean_colour"]) == 3 for one in documents)
    bad = api.ok("GET", f"/v1/buckets/{bucket}/objects/{objects[-1]}")
    assert (bad["status"], "image" in bad["error"]) == ("FAILED", True)
