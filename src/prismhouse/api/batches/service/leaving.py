"""What batches answer and do when their namespace is to be deleted."""

from __future__ import annotations

from prismhouse.api.batches.model import ACTIVE
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.stop import cancel
from prismhouse.api.batches.store import batches as store
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["RunningBatches"]

_AT_ONCE = 100


class RunningBatches:
    """Implements `Tenant` of the namespaces' deletion."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def active(self, tx: NamespaceReader) -> list[str]:
        """Return ids of batches that are queued or running, up to a hundred of each state."""
        ids: list[str] = []
        for status in sorted(ACTIVE):
            rows, _ = await store.list_batches(
                tx, bucket_id=None, status=status, collection_id=None, before=None, limit=_AT_ONCE, offset=0
            )
            ids += [row.batch_id for row in rows]
        return ids

    async def stop(self, tx: NamespaceWriter) -> None:
        """Cancel them all, in the transaction that hides the namespace."""
        while ids := await self.active(tx):
            for batch_id in ids:
                await cancel(self._parts, tx, batch_id, reason="Its namespace was deleted.")
