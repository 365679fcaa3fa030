"""What is told of changed documents, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.documents.changes.model import Change
from prismhouse.api.web.caller import Scope
from prismhouse.api.webhooks.events import Events
from prismhouse.api.webhooks.told import about_many
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["DocumentEvents", "fields_of"]

_MOST_FIELDS = 100


class DocumentEvents:
    """Tells of one document by itself, and of several by their collection."""

    def __init__(self, events: Events | None = None) -> None:
        self._events = events or Events()

    async def one(
        self, tx: NamespaceWriter, scope: Scope, verb: str, collection_id: str, document_id: str, **more: Any
    ) -> None:
        """Tell that a document was created, updated or deleted."""
        await self._events.emit(
            tx.unscoped,
            organization_id=scope.organization_id,
            namespace_id=scope.namespace_id,
            event_type=f"document.{verb}",
            resource_id=document_id,
            payload={"collection_id": collection_id, "document_id": document_id, **more},
        )

    async def several(
        self, tx: NamespaceWriter, scope: Scope, verb: str, collection_id: str, document_ids: Sequence[str], **more: Any
    ) -> None:
        """Tell that documents were updated or deleted."""
        await self._tell(tx, scope, f"documents.{verb}.batch", collection_id, document_ids, **more)

    async def written(
        self, tx: NamespaceWriter, scope: Scope, collection_id: str, document_ids: Sequence[str], signature: str
    ) -> None:
        """Tell that documents with vectors were written to a collection."""
        kind = "collection.documents.written"
        await self._tell(tx, scope, kind, collection_id, document_ids, index_signature=signature)

    async def _tell(
        self, tx: NamespaceWriter, scope: Scope, kind: str, collection_id: str, ids: Sequence[str], **payload: Any
    ) -> None:
        await self._events.emit_many(
            tx.unscoped,
            organization_id=scope.organization_id,
            namespace_id=scope.namespace_id,
            events=about_many(kind, collection_id, ids, collection_id=collection_id, **payload),
        )


def fields_of(changes: Sequence[Change]) -> list[str]:
    """Return the fields that changes touch, as dotted paths; of very many only the first."""
    return sorted({".".join(change["path"]) for change in changes})[:_MOST_FIELDS]
