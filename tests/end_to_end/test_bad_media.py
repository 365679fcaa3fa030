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
    kind_of = {collected(api, bucket, kind): kind for kind in EXTRACTORS}
    objects, expected = stored(api, bucket)
    codes = {
        "image_too_large",
        "image_too_small",
        "image_corrupt",
        "pdf_corrupt",
        "pdf_encrypted",
        "pdf_page_too_large",
    }
    assert set(expected.values()) >= codes | {"media_corrupt", "no_video_stream", "no_audio_stream"}
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {})

    ended = eventually(lambda: api.ok("GET", path), until=lambda one: one["status"].upper() in TERMINAL)

    assert ended["status"].upper() == "COMPLETED_WITH_ERRORS", ended
    rows = api.ok("GET", f"{path}/failed-documents?limit=100")["results"]
    assert {(row["object_id"], kind_of[row["collection_id"]]): row["code"] for row in rows} == expected
    assert {row["error_type"] for row in rows} == {"permanent"}
    for kind in EXTRACTORS:
        documents = api.pages(f"/v1/collections/of_{kind}/documents/list")
        made = {document["_internal"]["lineage"]["root_object_id"] for document in documents}
        assert made == {one for one in objects if (one, kind) not in expected}
    audit = api.ok("GET", f"{path}/audit")
    assert (audit["all_balanced"], audit["has_lost_objects"]) == (True, False)


def collected(api, bucket: str, kind: str) -> str:
    extractor, parameters = EXTRACTORS[kind]
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
    return api.ok("POST", "/v1/collections", body)["collection_id"]


def stored(api, bucket: str) -> tuple[list[str], dict[tuple[str, str], str]]:
    """Store objects of a file of each kind, a good one and others of which each has a bad file wherever one is left.

    Returns them, and the code by object and kind. What is empty, or plainly of another kind, is refused at once.
    """
    waiting = {kind: [] for kind in EXTRACTORS}
    for kind, cases in bad_files().items():
        for data, code in cases.values():
            status, answer = sent(api, bucket, {kind: data})
            if status == 200:
                waiting[kind].append((data, code))
            else:
                assert (status, code in {"empty_file", "media_type_mismatch"}) == (422, True), answer
                assert ("is empty" if not data else "media_type_mismatch") in str(answer)
    status, good = sent(api, bucket, good_files())
    assert status == 200, good
    objects, expected = [good["object_id"]], {}
    while any(waiting.values()):
        bad = {kind: left.pop() for kind, left in waiting.items() if left}
        status, made = sent(api, bucket, {**good_files(), **{kind: data for kind, (data, _) in bad.items()}})
        assert status == 200, made
        objects.append(made["object_id"])
        expected |= {(made["object_id"], kind): code for kind, (_, code) in bad.items()}
    return objects, expected


def sent(api, bucket: str, files) -> tuple[int, dict]:
    blobs = [
        {"property": kind, "type": kind, "data": {"base64": base64.b64encode(data).decode()}}
        for kind, data in files.items()
    ]
    return api.call("POST", f"/v1/buckets/{bucket}/objects", {"blobs": blobs})
