"""What time does to uploads: they expire, their records go, and staged files that nothing needs are deleted."""

from __future__ import annotations

from collections import defaultdict

from prismhouse.api.objects.service import Objects
from prismhouse.api.uploads.discard import discarded
from prismhouse.api.uploads.store import house
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.postgres.database import Database

__all__ = ["Expiry"]

_ROWS_AT_A_TIME = 1000
_RECORD_DAYS = 30
_STAGED_SECONDS = 6 * 3600.0


class Expiry:
    """Run by jobs, for all namespaces at once."""

    def __init__(self, db: Database, *, objects: Objects, staging: Staging) -> None:
        self._db = db
        self._objects = objects
        self._staging = staging

    async def expire(self) -> int:
        """Fail uploads whose time is over; return how many."""
        expired = 0
        while True:
            async with self._db.write() as tx:
                count = await house.expire(tx, _ROWS_AT_A_TIME)
            expired += count
            if count < _ROWS_AT_A_TIME:
                return expired

    async def forget(self) -> int:
        """Delete the records of uploads that failed or were cancelled 30 days ago; return how many."""
        forgotten = 0
        while True:
            async with self._db.write() as tx:
                gone = await house.forget(tx, days=_RECORD_DAYS, limit=_ROWS_AT_A_TIME)
                hashes: dict[str, set[str]] = defaultdict(set)
                for row in gone:
                    if row["sha256"] is not None:
                        hashes[row["namespace_id"]].add(row["sha256"])
                for namespace_id in sorted(hashes):
                    scoped = tx.within(NamespaceId(namespace_id))
                    await self._objects.unreferenced(scoped, sorted(hashes[namespace_id]))
            forgotten += len(gone)
            if len(gone) < _ROWS_AT_A_TIME:
                return forgotten

    async def sweep(self) -> int:
        """Delete staged files of some age that no upload needs; return how many."""
        deleted = 0
        async for keys in self._staging.keys(older_than_seconds=_STAGED_SECONDS):
            async with self._db.read() as tx:
                needed = await house.protected(tx, keys)
            for key in keys:
                if key not in needed and await discarded(self._staging, key):
                    deleted += 1
        return deleted
