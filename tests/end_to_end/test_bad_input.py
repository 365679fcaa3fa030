"""What goes wrong is said clearly, and costs nobody else anything."""

from __future__ import annotations

import base64
import http.client
import json
from importlib.util import find_spec
from pathlib import Path

from conditions import eventually

PHOTO = (Path(find_spec("skimage").submodule_search_locations[0]) / "data" / "chelsea.png").read_bytes()


def envelope(answer: tuple[int, dict], status: int) -> dict:
    """Assert the error envelope and return its `error`."""
    assert answer[0] == status, answer
    assert answer[1]["success"] is False
    assert answer[1]["status"] == status
    assert answer[1]["error"]["message"]
    assert answer[1]["error"]["type"].endswith("Error")
    return answer[1]["error"]


def test_unknown_namespace_is_404_when_the_route_is_not_a_list(api):
    error = envelope(api.call("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": {}}, namespace="ns_no"), 404)

    assert "ns_no" in error["message"]


def test_wrong_type_and_unknown_key_name_the_field_when_sent(api):
    error = envelope(api.call("POST", "/v1/buckets", {"bucket_name": 7, "colour": "red"}), 422)

    messages = {".".join(map(str, f["location"])): f["message"] for f in error["details"]["validation_errors"]}
    assert "body.bucket_name" in messages
    assert "Accepted keys" in messages["body.colour"]
    assert "bucket_schema" in messages["body.colour"]


def test_truncated_json_is_422_when_sent(api):
    error = envelope(api.raw("POST", "/v1/buckets", b'{"bucket_name": "x"'), 422)

    assert "JSON" in error["message"]


def test_body_over_the_limit_is_refused_when_declared_and_when_streamed(api, server):
    assert envelope(api.raw("POST", "/v1/buckets", b" " * (33 * 2**20)), 413)

    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.putrequest("POST", "/v1/buckets")
    connection.putheader("Authorization", f"Bearer {server.api_key}")
    connection.putheader("X-Namespace", api.namespace)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    try:
        for _ in range(40):
            connection.send(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        connection.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server may close as soon as the limit is passed; its answer is read below all the same
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert envelope((answer.status, body), 413)


def test_private_and_dead_urls_are_422_when_given_as_blobs(api, web_404):
    bucket = api.ok(
        "POST", "/v1/buckets", {"bucket_name": "u", "bucket_schema": {"properties": {"i": {"type": "image"}}}}
    )
    for url, reason in (("http://169.254.169.254/latest/meta-data/", "private"), (web_404, "404")):
        body = {"blobs": [{"property": "i", "type": "image", "url": url}]}
        error = envelope(api.call("POST", f"/v1/buckets/{bucket['bucket_id']}/objects", body), 422)
        assert error["type"] == "URLValidationError"
        assert url.split("?")[0] in error["message"]
        assert reason in error["message"].lower() or "not allowed" in error["message"].lower()
    assert api.ok("POST", f"/v1/buckets/{bucket['bucket_id']}/objects/list", {})["results"] == []


def test_batch_names_its_bad_rows_when_the_others_finish(api):
    bucket = api.ok(
        "POST",
        "/v1/buckets",
        {
            "bucket_name": "mixed",
            "bucket_schema": {"properties": {"photo": {"type": "image"}, "note": {"type": "text"}}},
        },
    )["bucket_id"]

    def add(photo: bytes | None, note: str) -> str:
        blobs = [{"property": "note", "type": "text", "data": note}]
        if photo is not None:
            encoded = base64.b64encode(photo).decode()
            blobs.append({"property": "photo", "type": "image", "data": f"data:image/png;base64,{encoded}"})
        return api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": blobs})["object_id"]

    good, corrupt, blank = add(PHOTO, "a cat"), add(PHOTO[: len(PHOTO) // 3], "half a cat"), add(PHOTO, "   ")
    for name, extractor, field in (("photos", "image", "photo"), ("notes", "text", "note")):
        api.ok(
            "POST",
            "/v1/collections",
            {
                "collection_name": name,
                "source": {"type": "bucket", "bucket_ids": [bucket]},
                "feature_extractor": {
                    "feature_extractor_name": f"{extractor}_extractor",
                    "version": "v1",
                    "input_mappings": {extractor: field},
                },
            },
        )
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [good, corrupt, blank]})["batch_id"]
    api.ok("POST", f"/v1/buckets/{bucket}/batches/{batch}/submit")
    ended = eventually(
        lambda: api.ok("GET", f"/v1/buckets/{bucket}/batches/{batch}"),
        until=lambda b: b["status"] not in {"QUEUED", "PROCESSING"},
    )

    assert ended["status"] == "COMPLETED_WITH_ERRORS", ended
    assert [failed["object_id"] for failed in ended["failed_objects"]] == [corrupt]
    assert ended["failed_objects"][0]["error_type"] == "permanent"
    assert "image" in ended["failed_objects"][0]["error"].lower()
    rows = api.ok("GET", f"/v1/buckets/{bucket}/batches/{batch}/failed-documents")["results"]
    assert {row["object_id"] for row in rows} == {corrupt}
    photos = api.ok("POST", "/v1/collections/photos/documents/list", {"limit": 10})["results"]
    assert {d["_internal"]["lineage"]["root_object_id"] for d in photos} == {good, blank}
    notes = api.ok("POST", "/v1/collections/notes/documents/list", {"limit": 10})["results"]
    assert {d["_internal"]["lineage"]["root_object_id"] for d in notes} == {good, corrupt}
    audit = api.ok("GET", f"/v1/buckets/{bucket}/batches/{batch}/audit")
    assert audit["all_balanced"] is True
    assert audit["has_lost_objects"] is False


def test_a_long_text_reaches_its_documents_whole_when_it_is_passed_through(api):
    bucket = api.ok(
        "POST", "/v1/buckets", {"bucket_name": "long", "bucket_schema": {"properties": {"note": {"type": "text"}}}}
    )["bucket_id"]
    text = "All of it is kept. " * 8_000
    blobs = [{"property": "note", "type": "text", "data": text}]
    made = api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": blobs})["object_id"]
    api.ok(
        "POST",
        "/v1/collections",
        {
            "collection_name": "notes",
            "source": {"type": "bucket", "bucket_ids": [bucket]},
            "feature_extractor": {
                "feature_extractor_name": "text_extractor",
                "version": "v1",
                "input_mappings": {"text": "note"},
                "field_passthrough": ["note"],
            },
        },
    )
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [made]})["batch_id"]
    api.ok("POST", f"/v1/buckets/{bucket}/batches/{batch}/submit")
    ended = eventually(
        lambda: api.ok("GET", f"/v1/buckets/{bucket}/batches/{batch}"),
        until=lambda b: b["status"] not in {"QUEUED", "PROCESSING"},
    )

    assert ended["status"] == "COMPLETED", ended
    (document,) = api.ok("POST", "/v1/collections/notes/documents/list", {"limit": 10})["results"]
    assert document["note"] == text
