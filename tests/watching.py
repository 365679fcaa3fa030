"""A batch without a model, sent through a real server: what watching it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conditions import eventually
from tests.running import Api


def submit_batch(api: Api, texts: Sequence[str | None], *, tiers: int = 1) -> str:
    """Send texts through a chain of passthrough collections; return the path of the batch.

    An object without a text fails.
    """
    schema = {"properties": {"content": {"type": "text"}, "other": {"type": "text"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "posts", "bucket_schema": schema})
    at = f"/v1/buckets/{bucket['bucket_id']}"
    blobs = [("content", text) if text is not None else ("other", "no content") for text in texts]
    objects = [{"blobs": [{"property": name, "type": "text", "data": text}]} for name, text in blobs]
    made = [
        each
        for start in range(0, len(objects), 100)
        for each in api.ok("POST", f"{at}/objects/batch", {"objects": objects[start : start + 100]})["succeeded"]
    ]
    source: dict[str, Any] = {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
    for number in range(tiers):
        extractor = {
            "feature_extractor_name": "passthrough_extractor",
            "version": "v1",
            "input_mappings": {"content": "content"},
            "field_passthrough": [{"source_path": "content"}],
        }
        body = {"collection_name": f"tier-{number}", "source": source, "feature_extractor": extractor}
        collection = api.ok("POST", "/v1/collections", body)
        source = {"type": "collection", "collection_ids": [collection["collection_id"]]}
    batch = api.ok("POST", f"{at}/batches", {"object_ids": [each["object_id"] for each in made]})
    api.ok("POST", f"{at}/batches/{batch['batch_id']}/submit")
    return f"{at}/batches/{batch['batch_id']}"


def run_batch(api: Api, texts: Sequence[str | None], *, tiers: int = 1) -> dict[str, Any]:
    """Do the same and return the batch when it has ended."""
    path = submit_batch(api, texts, tiers=tiers)
    return eventually(lambda: api.ok("GET", path), until=lambda shown: shown["status"] not in {"QUEUED", "PROCESSING"})
