"""What batches know about the failures of one object: for whoever asks why its documents look as they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.batches.store import ledger
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["failures_of_object"]

_MOST = 20


async def failures_of_object(tx: NamespaceReader, object_id: str, collection_id: str) -> Sequence[Mapping[str, Any]]:
    """Return batch_id, stage, message and created_at of an object's newest failures in a collection."""
    return await ledger.newest_of_object(tx, object_id, collection_id, limit=_MOST)
