"""What a chunk reads: objects in the first tier, documents of earlier tiers later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.documents.model import StoredDocument
from prismhouse.engine.media.text import decode_text
from prismhouse.engine.pipeline.rows import Source, SourceBlob
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import BlobMissing
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Origin", "files_of", "load_documents", "load_objects", "with_bytes"]


_KEPT_AS_TEXT = "Short text is kept with its object, not as a file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A source with its lineage. `references` are its blobs as documents tell of them."""

    source: Source
    object_id: str
    bucket_id: str
    document_id: str | None = None
    collection_id: str | None = None
    lineage_path: str = ""
    lineage_chain: Sequence[Mapping[str, Any]] = ()
    references: Sequence[Mapping[str, Any]] = ()
    content_hash: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)


async def load_objects(parts: Parts, tx: NamespaceReader, object_ids: Sequence[str]) -> dict[str, Origin]:
    """Return the objects that still stand, by id."""
    found = await parts.objects.load(tx, object_ids)
    return {name: _of_object(stored) for name, stored in found.items()}


def _of_object(stored: Any) -> Origin:
    blobs = [
        SourceBlob(
            property=blob.property,
            type=blob.type,
            text=blob.text,
            mime_type=blob.mime_type,
            filename=blob.filename,
            blob_id=blob.blob_id,
            url=blob.source_url,
            size_bytes=blob.size_bytes,
        )
        for blob in stored.blobs
    ]
    source = Source(source_id=stored.object_id, fields=stored.fields, metadata=stored.metadata or {}, blobs=blobs)
    return Origin(
        source=source,
        object_id=stored.object_id,
        bucket_id=stored.bucket_id,
        lineage_path=stored.bucket_id,
        references=[_reference(blob) for blob in stored.blobs],
        content_hash=stored.content_hash,
        hashes={blob.blob_id: blob.sha256 for blob in stored.blobs},
    )


def _reference(blob: Any) -> dict[str, Any]:
    return {
        "field": blob.property,
        "role": "source",
        "type": blob.type if blob.type in {"video", "image", "audio", "text", "pdf"} else "other",
        "url": blob.source_url,
        "filename": blob.filename,
        "size_bytes": blob.size_bytes,
        "content_type": blob.mime_type,
        "checksum": blob.sha256,
        "source_blob_id": blob.blob_id,
        **({} if blob.text is None else {"unavailable_reason": _KEPT_AS_TEXT}),
    }


async def load_documents(parts: Parts, tx: NamespaceReader, document_ids: Sequence[str]) -> dict[str, Origin]:
    """Return the upstream documents that still stand, by id; their files are blobs named by their field."""
    found = await parts.documents.load(tx, document_ids)
    return {name: _of_document(stored) for name, stored in found.items()}


def _of_document(stored: StoredDocument) -> Origin:
    references = [*stored.document_blobs, *stored.source_blobs]
    blobs = [
        SourceBlob(
            property=item["field"],
            type=item["type"],
            mime_type=item.get("content_type"),
            filename=item.get("filename"),
            blob_id=item.get("checksum"),
            url=item.get("url"),
            size_bytes=item.get("size_bytes"),
        )
        for item in references
        if item.get("checksum") and item["type"] != "text" and not item.get("unavailable_reason")
    ]
    step = {"collection_id": stored.collection_id, "document_id": stored.document_id}
    return Origin(
        source=Source(source_id=stored.document_id, fields=stored.payload, blobs=blobs),
        object_id=stored.root_object_id or "",
        bucket_id=stored.root_bucket_id or "",
        document_id=stored.document_id,
        collection_id=stored.collection_id,
        lineage_path=stored.lineage_path or "",
        lineage_chain=[*stored.lineage_chain, step],
        references=stored.source_blobs,
        content_hash=stored.content_hash,
        hashes={blob.blob_id: blob.blob_id for blob in blobs if blob.blob_id},
    )


def files_of(origin: Origin, properties: Collection[str], *, shown: Collection[str] = ()) -> dict[str, int | None]:
    """Return the files that `with_bytes` will want a path for: sizes by SHA-256."""
    files: dict[str, int | None] = {}
    for blob in origin.source.blobs:
        sha256 = origin.hashes.get(blob.blob_id or "") if blob.text is None else None
        if sha256 and blob.property in properties and not (blob.type == "text" and blob.property in shown):
            files[sha256] = blob.size_bytes
    return files


async def with_bytes(
    parts: Parts,
    namespace_id: NamespaceId,
    origin: Origin,
    source: Source,
    properties: Collection[str],
    *,
    files: Mapping[str, Path],
    shown: Collection[str] = (),
) -> Source:
    """Return the source with a path for the blobs of `properties`, from `files`; raise BlobMissing.

    `shown` are the properties that documents take over: their text is read, however long, so that none is lost.
    """
    blobs = []
    for blob in source.blobs:
        sha256 = origin.hashes.get(blob.blob_id or "") if blob.text is None else None
        if sha256 and blob.type == "text" and blob.property in shown:
            text = decode_text(await parts.blobs.read(namespace_id, sha256))
            blobs.append(replace(blob, text=text))
        elif sha256 and blob.property in properties:
            if sha256 not in files:
                raise BlobMissing(sha256=sha256)
            blobs.append(replace(blob, path=files[sha256]))
        else:
            blobs.append(blob)
    return Source(source_id=source.source_id, fields=source.fields, metadata=source.metadata, blobs=blobs)
