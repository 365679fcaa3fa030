"""Uploads as clients do them: the published flow word for word, and a hundred at once, on every storage."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import mixpeek
import pytest
from conditions import eventually
from mixpeek.models import (
    BatchConfirmRequest,
    BatchUploadRequest,
    BucketCreateRequest,
    ConfirmUploadRequest,
    CreateCollectionRequest,
    CreateNamespaceRequest,
    CreateObjectRequest,
    CreateUploadRequest,
)

PHOTO = Path(find_spec("skimage").submodule_search_locations[0]) / "data" / "rocket.jpg"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f0003860180"
    "5a347d6b0000000049454e44ae426082"
)
ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"}
STORAGES = ("local", "s3")


@pytest.fixture(params=STORAGES)
def storage_server(request):
    """A server whose files are on one kind of storage; another kind joins with a line in `STORAGES`."""
    if request.param == "local":
        return request.getfixturevalue("server")
    return request.getfixturevalue("server_on_s3")


@pytest.fixture
def client(storage_server, unique_name):
    """Generated API classes, in a namespace of their own."""
    configuration = mixpeek.Configuration(host=storage_server.base_url, access_token=storage_server.api_key)
    with mixpeek.ApiClient(configuration) as api_client:
        made = mixpeek.NamespacesApi(api_client).create_namespace(
            CreateNamespaceRequest.from_dict({"namespace_name": unique_name, "feature_extractors": []})
        )
        configuration.api_key["NamespaceHeader"] = made.namespace_id
        yield api_client


def curl(server, method, path, body=None, namespace=None, *more):
    """Run curl as the page shows it and return the parsed answer."""
    command = ["curl", "-sS", "-X", method, f"{server.base_url}{path}", "-H", f"Authorization: Bearer {server.api_key}"]
    if namespace:
        command += ["-H", f"X-Namespace: {namespace}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return json.loads(subprocess.run([*command, *more], capture_output=True, check=True, timeout=60).stdout)


def put(upload, data):
    """PUT bytes to the signed URL with nothing but their type; return the ETag."""
    request = urllib.request.Request(
        upload.presigned_url, data=data, method="PUT", headers={"Content-Type": upload.content_type}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
        return answer.headers["ETag"]


def ended(client, task_id):
    """Return the task when it has ended."""
    tasks = mixpeek.TasksApi(client)
    return eventually(lambda: tasks.get_task(task_id), until=lambda task: task.status in ENDED, timeout_seconds=60)


def test_curl_uploads_and_confirms_a_photo_when_only_the_host_differs(storage_server, unique_name):
    namespace = curl(
        storage_server,
        "POST",
        "/v1/namespaces",
        {
            "namespace_name": unique_name,
            "feature_extractors": [{"feature_extractor_name": "multimodal_extractor", "version": "v1"}],
        },
    )["namespace_id"]
    bucket = curl(
        storage_server,
        "POST",
        "/v1/buckets",
        {
            "bucket_name": "product-catalog",
            "bucket_schema": {
                "properties": {
                    "product_text": {"type": "text", "required": True},
                    "hero_image": {"type": "image"},
                }
            },
        },
        namespace,
    )["bucket_id"]
    uploads = f"/v1/buckets/{bucket}/uploads"

    upload = curl(storage_server, "POST", uploads, {"filename": "photo.jpg", "content_type": "image/jpeg"}, namespace)
    put_photo = ["curl", "-sS", "-f", "-X", "PUT", upload["presigned_url"], "-H", "Content-Type: image/jpeg"]
    subprocess.run([*put_photo, "--data-binary", f"@{PHOTO}"], check=True, timeout=60)
    confirmed = curl(storage_server, "POST", f"/v1/uploads/{upload['upload_id']}/confirm", None, namespace)
    again = curl(storage_server, "POST", f"{uploads}/{upload['upload_id']}/confirm", None, namespace)
    made = curl(storage_server, "GET", f"/v1/buckets/{bucket}/objects/{confirmed['object_id']}", None, namespace)

    assert confirmed["status"] == "COMPLETED", confirmed
    assert again == confirmed
    blob = made["blobs"][0]
    assert (blob["property"], blob["details"]["size_bytes"]) == ("hero_image", PHOTO.stat().st_size)
    assert blob["details"]["mime_type"] == "image/jpeg"


def test_the_official_client_uploads_confirms_and_downloads(client):
    bucket = _bucket(client)
    uploads = mixpeek.BucketUploadsApi(client)
    upload = uploads.create_upload_buckets(
        bucket,
        CreateUploadRequest(
            filename="rocket.jpg",
            content_type="image/jpeg",
            file_size_bytes=PHOTO.stat().st_size,
            object_metadata={"name": "rocket"},
        ),
    )
    etag = put(upload, PHOTO.read_bytes())

    started = uploads.confirm_upload_buckets(
        bucket, upload.upload_id, var_async=True, confirm_upload_request=ConfirmUploadRequest(etag=etag)
    )
    task = ended(client, started.task_id)
    confirmed = uploads.confirm_upload_buckets(bucket, upload.upload_id)
    linked = uploads.get_upload_buckets(bucket, upload.upload_id, return_presigned_urls=True)

    assert (started.status, task.status, confirmed.status) == ("PROCESSING", "COMPLETED", "COMPLETED")
    assert task.additional_data["object_id"] == confirmed.object_id
    with urllib.request.urlopen(linked["presigned_url"], timeout=60) as answer:
        assert answer.read() == PHOTO.read_bytes()
        assert answer.headers["ETag"].strip('"') == etag.strip('"')


def test_a_task_says_what_a_file_is_when_it_is_not_what_its_name_says(client):
    bucket = _bucket(client, {"paper": {"type": "pdf"}})
    uploads = mixpeek.BucketUploadsApi(client)
    upload = uploads.create_upload_buckets(
        bucket, CreateUploadRequest(filename="paper.pdf", content_type="application/pdf")
    )
    put(upload, PNG)

    started = uploads.confirm_upload_buckets(bucket, upload.upload_id, var_async=True)
    task = ended(client, started.task_id)

    assert task.status == "FAILED"
    assert task.additional_data["error"] == "Invalid file format: Expected PDF, got PNG"


@pytest.mark.timeout(180)
def test_ninety_four_objects_come_of_a_hundred_confirmations_when_six_are_at_fault(client):
    whole, etags = _hundred(client)
    damaged, wrong = _hundred(client, absent={10, 11})
    for place in (3, 50, 99):
        wrong[place] = '"00000000000000000000000000000000"'
    items = _items(damaged, wrong)
    items[70]["upload_id"] = "upl_0000000000000000"

    first = _confirm(client, whole, _items(whole, etags))
    second = _confirm(client, damaged, items)

    assert (first.status, len(first.outputs)) == ("COMPLETED", 100)
    assert _count(client, whole[0].bucket_id) == 100
    assert second.status == "COMPLETED_WITH_ERRORS"
    faults = {
        place: output["error"]["code"] for place, output in enumerate(map(_plain, second.outputs)) if output["error"]
    }
    assert faults == {
        3: "etag_mismatch",
        10: "upload_file_missing",
        11: "upload_file_missing",
        50: "etag_mismatch",
        70: "upload_not_found",
        99: "etag_mismatch",
    }
    assert _count(client, damaged[0].bucket_id) == 94


def _bucket(client, properties=None):
    schema = {"properties": properties or {"photo": {"type": "image"}, "name": {"type": "string"}}}
    request = BucketCreateRequest.from_dict({"bucket_name": f"b{len(str(properties))}", "bucket_schema": schema})
    return mixpeek.BucketsApi(client).create_bucket(request).bucket_id


def _hundred(client, *, absent=frozenset()):
    """Create and put a hundred uploads but those at `absent` places; return them and their ETags."""
    name = f"hundred{len(absent)}"
    schema = {"properties": {"photo": {"type": "image"}}}
    request = BucketCreateRequest.from_dict({"bucket_name": name, "bucket_schema": schema})
    bucket = mixpeek.BucketsApi(client).create_bucket(request).bucket_id
    items = [CreateUploadRequest(filename=f"{place}.png", content_type="image/png") for place in range(100)]
    made = mixpeek.BucketUploadsApi(client).create_uploads_batch_buckets(bucket, BatchUploadRequest(uploads=items))
    with ThreadPoolExecutor(8) as pool:
        etags = list(
            pool.map(
                lambda place: None if place in absent else put(made.uploads[place], PNG + str(place).encode()),
                range(100),
            )
        )
    return made.uploads, etags


def _items(uploads, etags):
    return [
        {"upload_id": upload.upload_id, "etag": etag, "file_size_bytes": len(PNG) + len(str(place))}
        for place, (upload, etag) in enumerate(zip(uploads, etags, strict=True))
    ]


def _confirm(client, uploads, items):
    answer = mixpeek.BucketUploadsApi(client).confirm_uploads_batch_buckets(
        uploads[0].bucket_id, BatchConfirmRequest(confirmations=items)
    )
    assert (answer.status, answer.confirmations_count) == ("PENDING", 100)
    assert answer.task.task_id == answer.task_id
    return ended(client, answer.task_id)


def _plain(output):
    return output.actual_instance


def _count(client, bucket_id):
    return mixpeek.BucketsApi(client).get_bucket(bucket_id).object_count


@pytest.mark.timeout(180)
def test_uploads_are_processed_at_once_when_asked(client):
    bucket = _bucket(client, {"content": {"type": "text"}})
    uploads, objects = mixpeek.BucketUploadsApi(client), mixpeek.BucketObjectsApi(client)
    first, second = (_text(client, bucket, text) for text in ("The moon is far.", "Bread rises overnight."))

    with pytest.raises(mixpeek.exceptions.ApiException) as refused:
        uploads.confirm_upload_buckets(
            bucket, first, confirm_upload_request=ConfirmUploadRequest(auto_submit_batch=True)
        )
    kept = json.loads(refused.value.body)["error"]["details"]
    _add_collection(client, bucket)
    mixpeek.BucketBatchesApi(client).submit_batch_buckets_batches(bucket, kept["batch_id"])
    confirmed = uploads.confirm_upload_buckets(
        bucket, second, confirm_upload_request=ConfirmUploadRequest(auto_submit_batch=True)
    )
    third = _text(client, bucket, "Nobody confirmed this one.")
    made = objects.create_object_buckets(
        bucket,
        CreateObjectRequest.from_dict({"blobs": [{"property": "content", "type": "text", "upload_id": third}]}),
        auto_process=True,
    )
    task = ended(client, confirmed.task_id)

    assert refused.value.status == 400
    assert kept["upload_id"] == first
    assert uploads.confirm_upload_buckets(bucket, first).object_id == kept["object_id"]
    assert task.status == "COMPLETED"
    for object_id in (kept["object_id"], confirmed.object_id, made.object_id):
        read = partial(objects.get_object_buckets, bucket, object_id)
        assert eventually(read, until=lambda found: found.document_count, timeout_seconds=60).document_count == 1


def _text(client, bucket, text):
    upload = mixpeek.BucketUploadsApi(client).create_upload_buckets(
        bucket, CreateUploadRequest(filename="note.txt", content_type="text/plain")
    )
    put(upload, text.encode())
    return upload.upload_id


def _add_collection(client, bucket):
    body = {
        "collection_name": "notes",
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "content"},
        },
    }
    mixpeek.CollectionsApi(client).create_collection(CreateCollectionRequest.from_dict(body))
