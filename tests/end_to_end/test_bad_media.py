"""One batch of everything that cannot be read beside good files: exactly the bad ones fail, each by its name."""

from __future__ import annotations

import base64

from conditions import eventually
from tests.bad_media import bad_files, good_files

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
EXTRACTORS = {
    "image": ("image_extractor", {}),
    "pdf": ("document_graph_extractor", {"use_layout_detection": False, "generate_thumbnails": False}),
    "video": ("multimodal_extractor", {"enable_thumbnails": False}),
    "audio": ("audio_fingerprint_extractor", {}),
    "text": ("text_extractor", {}),
}


def test_exactly_the_bad_files_of_a_batch_fail_each_by_its_name(api):
    schema = {"properties": {kind: {"type": kind} for kind in EXTRACTORS}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "all", "bucket_schema": schema})["bucket_id"]
    for kind, (extractor, parameters) in EXTRACTORS.items():
        body = {
            "collection_name": f"of_{kind}",
            "source": {"type": "bucket", "bucket_ids": [bucket]},
            "feature_extractor": {
                "feature_extractor_name": extractor,
                "version": "v1",
                "input_mappings": {kind: kind},
                "parameters": parameters,
            },
        }
        api.ok("POST", "/v1/collections", body)
    bad, good = {}, {}
    for kind in EXTRACTORS:
        good[stored(api, bucket, kind, good_files()[kind])] = kind
        for what, (data, code) in bad_files()[kind].items():
            bad[stored(api, bucket, kind, data)] = (kind, what, code)
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [*bad, *good]})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {})

    ended = eventually(lambda: api.ok("GET", path), until=lambda one: one["status"].upper() in TERMINAL)

    assert ended["status"].upper() == "COMPLETED_WITH_ERRORS", ended
    rows = api.ok("GET", f"{path}/failed-documents?limit=100")["results"]
    assert {row["object_id"] for row in rows} == set(bad)
    told = {row["object_id"]: str(row) for row in rows}
    missing = [bad[one] for one in bad if bad[one][2] not in told[one]]
    assert not missing, missing
    assert all("permanent" in told[one] for one in bad)
    for one, kind in good.items():
        documents = api.pages(f"/v1/collections/of_{kind}/documents/list")
        assert {document["_internal"]["lineage"]["root_object_id"] for document in documents} == {one}
    audit = api.ok("GET", f"{path}/audit")
    assert (audit["all_balanced"], audit["has_lost_objects"]) == (True, False)


def stored(api, bucket: str, kind: str, data: bytes) -> str:
    blob = {"property": kind, "type": kind, "data": {"base64": base64.b64encode(data).decode()}}
    return api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]
