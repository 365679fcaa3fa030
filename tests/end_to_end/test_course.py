"""A lecture, a paper and an archive, and files of every kind, through a running server with the official client."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path

import mixpeek
import pytest
from conditions import eventually
from tests.films import BIKES
from tests.lectures import SUBTITLES, lecture, paper, zipped
from tests.pdfs import report
from tests.photos import png
from tests.speech import clips

pytestmark = pytest.mark.slow

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


def stored(api, bucket: str, **files: bytes) -> str:
    kinds = {"srt": "text", "code": "binary", "file": "binary"}
    blobs = [
        {"property": name, "type": kinds.get(name, name), "data": {"base64": base64.b64encode(data).decode()}}
        for name, data in files.items()
    ]
    return api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": blobs})["object_id"]


def collected(api, bucket: str, name: str, extractor: str, mappings: dict, **parameters) -> dict:
    body = {
        "collection_name": name,
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {
            "feature_extractor_name": extractor,
            "version": "v1",
            "input_mappings": mappings,
            "parameters": parameters,
        },
    }
    return api.ok("POST", "/v1/collections", body)


def processed(api, bucket: str, objects: list[str]) -> dict:
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {})
    return eventually(lambda: api.ok("GET", path), until=lambda b: b["status"].upper() in TERMINAL)


@pytest.fixture
def client(server, api):
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    configuration.api_key["NamespaceHeader"] = api.namespace
    with mixpeek.ApiClient(configuration) as opened:
        yield opened


def found(client, collection: dict, uri: str, words: str) -> dict:
    """Return the first answer to a text query, by the official client."""
    retrievers = mixpeek.RetrieversApi(client)
    search = {"feature_uri": uri, "query": {"input_mode": "text", "value": "{{INPUT.words}}"}}
    config = {"stage_id": "feature_search", "parameters": {"searches": [search], "final_top_k": 3}}
    body = {
        "retriever_name": f"r{abs(hash((uri, words)))}",
        "collection_identifiers": [collection["collection_id"]],
        "input_schema": {"words": {"type": "text", "required": True}},
        "stages": [{"stage_name": "search", "config": config}],
    }
    made = retrievers.create_retriever(mixpeek.CreateRetrieverRequest.from_dict(body))
    request = mixpeek.ExecuteRetrieverRequest.from_dict({"inputs": {"words": words}})
    answer = retrievers.execute_retriever(made.retriever_id, execute_retriever_request=request)
    return answer.to_dict()["documents"][0]


def test_a_course_is_found_by_segment_element_and_function(api, client, tmp_path):
    schema = {
        "properties": {
            "video": {"type": "video"},
            "srt": {"type": "text"},
            "pdf": {"type": "pdf"},
            "code": {"type": "binary"},
        }
    }
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "course", "bucket_schema": schema})["bucket_id"]
    mappings = {"video": "video", "srt": "srt", "pdf": "pdf", "code_archive": "code"}
    collection = collected(
        api,
        bucket,
        "units",
        "course_content_extractor",
        mappings,
        target_segment_duration_ms=30_000,
        min_segment_duration_ms=10_000,
    )
    film = lecture(tmp_path / "lecture.mp4").read_bytes()
    good = [
        stored(api, bucket, video=film, srt=SUBTITLES.encode()),
        stored(api, bucket, pdf=paper()),
        stored(api, bucket, code=zipped(Path(json.__file__).parent, "decoder.py")),
    ]
    bad = stored(api, bucket, code=b"PK\x03\x04" + bytes(60))

    ended = processed(api, bucket, [*good, bad])

    assert ended["status"].upper() == "COMPLETED_WITH_ERRORS", json.dumps(ended)
    failed = api.ok("GET", f"/v1/buckets/{bucket}/batches/{ended['batch_id']}/failed-documents")
    assert "archive_corrupt" in str(failed)
    assert bad in str(failed)
    text, code = (one["feature_uri"] for one in collection["vector_indexes"])
    segment = found(client, collection, text, "how plants make sugar")
    assert (segment["doc_type"], segment["title"]) == ("video", "Photosynthesis")
    assert found(client, collection, text, "sorting a list in place")["page_number"] == 0
    function = found(client, collection, code, "decode a document that starts at an index")
    assert (function["title"], function["unit_type"]) == ("decoder.py: JSONDecoder.raw_decode", "function")
    shown = api.ok("GET", f"/v1/collections/units/documents/{segment['document_id']}?return_presigned_urls=true")
    with urllib.request.urlopen(shown["thumbnail"]) as answer:
        assert answer.status == 200
    written = {one["document_id"] for one in api.pages("/v1/collections/units/documents/list")}
    again = processed(api, bucket, good)
    assert again["status"].upper() == "COMPLETED"
    assert {one["document_id"] for one in api.pages("/v1/collections/units/documents/list")} == written


def test_any_file_is_found_by_words_in_one_space(api, client):
    schema = {"properties": {"file": {"type": "binary"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "anything", "bucket_schema": schema})["bucket_id"]
    collection = collected(api, bucket, "all", "universal_extractor", {"content": "file"}, max_document_pages=2)
    files = {
        "image": png("coffee"),
        "video": BIKES.read_bytes(),
        "audio": next(one.path.read_bytes() for one in clips("en") if "fox" in one.transcript),
        "document": report(),
        "text": b"Mix flour and water, let the dough rest, and bake the bread.",
    }
    objects = [stored(api, bucket, file=data) for data in files.values()]
    bad = stored(api, bucket, file=b"PK\x03\x04" + bytes(26) + b"word/document.xml")

    ended = processed(api, bucket, [*objects, bad])

    assert ended["status"].upper() == "COMPLETED_WITH_ERRORS", json.dumps(ended)
    assert ended["pages_dropped"] == 1
    assert ended["pages_dropped_reasons"] == {"max_document_pages_cap": 1}
    failed = api.ok("GET", f"/v1/buckets/{bucket}/batches/{ended['batch_id']}/failed-documents")
    assert "unsupported_file" in str(failed)
    uri = collection["vector_indexes"][0]["feature_uri"]
    for words, modality in {
        "a cup of coffee": "image",
        "mountain bike": "video",
        "an animal leaps over a dog": "audio",
        "lexical and vector search": "document",
        "how do I bake": "document",
    }.items():
        assert found(client, collection, uri, words)["modality"] == modality
