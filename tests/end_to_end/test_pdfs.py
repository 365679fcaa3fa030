"""PDFs through a running server: blocks and pages of a good one, and a named failed row for each bad one beside it."""

from __future__ import annotations

import base64

from conditions import eventually
from tests.pdfs import PARAGRAPHS, deep, locked, page_of, report

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
BAD = {
    "pdf_encrypted": locked(),
    "pdf_corrupt": report()[:1500],
    "pdf_page_too_large": page_of(b"0 0 1000000 1000000"),
    "pdf_page_corrupt": deep(),
}


def collected(api, bucket: str, name: str, extractor: str, field: str, **parameters) -> str:
    body = {
        "collection_name": name,
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {
            "feature_extractor_name": extractor,
            "version": "v1",
            "input_mappings": {field: "file"},
            "parameters": parameters,
        },
    }
    return api.ok("POST", "/v1/collections", body)["collection_id"]


def test_bad_pdfs_are_named_rows_and_spare_the_good_one_when_a_batch_runs(api):
    schema = {"properties": {"file": {"type": "pdf"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "papers", "bucket_schema": schema})["bucket_id"]
    graph = collected(api, bucket, "blocks", "document_graph_extractor", "pdf", thumbnail_mode="full_page")
    pages = collected(api, bucket, "pages", "image_extractor", "image")
    objects = {}
    for name, content in {"good": report(), **BAD}.items():
        blob = {"property": "file", "type": "pdf", "data": {"base64": base64.b64encode(content).decode()}}
        objects[name] = api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [*objects.values()]})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {})

    done = eventually(lambda: api.ok("GET", path), until=lambda one: one["status"].upper() in TERMINAL)

    assert done["status"].upper() == "COMPLETED_WITH_ERRORS"
    failed = api.ok("GET", f"{path}/failed-documents")
    told = str(failed)
    assert all(code in told and objects[code] in told for code in BAD), failed
    assert objects["good"] not in told
    blocks = api.ok("POST", f"/v1/collections/{graph}/documents/list", {"limit": 100})["results"]
    assert all(one["total_pages"] == 3 for one in blocks)
    assert {one["text_raw"] for one in blocks} >= set(PARAGRAPHS)
    shown = api.ok("POST", f"/v1/collections/{pages}/documents/list", {"limit": 100})["results"]
    assert sorted(one["page_number"] for one in shown) == [1, 2, 3]
