"""What goes over the wire for documents. Answers are JSON bytes: the stored fields are copied, not decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import Field

from prismhouse.api.documents.links import Link, linked
from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys
from prismhouse.kit import json

__all__ = [
    "MOST_PARTITIONS",
    "BatchGet",
    "BatchList",
    "ListDocuments",
    "ListNamespaceDocuments",
    "Partition",
    "Shape",
    "Sort",
    "document_bytes",
    "joined",
]

MOST_PARTITIONS = 256

Blob = dict[str, Any]
_BLOB_TYPES = frozenset({"video", "image", "audio", "text", "pdf", "other"})
_ALWAYS = ("document_id", "collection_id")


class Sort(RequestModel):
    """One sort key."""

    field: str = Field(min_length=1)
    direction: Literal["asc", "desc"] = "asc"


class Partition(RequestModel):
    """One of `count` disjoint shares of the documents."""

    index: int = Field(ge=0)
    count: int = Field(ge=1, le=MOST_PARTITIONS)


class GroupBy(RequestModel):
    """The field that groups documents."""

    field: str


class ListDocuments(PagingKeys, RequestModel):
    """Body of POST /v1/collections/{c}/documents/list."""

    filters: Any = None
    sort: Sort | None = None
    search: str | None = Field(None, max_length=500)
    partition: Partition | None = None
    return_presigned_urls: bool = False
    return_vectors: bool | None = False
    return_vector_names: bool | list[str] | None = None
    group_by: str | GroupBy | None = None
    select: list[str] | None = Field(None, max_length=200)
    expand: list[str] | None = Field(None, max_length=50)

    @property
    def grouped_by(self) -> str | None:
        """The field that groups documents, however it was sent."""
        return self.group_by.field if isinstance(self.group_by, GroupBy) else self.group_by


class ListNamespaceDocuments(ListDocuments):
    """Body of POST /v1/documents/list."""

    collection_ids: list[str] | None = None
    collection_id: str | None = None
    collections: list[str] | None = None

    def identifiers(self) -> list[str]:
        """Return the ids or names asked for, without repeats; empty means every collection."""
        single = [self.collection_id] if self.collection_id else []
        return list(dict.fromkeys([*(self.collection_ids or ()), *(self.collections or ()), *single]))


class BatchGet(RequestModel):
    """Body of POST /v1/documents/batch-get."""

    document_ids: list[str] = Field(min_length=1, max_length=1000)
    return_presigned_urls: bool = True


class KeyedQuery(RequestModel):
    """One list query of a batch, and the key that its answer carries."""

    key: str = Field(min_length=1, max_length=128)
    request: ListNamespaceDocuments


class BatchList(RequestModel):
    """Body of POST /v1/documents/list/batch."""

    queries: list[KeyedQuery] = Field(min_length=1, max_length=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How documents are shown.

    `vectors` holds, per document, what goes to its root: vectors by stored name, or `_vectors`. `expanded` holds, per
    document, what it refers to, by the name it was asked for. `link` makes a presigned URL for a stored blob, where
    `presign` asks for one.
    """

    internal_id: str
    namespace_id: str
    select: Sequence[str] = ()
    vectors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expanded: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    with_vectors: bool = False
    presign: bool = False
    link: Link | None = None


def document_bytes(row: Mapping[str, Any], shape: Shape) -> bytes:
    """Return a DocumentResponse. The root fields are the stored JSON text, unread unless `select` is given."""
    document_id = row["document_id"]
    blobs: bytes | orjson.Fragment = orjson.Fragment(row["document_blobs"])
    named: dict[str, Any] = {}
    if row["document_blobs"] != "[]":
        shown = [_blob(one, shape) for one in json.loads(row["document_blobs"])]
        blobs = orjson.Fragment(json.dumps(shown))
        named = {one["field"]: one.get("presigned_url") or one["url"] for one in shown if one["role"] != "source"}
    tail: dict[str, Any] = {
        **shape.vectors.get(document_id, {}),
        "document_blobs": blobs,
        "searchable_at": row["updated_at"],
        "_internal": orjson.Fragment(_internal(row, shape)),
    }
    if shape.with_vectors:
        tail["vector_hydration_incomplete"] = False
    if document_id in shape.expanded:
        tail["_expanded"] = shape.expanded[document_id]
    head = {"document_id": document_id, "collection_id": row["collection_id"]}
    payload = row["payload"]
    if named or shape.select:
        fields = {**named, **json.loads(payload)}
        if shape.select:
            return json.dumps(_projected(fields, head=head, tail=tail, shape=shape))
        payload = json.dumps(fields).decode()
    middle = b"," if payload == "{}" else b"," + payload[1:-1].encode() + b","
    return json.dumps(head)[:-1] + middle + json.dumps(tail)[1:]


def _projected(fields: dict[str, Any], *, head: dict[str, Any], tail: dict[str, Any], shape: Shape) -> dict[str, Any]:
    asked = {*shape.vectors.get(head["document_id"], {}), "vector_hydration_incomplete", "_expanded"}
    shown = dict(head)
    everything = {**fields, **tail}
    if any(path.startswith(("_internal", "document_blobs")) for path in shape.select):
        everything = {**fields, **json.loads(json.dumps(tail))}
    for path in shape.select:
        _copy(everything, shown, path.split("."))
    return shown | {key: value for key, value in tail.items() if key in asked}


def _copy(source: Any, target: dict[str, Any], path: Sequence[str]) -> None:
    """Copy what stands at `path`; a list on the way is projected item by item."""
    first, rest = path[0], path[1:]
    if not isinstance(source, dict) or first not in source:
        return
    value = source[first]
    if not rest:
        target[first] = value
    elif isinstance(value, dict):
        held = target.setdefault(first, {})
        if isinstance(held, dict):
            _copy(value, held, rest)
    elif isinstance(value, list):
        held = target.setdefault(first, [{} for _ in value])
        for item, into in zip(value, held, strict=False):
            if isinstance(into, dict):
                _copy(item, into, rest)


def _internal(row: Mapping[str, Any], shape: Shape) -> bytes:
    known = json.dumps(
        {
            "internal_id": shape.internal_id,
            "namespace_id": shape.namespace_id,
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "lineage": {
                "root_object_id": row["root_object_id"],
                "root_bucket_id": row["root_bucket_id"],
                "source_type": row["source_type"],
                "source_object_id": row["source_object_id"],
                "source_document_id": row["source_document_id"],
                "source_collection_id": row["source_collection_id"],
                "path": row["lineage_path"],
                "chain": orjson.Fragment(row["lineage_chain"]),
            },
            "source_blobs": _source_blobs(row["source_blobs"], shape),
            "content_hash": row["content_hash"],
            "batch_id": row["batch_id"],
        }
    )
    stored = row["internal"]
    return known if stored == "{}" else stored[:-1].encode() + b"," + known[1:]


def _source_blobs(stored: str, shape: Shape) -> Any:
    if not shape.presign or stored == "[]":
        return orjson.Fragment(stored)
    return [linked(reference, shape.link) for reference in json.loads(stored)]


def _blob(stored: Blob, shape: Shape) -> Blob:
    """Return a BlobURLRef: every blob has an address, and a presigned one where it was asked for."""
    shown = {key: value for key, value in stored.items() if value is not None}
    shown["role"] = stored.get("role") or "source"
    shown["type"] = stored.get("type") if stored.get("type") in _BLOB_TYPES else "other"
    checksum = stored.get("checksum")
    shown.setdefault("url", f"prismhouse://blobs/{checksum or 'unknown'}")
    return linked(shown, shape.link) if shape.presign else shown


def joined(documents: Sequence[bytes], rest: Mapping[str, Any], *, name: str = "results") -> bytes:
    """Return the answer that holds the ready documents under `name`, then `rest`."""
    return b'{"%s":[%s],%s' % (name.encode(), b",".join(documents), json.dumps(rest)[1:])
