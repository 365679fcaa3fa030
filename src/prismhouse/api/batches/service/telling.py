"""What is told of a batch: documents as they are written, its end, and one message to the URL of its submit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from prismhouse.api.batches.model import BatchRow, CountsRow
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.webhooks.told import Told, about_many
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit import json
from prismhouse.storage.outbound import Sender
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["NOTIFY_JOB", "notify", "tell_deleted", "tell_end", "tell_written"]

NOTIFY_JOB = "batches.notify"
_TIMEOUT_SECONDS = 10
_log = structlog.get_logger(__name__)


async def tell_written(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, collection: CollectionRow, document_ids: Sequence[str]
) -> None:
    """Tell of documents in the transaction that writes them."""
    await _tell(
        parts,
        tx,
        batch,
        about_many(
            "collection.documents.written",
            collection.collection_id,
            document_ids,
            collection_id=collection.collection_id,
            batch_id=batch.batch_id,
            index_signature=collection.index_signature,
        ),
    )


async def tell_deleted(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, document_ids: Mapping[str, Sequence[str]]
) -> None:
    """Tell of documents, by collection, in the transaction that deletes them."""
    told: list[Told] = []
    for collection_id, ids in document_ids.items():
        named = {"collection_id": collection_id, "batch_id": batch.batch_id}
        told += about_many("documents.deleted.batch", collection_id, ids, **named)
    await _tell(parts, tx, batch, told)


async def tell_end(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, result: Mapping[str, Any], counts: Sequence[CountsRow]
) -> None:
    """Tell the collections that a batch has ended, with the documents it wrote to each, and the URL of its submit."""
    named = {"batch_id": batch.batch_id, "status": result["status"]}
    written: dict[str, int] = {}
    for row in counts:
        written[row.collection_id] = written.get(row.collection_id, 0) + row.counts.documents_written
    told: list[Told] = [
        (
            "collection.documents.batch_completed",
            collection_id,
            {"collection_id": collection_id, **named, "documents_written": documents},
        )
        for collection_id, documents in sorted(written.items())
    ]
    await _tell(parts, tx, batch, told)
    if batch.webhook_url is not None:
        total = Counts.total(row.counts for row in counts)
        progress = {name: getattr(total, name) for name in ("submitted", "processed", "failed", "skipped")}
        message = {**result, "progress": progress}
        # Through JSON: times become text, as the receiver will see them.
        arguments = json.loads(json.dumps({"url": batch.webhook_url, "message": message}))
        await parts.queue.enqueue(tx.unscoped, NOTIFY_JOB, [arguments])


async def _tell(parts: Parts, tx: NamespaceWriter, batch: BatchRow, told: Sequence[Told]) -> None:
    await parts.events.emit_many(
        tx.unscoped, organization_id=batch.organization_id, namespace_id=batch.namespace_id, events=told
    )


async def notify(sender: Sender, *, url: str, message: Mapping[str, Any]) -> None:
    """Job: post the end of a batch once. A receiver that fails is not asked again; a worker that dies is replaced."""
    headers = {"content-type": "application/json", "user-agent": "Prismhouse-Webhooks"}
    posted = await sender.post(url, json.dumps(message), headers, timeout_seconds=_TIMEOUT_SECONDS, allow_http=True)
    if not posted.is_success:
        _log.warning("the URL of a batch was not reached", batch_id=message.get("batch_id"), reason=posted.error)
