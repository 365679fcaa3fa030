"""Documents out of an extractor's result: ids, inherited fields, lineage, stored files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.batches.service.sources import Origin
from prismhouse.api.documents.model import NewDocument
from prismhouse.engine.extractors.port import Artifact, ExtractedDocument, FloatArray, RowResult
from prismhouse.engine.pipeline.identity import document_ids
from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import BucketId, CollectionId, DocumentId, ObjectId
from prismhouse.storage.blobs.port import StoredBlob

__all__ = ["Written", "documents_of"]


@dataclass(frozen=True, slots=True)
class Written:
    """A document to store, its vectors by output, and the files that are its own."""

    document: NewDocument
    vectors: Mapping[str, FloatArray]
    artifacts: Sequence[Artifact] = ()

    @property
    def hashes(self) -> list[str]:
        """Of the files, as they are stored."""
        return [file["checksum"] for file in self.document.document_blobs[: len(self.artifacts)]]


def documents_of(
    batch: BatchRow,
    tier: int,
    collection: Any,
    origin: Origin,
    result: RowResult,
    inherited: Mapping[str, Any],
    *,
    stored: Mapping[bytes, StoredBlob],
) -> list[Written]:
    """Return the documents of one source; `stored` says where their files are, by the bytes."""
    ids = document_ids(
        origin.source.source_id,
        [item.position for item in result.documents],
        collection_id=collection.collection_id,
        extractor_id=collection.extractor_id,
        salt=batch.batch_id if batch.salted else "",
    )
    written = []
    for name, item in zip(ids, result.documents, strict=True):
        files = [_file(artifact, stored[artifact.data]) for artifact in item.artifacts]
        files += _linked(origin, item)
        document = NewDocument(
            collection_id=collection.collection_id,
            document_id=name,
            payload={**inherited, **item.fields},
            root_object_id=ObjectId(origin.object_id),
            root_bucket_id=BucketId(origin.bucket_id),
            source_type="bucket" if origin.document_id is None else "collection",
            source_object_id=ObjectId(origin.object_id),
            source_document_id=DocumentId(origin.document_id) if origin.document_id else None,
            source_collection_id=CollectionId(origin.collection_id) if origin.collection_id else None,
            lineage_path=f"{origin.lineage_path}/{collection.collection_id}",
            lineage_chain=origin.lineage_chain,
            processing_tier=tier,
            source_blobs=origin.references,
            document_blobs=files,
            internal=_internal(batch, tier, collection, origin, item),
            batch_id=batch.batch_id,
            content_hash=origin.content_hash,
        )
        written.append(Written(document, item.vectors, item.artifacts))
    return written


def _internal(batch: BatchRow, tier: int, collection: Any, origin: Origin, item: ExtractedDocument) -> dict[str, Any]:
    first = next(iter(origin.references), None)
    known: dict[str, Any] = {"position": list(item.position)}
    if first is not None:
        known |= {
            "modality": first["type"],
            "mime_type": first.get("content_type"),
            "size_bytes": first.get("size_bytes"),
        }
    if batch.include_processing_history:
        step = {"extractor": collection.extractor_id, "tier": tier, "batch_id": batch.batch_id, "at": utc_now()}
        known["processing_history"] = [step]
    return known


def _linked(origin: Origin, item: ExtractedDocument) -> list[dict[str, Any]]:
    """Return the files of the source that a document links to."""
    return [
        {**reference, "field": name, "role": "aux"}
        for name, blob_id in item.sources.items()
        for reference in origin.references
        if blob_id in (reference.get("source_blob_id"), reference.get("checksum"))
    ]


def _file(artifact: Artifact, stored: StoredBlob) -> dict[str, Any]:
    return {
        "field": artifact.field,
        "role": artifact.role,
        "type": artifact.type,
        "url": None,
        "filename": artifact.filename,
        "size_bytes": stored.size_bytes,
        "content_type": artifact.content_type,
        "checksum": stored.sha256,
        "created_at": utc_now(),
    }
