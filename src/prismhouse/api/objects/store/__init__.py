"""Every statement about objects and their blobs: rows, reads, lists, and the bytes behind them."""

from prismhouse.api.objects.store.aggregate import aggregate
from prismhouse.api.objects.store.bytes import (
    add_garbage,
    generation,
    hold_bytes,
    hold_garbage,
    is_garbage,
    namespaces_with_garbage,
    raise_generation,
    take_garbage,
)
from prismhouse.api.objects.store.lists import Selection, page, select_ids, total
from prismhouse.api.objects.store.read import by_content, by_idempotency_key, by_unique_value, load, missing, with_blobs
from prismhouse.api.objects.store.rows import (
    add_blobs,
    delete,
    delete_some,
    hide,
    hold,
    hold_contents,
    insert,
    mark,
    remove_blobs,
    replace,
    source_details,
)

__all__ = [
    "Selection",
    "add_blobs",
    "add_garbage",
    "aggregate",
    "by_content",
    "by_idempotency_key",
    "by_unique_value",
    "delete",
    "delete_some",
    "generation",
    "hide",
    "hold",
    "hold_bytes",
    "hold_contents",
    "hold_garbage",
    "insert",
    "is_garbage",
    "load",
    "mark",
    "missing",
    "namespaces_with_garbage",
    "page",
    "raise_generation",
    "remove_blobs",
    "replace",
    "select_ids",
    "source_details",
    "take_garbage",
    "total",
    "with_blobs",
]
