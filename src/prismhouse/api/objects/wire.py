"""Objects as the API shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prismhouse.api.objects.model import ObjectBlob, StoredObject
from prismhouse.api.objects.service.create import Created
from prismhouse.kit.clock import iso
from prismhouse.kit.errors import WarehouseError

__all__ = ["Link", "batch_result", "selected", "shown", "stats_of", "with_consistency"]


Link = Callable[[ObjectBlob], str | None]


def shown(stored: StoredObject, *, document_count: int | None = None, link: Link | None = None) -> dict[str, Any]:
    """Return an object: custom fields at the root, the API's own keys over them; with `link`, URLs to its files."""
    known: dict[str, Any] = {
        "object_id": stored.object_id,
        "bucket_id": stored.bucket_id,
        "key_prefix": stored.key_prefix,
        "blobs": [_blob(blob, link) for blob in stored.blobs],
        "source_details": stored.source_details,
        "edges": stored.edges,
        "status": stored.status,
        "error": stored.error,
        "created_at": iso(stored.created_at),
        "updated_at": iso(stored.updated_at),
        "document_count": document_count,
        "consistency": None,
    }
    if stored.metadata is not None:
        known["metadata"] = stored.metadata
    return {**stored.fields, **known}


def _blob(blob: ObjectBlob, link: Link | None) -> dict[str, Any]:
    url = None if link is None else link(blob)
    properties = {"url": blob.source_url, "presigned_url": url}
    return {
        "blob_id": blob.blob_id,
        "property": blob.property,
        "key_prefix": blob.key_prefix,
        "type": blob.type,
        "properties": {name: value for name, value in properties.items() if value is not None},
        "presigned_url": url,
        "details": {
            "filename": blob.filename,
            "size_bytes": blob.size_bytes,
            "mime_type": blob.mime_type,
            "hash": f"sha256:{blob.sha256}",
        },
    }


def with_consistency(created: Created) -> dict[str, Any]:
    """Return a new object with when it can be searched and what to do until then."""
    stored = created.object
    path = f"/v1/buckets/{stored.bucket_id}"
    batch = {"action": "create_batch", "method": "POST", "endpoint": f"{path}/batches"}
    submit = {"action": "submit_batch", "method": "POST", "endpoint": f"{path}/batches/{{batch_id}}/submit"}
    result = shown(stored)
    result["consistency"] = {
        "retriever_visible": "after_processing",
        "write_token_available": False,
        "poll": {
            "endpoint": f"{path}/objects/{stored.object_id}",
            "field": "document_count",
            "ready_when": "document_count > 0",
        },
        "next_actions": [] if created.processing else [batch, submit],
    }
    return result | _processing(created)


def _processing(created: Created) -> dict[str, Any]:
    return {} if created.processing is None else {"batch_id": created.processing[0], "task_id": created.processing[1]}


def batch_result(requested: int, created: Sequence[Created], failures: Mapping[int, WarehouseError]) -> dict[str, Any]:
    """Return what became of each object, in request order."""
    succeeded = [
        {
            **shown(item.object),
            **_processing(item),
            "object_index": item.index,
            "replayed": item.replayed_by is not None,
            "replayed_by": item.replayed_by,
        }
        for item in created
    ]
    failed = [
        {"object_index": index, "error": error.message, "error_type": error.code.wire_type}
        for index, error in sorted(failures.items())
    ]
    return {
        "succeeded": succeeded,
        "failed": failed,
        "total_requested": requested,
        "succeeded_count": len(succeeded),
        "failed_count": len(failed),
    }


def selected(result: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return only what the dotted paths name, and always the two ids."""
    kept: dict[str, Any] = {}
    for path in ("object_id", "bucket_id", *paths):
        source: Any = result
        target = kept
        *parents, last = path.split(".")
        for part in parents:
            source = source.get(part) if isinstance(source, Mapping) else None
            if not isinstance(source, Mapping):
                break
            target = target.setdefault(part, {})
        if isinstance(source, Mapping) and last in source:
            target[last] = source[last]
    return kept


def stats_of(objects: Sequence[StoredObject]) -> dict[str, Any]:
    """Return the numbers of this page."""
    blobs = sum(len(stored.blobs) for stored in objects)
    return {
        "total_objects": len(objects),
        "total_blobs": blobs,
        "avg_blobs_per_object": blobs / len(objects) if objects else 0.0,
        "objects_by_status": dict(Counter(stored.status for stored in objects)),
    }
