"""Confirmations that died with their process, and that nobody repeats: the uploads wait again, no bytes are left."""

from __future__ import annotations

import structlog

from prismhouse.api.objects.service import Objects
from prismhouse.api.uploads.store import confirm as store
from prismhouse.api.uploads.store import house
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.postgres.database import Database, Record

__all__ = ["Recovery"]

_UPLOADS_AT_A_TIME = 100
_STALE_MINUTES = 30
_MESSAGE = "The confirmation was cut off; confirm again."
_log = structlog.get_logger(__name__)


class Recovery:
    """Run by a job, for all namespaces at once. A confirmation that is alive after all still wins."""

    def __init__(self, db: Database, *, objects: Objects, staging: Staging) -> None:
        self._db = db
        self._objects = objects
        self._staging = staging

    async def recover(self) -> int:
        """Put back uploads that have been IN_PROGRESS for long; return how many."""
        async with self._db.read() as tx:
            stale = await house.stale(tx, minutes=_STALE_MINUTES, limit=_UPLOADS_AT_A_TIME)
        recovered = 0
        for row in stale:
            try:
                await self._put_back(row)
                recovered += 1
            except (WarehouseError, OSError) as error:
                _log.warning("an upload stays in progress", upload_id=row["upload_id"], exc_info=error)
        return recovered

    async def _put_back(self, row: Record) -> None:
        """The file may have been adopted: adopting it once more names the bytes, and the sweep then takes them."""
        namespace_id = NamespaceId(row["namespace_id"])
        staged = await self._staging.find(row["s3_key"])
        if staged is not None:
            stored = await self._staging.adopt(namespace_id, row["s3_key"], etag=staged.etag)
            await self._objects.abandon(namespace_id, [stored.sha256])
        async with self._db.write() as tx:
            await store.put_back(tx.within(namespace_id), [row["upload_id"]], _MESSAGE)
