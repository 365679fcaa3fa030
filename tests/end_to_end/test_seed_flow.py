"""The published curl flow, unchanged but for the host: what a new user types, typed by curl itself."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from conditions import eventually

PHOTO = Path(find_spec("skimage").submodule_search_locations[0]) / "data" / "coffee.png"


def curl(server, method: str, path: str, body: dict | None = None, namespace: str | None = None) -> dict:
    """Run curl as the page shows it and return the parsed answer."""
    command = ["curl", "-sS", "-X", method, f"{server.base_url}{path}", "-H", f"Authorization: Bearer {server.api_key}"]
    if namespace:
        command += ["-H", f"X-Namespace: {namespace}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return json.loads(answer.stdout)


@pytest.fixture
def photo_url():
    """A real photo behind a real web server, in place of example.com."""

    class Photos(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(PHOTO.read_bytes())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Photos) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/photo.jpg"
        web.shutdown()
        thread.join()


def test_curl_flow_ends_completed_when_only_the_host_differs(server, unique_name, photo_url):
    namespace = curl(
        server,
        "POST",
        "/v1/namespaces",
        {
            "namespace_name": unique_name,
            "feature_extractors": [{"feature_extractor_name": "multimodal_extractor", "version": "v1"}],
        },
    )["namespace_id"]
    bucket = curl(
        server,
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
    product = curl(
        server,
        "POST",
        f"/v1/buckets/{bucket}/objects",
        {
            "key_prefix": "/products",
            "blobs": [
                {"property": "hero_image", "type": "image", "url": photo_url},
                {"property": "product_text", "type": "text", "content": "Wireless headphones"},
            ],
        },
        namespace,
    )
    assert product["status"] == "PENDING", product
    for name, field in (("pictures", "hero_image"), ("texts", "product_text")):
        kind = "image" if field == "hero_image" else "text"
        made = curl(
            server,
            "POST",
            "/v1/collections",
            {
                "collection_name": name,
                "source": {"type": "bucket", "bucket_ids": [bucket]},
                "feature_extractor": {
                    "feature_extractor_name": "multimodal_extractor",
                    "version": "v1",
                    "input_mappings": {kind: field},
                },
            },
            namespace,
        )
        assert made["vector_indexes"][0]["feature_uri"].startswith("mixpeek://multimodal_extractor@v1/"), made

    batch = curl(server, "POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [product["object_id"]]}, namespace)
    assert batch["status"] == "DRAFT", batch
    task = curl(server, "POST", f"/v1/buckets/{bucket}/batches/{batch['batch_id']}/submit", None, namespace)
    assert task["task_type"] == "api_buckets_batches_process", task

    seen = {"DRAFT"}

    def status() -> str:
        found = curl(server, "GET", f"/v1/buckets/{bucket}/batches/{batch['batch_id']}", None, namespace)
        seen.add(found["status"])
        return found["status"]

    last = eventually(status, until=lambda value: value not in {"QUEUED", "PROCESSING"})
    assert last == "COMPLETED"
    assert seen <= {"DRAFT", "QUEUED", "PROCESSING", "COMPLETED"}
    pictures = curl(server, "POST", "/v1/collections/pictures/documents/list", None, namespace)["results"]
    assert len(pictures) == 1
