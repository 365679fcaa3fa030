"""The official client's class for uploads against a real server, whose signed URLs are called as they stand."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import mixpeek
from mixpeek.exceptions import ApiException
from mixpeek.models import BatchUploadRequest, CreateUploadRequest, ListUploadsRequest


def put(url: str, data: bytes, content_type: str) -> http.client.HTTPResponse:
    """PUT bytes to a URL; return the answer, read to its end."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}", body=data, headers={"Content-Type": content_type})
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def test_the_official_client_creates_lists_and_cancels_uploads(server, api, api_of):
    bucket = api.ok(
        "POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": {"properties": {"photo": {"type": "image"}}}}
    )["bucket_id"]
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    with mixpeek.ApiClient(configuration) as client:
        client.default_headers["X-Namespace"] = api.namespace
        uploads = mixpeek.BucketUploadsApi(client)

        one = uploads.create_upload_buckets(
            bucket, CreateUploadRequest(filename="photo one.png", content_type="image/png", file_size_bytes=5)
        )
        many = uploads.create_uploads_batch_buckets(
            bucket,
            BatchUploadRequest(
                uploads=[CreateUploadRequest(filename=f"{n}.png", content_type="image/png") for n in range(3)],
                shared_metadata={"campaign": "summer"},
            ),
        )
        stored = put(one.presigned_url, b"bytes", "image/png")
        refused = put(many.uploads[0].presigned_url, b"bytes", "text/html")
        page = uploads.list_uploads_buckets(bucket, list_uploads_request=ListUploadsRequest(search="summer", limit=2))
        rest = uploads.list_uploads_buckets(
            bucket,
            cursor=page.pagination.next_cursor,
            include_total=True,
            list_uploads_request=ListUploadsRequest(search="summer", limit=2),
        )
        read = uploads.get_upload_buckets(bucket, one.upload_id, return_presigned_urls=True)
        uploads.delete_upload_buckets(bucket, one.upload_id)
        cancelled = uploads.get_upload_buckets(bucket, one.upload_id)
        try:
            uploads.create_upload_buckets(bucket, CreateUploadRequest(filename="a.pdf", content_type="application/pdf"))
            message = ""
        except ApiException as error:
            message = str(error.body)

    assert (one.status, many.total) == ("PENDING", 3)
    assert (stored.status, stored.headers["ETag"]) == (200, '"4b3a6218bb3e3a7303e8a171a60fcf92"')
    assert refused.status == 403
    assert sorted(item.filename for item in page.results + rest.results) == ["0.png", "1.png", "2.png"]
    assert (page.stats.total_uploads, rest.pagination.total) == (2, 3)
    assert (read["status"], read["presigned_url"]) == ("PENDING", None)
    assert cancelled["status"] == "CANCELED"
    assert "image" in message
    assert "application/pdf" in message


def test_uploads_are_reached_without_their_bucket(api):
    bucket = api.ok(
        "POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": {"properties": {"photo": {"type": "image"}}}}
    )["bucket_id"]
    made = api.ok("POST", f"/v1/buckets/{bucket}/uploads", {"filename": "a.png", "content_type": "image/png"})

    assert api.ok("GET", f"/v1/uploads/{made['upload_id']}")["bucket_id"] == bucket
    assert api.call("DELETE", f"/v1/uploads/{made['upload_id']}") == (204, {})
    assert api.call("GET", "/v1/uploads/upl_nobody")[0] == 404
