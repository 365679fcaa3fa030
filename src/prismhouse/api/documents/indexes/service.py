"""The payload index service."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
import structlog

from prismhouse.api.documents.indexes import store
from prismhouse.api.web.caller import Caller, NamespaceNotFound, Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.query.indexes import is_user_field, reconcile
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Record, Writer

__all__ = ["BUILD_JOB", "HOT_QUERIES", "PayloadIndexes"]

BUILD_JOB = "documents.payload_indexes"
HOT_QUERIES = 1_000
_EVERY_QUARTER = "*/15 * * * *"
_BUSY_SECONDS = 5.0
_FLUSH_SECONDS = 5.0
_MOST_COUNTED = 10_000
# What a btree on one value serves; points and long texts have the index that every document is in.
_BTREES = frozenset({"keyword", "integer", "float", "bool", "datetime", "uuid"})
_TYPES = {"number": "float", "boolean": "bool", "string": "keyword"}
_log = structlog.get_logger(__name__)


class PayloadIndexes:
    """Declares, builds and drops indexes on single fields, and counts how often fields without one are used."""

    def __init__(self, db: Database, *, jobs: JobQueue, hot_queries: int = HOT_QUERIES) -> None:
        self._db = db
        self._jobs = jobs
        self._hot_queries = hot_queries
        self._used: dict[tuple[str, str], tuple[int, float, float]] = {}
        self._flushed_at = time.monotonic()
        self._flushing: asyncio.Task[None] | None = None
        jobs.register(BUILD_JOB, self.build, cron=_EVERY_QUARTER)

    async def declare(self, tx: NamespaceWriter, indexes: Sequence[Mapping[str, Any]]) -> None:
        """Make `indexes` those of the namespace, in the transaction that declares them; a job builds and drops."""
        fields = {
            one["field_name"]: one["type"]
            for one in indexes
            if one["type"] in _BTREES and not one.get("is_protected") and is_user_field(one["field_name"])
        }
        await store.declare(tx, fields)
        await self.enqueue(tx.unscoped)

    async def enqueue(self, tx: Writer, *, delay_seconds: float = 0) -> None:
        """Have what is declared compared with what stands."""
        await self._jobs.enqueue(tx, BUILD_JOB, [{}], lock=BUILD_JOB, delay_seconds=delay_seconds)

    async def build(self) -> None:
        """Build and drop until what stands is what is declared; what failed is kept with its reason."""
        await self._adopt_hot_fields()
        async with self._db.read() as tx:
            wanted = await store.declared(tx)
        connection = await psycopg.AsyncConnection.connect(
            self._db.dsn, autocommit=True, application_name="prismhouse-index", options="-c statement_timeout=0"
        )
        async with connection:
            outcomes = await reconcile(connection, wanted)
        async with self._db.write() as tx:
            if outcomes is None:  # vectors are being indexed
                await self.enqueue(tx, delay_seconds=_BUSY_SECONDS)
                return
            await store.note(tx, outcomes)
        failed = [one for one in outcomes if one.error is not None]
        for one in failed:
            _log.error("a payload index was not built", namespace_id=one.index.namespace_id, reason=one.error)

    async def _adopt_hot_fields(self) -> None:
        async with self._db.write() as tx:
            for one in await store.hot(tx, least=self._hot_queries):
                scoped = tx.within(NamespaceId(one.namespace_id))
                if await store.adopt(scoped, one.field, suggested_type(await store.kind_of(scoped, one.field))):
                    _log.info("a field used often gets an index", namespace_id=one.namespace_id)

    async def ensure(self, caller: Caller, identifier: str, *, rebuild: bool) -> dict[str, Any]:
        """Have the indexes of a namespace built, those that failed too; return what is declared and its state."""
        async with self._db.write() as unit:
            namespace_id = await store.namespace(unit, caller.organization_id, identifier)
            if namespace_id is None or not caller.opens(namespace_id):
                raise NamespaceNotFound(identifier)
            caller.inside(namespace_id).require("write")
            tx = unit.within(namespace_id)
            if rebuild:
                await store.restart(tx)
            await self.enqueue(unit)
            indexes = await store.listed(tx)
        shown = [
            {"field_name": one["field_name"], "type": one["index_type"], "state": one["state"], "error": one["error"]}
            for one in indexes
        ]
        return {"success": True, "namespace_id": namespace_id, "indexes": shown, "total": len(shown)}

    async def usage(self, scope: Scope, *, hours: int, least: int) -> list[Record]:
        """Return how often user fields without an index were used, and their `suggested_type`."""
        await self.flush()
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            found = await store.usage(tx, hours=hours, least=least)
            kinds = [await store.kind_of(tx, row["field_name"]) for row in found]
        return [{**row, "suggested_type": suggested_type(kind)} for row, kind in zip(found, kinds, strict=True)]

    async def adopts(self, scope: Scope) -> bool:
        """Return whether fields that are used often get an index without being declared."""
        async with self._db.read() as unit:
            return await store.adopts(unit.within(scope.namespace_id))

    async def states(self, tx: NamespaceReader, fields: Iterable[str]) -> dict[str, str | None]:
        """Return, for those of the fields that users own, the state of their index; None without one."""
        own = [name for name in fields if is_user_field(name)]
        if not own:
            return {}
        known = await store.known(tx, own)
        return {name: known.get(name) for name in own}

    def note(self, namespace_id: str, fields: Iterable[str], *, seconds: float) -> None:
        """Count a query over these fields. Costs no round trip: counts are stored every few seconds."""
        for name in fields:
            if len(self._used) < _MOST_COUNTED or (namespace_id, name) in self._used:
                queries, total, slowest = self._used.get((namespace_id, name), (0, 0.0, 0.0))
                spent = seconds * 1000
                self._used[namespace_id, name] = (queries + 1, total + spent, max(slowest, spent))
        idle = self._flushing is None or self._flushing.done()
        if self._used and idle and time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._flushing = asyncio.create_task(self.flush())

    async def flush(self) -> None:
        """Store what was counted; counts that cannot be stored now are lost, which costs no user anything."""
        used, self._used = self._used, {}
        self._flushed_at = time.monotonic()
        if not used:
            return
        try:
            async with self._db.write() as tx:
                await store.add_usage(tx, used)
        except WarehouseError as error:
            _log.warning("field usage was not stored", fields=len(used), reason=error.message)

    async def settle(self) -> None:
        """Store what is left; call before the database closes."""
        if self._flushing is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing
        await self.flush()


def suggested_type(kind: str | None) -> str:
    """Return the index type for a field that holds values of a JSON type."""
    return _TYPES.get(kind or "", "keyword")
