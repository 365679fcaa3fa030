"""Bytes of drafts, from their storage to the commit of the rows that refer to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from psycopg.errors import ForeignKeyViolation

from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft
from prismhouse.api.objects.gather import Bytes, Gatherer
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["BytesOfDrafts", "hashes_of"]

_GRACE_SECONDS = 3600
_log = structlog.get_logger(__name__)


def hashes_of(drafts: Sequence[Draft]) -> list[str]:
    """Return the hashes of the drafts' bytes that lie in the blob store."""
    return [filled.sha256 for draft in drafts for filled in draft.filled if filled.text is None]


class BytesOfDrafts:
    """Files before rows: stored first, kept from a sweep until the commit, left to the next sweep without one."""

    def __init__(self, db: Database, gatherer: Gatherer) -> None:
        self._db = db
        self._gatherer = gatherer

    @asynccontextmanager
    async def stored(
        self, namespace_id: NamespaceId, drafts: Sequence[Draft], pending: Sequence[Bytes | None]
    ) -> AsyncIterator[int | None]:
        """Store bytes; give the sweep generation before that, or None when there were none to store."""
        if not any(data is not None for data in pending):
            yield None
            return
        async with self._db.read() as tx:
            generation = await store.generation(tx.within(namespace_id))
        try:
            await self._gatherer.store(namespace_id, pending)
            yield generation
        except BaseException:
            await self.abandon(namespace_id, hashes_of(drafts))
            raise

    async def keep(
        self, tx: NamespaceWriter, drafts: Sequence[Draft], pending: Sequence[Bytes | None], generation: int | None
    ) -> None:
        """Make sure that a sweep does not take bytes between their storage and the commit of their rows."""
        if generation is None:
            return
        await store.hold_bytes(tx)
        if await store.generation(tx) != generation or await store.is_garbage(tx, hashes_of(drafts)):
            await self._gatherer.store(tx.namespace_id, pending)

    async def expect(self, namespace_id: NamespaceId, hashes: Sequence[str]) -> bool:
        """List bytes before they are stored; say False where the namespace is gone."""
        try:
            async with self._db.write() as tx:
                await store.expect(tx.within(namespace_id), hashes, grace_seconds=_GRACE_SECONDS)
        except ForeignKeyViolation:
            return False
        return True

    async def settle(self, namespace_id: NamespaceId, hashes: Sequence[str]) -> None:
        """Take bytes that rows name off the list, or leave that to the sweep when no database answers."""
        try:
            async with self._db.write() as tx:
                await store.settle(tx.within(namespace_id), hashes)
        except WarehouseError as error:
            _log.info("a sweep will look at bytes that are in use", namespace_id=namespace_id, reason=error.message)

    async def abandon(self, namespace_id: NamespaceId, hashes: Sequence[str]) -> None:
        """Leave stored bytes to the next sweep, or delete them where the namespace is gone."""
        try:
            async with self._db.write() as tx:
                await store.add_garbage(tx.within(namespace_id), hashes)
        except ForeignKeyViolation:
            await self._gatherer.forget(namespace_id, hashes)  # the namespace was deleted meanwhile
        except WarehouseError as error:
            _log.warning("bytes without an object stay", namespace_id=namespace_id, hashes=hashes, reason=error.message)
