"""A video and a clip of speech through a running server, with the official client: segments, search, download."""

from __future__ import annotations

import base64
import io
import json
import urllib.request

import av
import mixpeek
import pytest
from conditions import eventually
from tests.films import BIKES, film
from tests.speech import clips

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
SPLIT = {"split_method": "scene"}
WRITTEN = {"run_transcription": True, "transcription_language": "en", "run_transcription_embedding": True}


def stored(api, bucket: str, data: bytes, kind: str) -> str:
    blob = {"property": kind, "type": kind, "data": {"base64": base64.b64encode(data).decode()}}
    return api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]


def collected(api, bucket: str, name: str, version: str, **parameters) -> dict:
    extractor = {
        "feature_extractor_name": "multimodal_extractor",
        "version": version,
        "input_mappings": {"video": "video", "audio": "audio"},
        "parameters": parameters,
    }
    source = {"type": "bucket", "bucket_ids": [bucket]}
    body = {"collection_name": name, "source": source, "feature_extractor": extractor}
    return api.ok("POST", "/v1/collections", body)


def processed(api, bucket: str, objects: list[str]) -> dict:
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {})
    return eventually(lambda: api.ok("GET", path), until=lambda b: b["status"].upper() in TERMINAL)


def found(api, collection: dict, uri: str, words: str) -> dict:
    search = {"feature_uri": uri, "query": {"input_mode": "text", "value": "{{INPUT.words}}"}}
    config = {"stage_id": "feature_search", "parameters": {"searches": [search], "final_top_k": 3}}
    body = {
        "retriever_name": f"r{abs(hash((uri, words)))}",
        "collection_identifiers": [collection["collection_id"]],
        "input_schema": {"words": {"type": "text", "required": True}},
        "stages": [{"stage_name": "search", "config": config}],
    }
    retriever = api.ok("POST", "/v1/retrievers", body)["retriever_id"]
    return api.ok("POST", f"/v1/retrievers/{retriever}/execute", {"inputs": {"words": words}})["documents"][0]


@pytest.fixture
def bucket(api):
    schema = {"properties": {"video": {"type": "video"}, "audio": {"type": "audio"}}}
    return api.ok("POST", "/v1/buckets", {"bucket_name": "films", "bucket_schema": schema})["bucket_id"]


def test_a_scene_is_found_by_words_and_downloaded_with_the_official_client(server, api, bucket):
    collection = collected(api, bucket, "scenes", "v1", **SPLIT)

    ended = processed(api, bucket, [stored(api, bucket, BIKES.read_bytes(), "video")])

    assert ended["status"].upper() == "COMPLETED", json.dumps(ended)
    documents = api.pages("/v1/collections/scenes/documents/list")
    assert len(documents) == 6
    assert {one["role"] for one in documents[0]["document_blobs"]} == {"thumbnail", "aux"}
    best = found(api, collection, collection["vector_indexes"][0]["feature_uri"], "a mountain bike")
    assert (best["start_time"], best["end_time"], best["start_frame"]) == (9.68, 10.0, 242)
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    configuration.api_key["NamespaceHeader"] = api.namespace
    with mixpeek.ApiClient(configuration) as client:
        calls = mixpeek.CollectionDocumentsApi(client)
        first = calls.download_document_media("scenes", best["document_id"])
        again = calls.download_document_media("scenes", best["document_id"])
    assert (first.cached, again.cached, first.start_time, first.end_time) == (False, True, 9.68, 10.0)
    with urllib.request.urlopen(again.download_url) as answer, av.open(io.BytesIO(answer.read())) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 8
    shown = api.ok("GET", f"/v1/collections/scenes/documents/{best['document_id']}?return_presigned_urls=true")
    for name in ("thumbnail_url", "source_video_url", "video_segment_url"):
        with urllib.request.urlopen(shown[name]) as answer:
            assert answer.status == 200


def test_speech_is_found_by_what_is_said(api, bucket):
    collection = collected(api, bucket, "talks", "v2", **WRITTEN)
    objects = [stored(api, bucket, one.path.read_bytes(), "audio") for one in clips("en")]

    ended = processed(api, bucket, objects)

    assert ended["status"].upper() == "COMPLETED", json.dumps(ended)
    uris = [one["feature_uri"] for one in collection["vector_indexes"]]
    assert uris[-1] == "mixpeek://multimodal_extractor@v2/all_minilm_l6_v2_v1"
    for uri in (uris[0], uris[-1]):
        assert "fox" in found(api, collection, uri, "an animal leaps")["transcription"]


def test_bad_files_are_named_and_a_silent_one_is_partial(api, bucket, tmp_path):
    collected(api, bucket, "mixed", "v1", **WRITTEN)
    sound = film(tmp_path / "sound.mp4", pictures=False, sound=True).read_bytes()
    silent = stored(api, bucket, film(tmp_path / "silent.mp4").read_bytes(), "video")
    bad = {
        stored(api, bucket, sound, "video"): "no_video_stream",
        stored(api, bucket, BIKES.read_bytes()[:4000], "video"): "media_corrupt",
    }

    ended = processed(api, bucket, [silent, *bad])

    assert ended["status"].upper() == "COMPLETED_WITH_ERRORS", ended
    assert len(api.pages("/v1/collections/mixed/documents/list")) == 1
    path = f"/v1/buckets/{bucket}/batches/{ended['batch_id']}/failed-documents"
    failed = api.ok("GET", path)
    text = str(failed)
    assert all(code in text for code in bad.values()), failed
    assert silent in str(ended["partial_objects"]), ended
