"""Reports of batches, in one namespace or over all that a key opens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus, same_statuses
from prismhouse.api.batches.reports import store as reports
from prismhouse.api.batches.reports.diagnose import diagnosed, diagnostics
from prismhouse.api.batches.reports.estimate import estimate
from prismhouse.api.batches.schemas import ListBatches
from prismhouse.api.batches.service.audit import audit_batch
from prismhouse.api.batches.service.batches import Batches, NamespaceConflict
from prismhouse.api.batches.service.describe import answers
from prismhouse.api.batches.service.describe.gathered import gather
from prismhouse.api.batches.service.find import find_batch, lock_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.store import journal
from prismhouse.api.web.caller import Caller, NamespaceCaller, Scope
from prismhouse.api.web.paging import Page
from prismhouse.kit.clock import iso, utc_now
from prismhouse.kit.cursors import decode_cursor, encode_cursor
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Reader

__all__ = ["Reports"]

_ENTRIES = 1000
_ACTIVE = 1000


class Reports:
    """What batches tell beyond their own answer. The batches themselves are `Batches`."""

    def __init__(self, parts: Parts, batches: Batches) -> None:
        self._parts = parts
        self._batches = batches

    async def audit(self, scope: Scope, bucket: str, batch_id: str) -> dict[str, Any]:
        """Return the books of a batch: what was submitted against what is there, tier by tier."""
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            return await audit_batch(tx, await find_batch(self._parts, tx, batch_id, bucket=bucket))

    async def logs(self, scope: Scope, bucket: str, batch_id: str, *, tier: int | None) -> dict[str, Any]:
        """Return the journal of a batch, oldest entry first; with `tier`, of that tier and of the batch as a whole."""
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            batch = await find_batch(self._parts, tx, batch_id, bucket=bucket)
            found = (await journal.entries(tx, [batch.batch_id], tier=tier, limit=_ENTRIES)).get(batch.batch_id, [])
        firsts: dict[str, int] = {}
        for entry in found:
            firsts.setdefault(entry.event, entry.number)
        return {
            "batch_id": batch.batch_id,
            "tier_num": tier,
            "status": batch.status,
            "logs": [
                {
                    "timestamp": iso(entry.created_at),
                    "tier_num": entry.tier,
                    "level": entry.level,
                    "event": entry.event,
                    "message": entry.message,
                    "details": entry.details,
                }
                for entry in found
            ],
            "total": len(found),
            # Of a tier alone, the first number says nothing: entries of other tiers were counted too.
            "truncated": len(found) == _ENTRIES or (tier is None and any(number > 1 for number in firsts.values())),
        }

    async def diagnose(self, scope: Scope, bucket: str, batch_id: str) -> dict[str, Any]:
        """Return what is known of a batch at one look, and what to do."""
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            batch = await find_batch(self._parts, tx, batch_id, bucket=bucket)
            [known] = await gather(tx, [batch], brief=False)
            return diagnosed(known, workers=await reports.workers(unit))

    async def diagnostics(self, scope: Scope, batch_id: str) -> dict[str, Any]:
        """Return a batch as dashboards show it."""
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            batch = await find_batch(self._parts, tx, batch_id)
            [known] = await gather(tx, [batch], brief=False)
            ids = batch.collection_ids
            rows = await self._parts.collections.resolve_known(tx, ids)
            numbers = await self._parts.collections.document_counts(tx, ids)
            names = {name: row.name for name, row in rows.items()}
            return diagnostics(known, workers=await reports.workers(unit), names=names, documents=numbers)

    async def estimate(self, scope: Scope, bucket: str, batch_id: str) -> dict[str, Any]:
        """Return what a draft would do and cost; raise BatchNotDraft."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            batch = await lock_batch(self._parts, tx, batch_id, bucket=bucket)
            return await estimate(self._parts, tx, batch)

    async def queue(self, caller: Caller, *, namespace: str | None) -> dict[str, Any]:
        """Return the active batches that the key opens: those that have work with a worker, and those that wait."""
        async with self._parts.db.read() as tx:
            rows = await reports.active(
                tx, caller.organization_id, patterns=caller.namespaces, namespace=namespace, limit=_ACTIVE
            )
            alive = await reports.workers(tx)
        shown = [_queued(row) for row in rows]
        return {
            "active_jobs": sum(row["jobs_running"] for row in rows),
            "queued_jobs": sum(row["jobs_waiting"] for row in rows),
            # Batches are not admitted one after the other: each has this many chunks queued, and namespaces take turns.
            "max_concurrency": self._parts.chunks_in_flight,
            "max_concurrency_unit": "chunks queued per batch",
            "workers_alive": alive,
            "active": [item for item in shown if item["status"] != BatchStatus.QUEUED],
            "waiting": [item for item in shown if item["status"] == BatchStatus.QUEUED],
            "active_count": sum(item["status"] != BatchStatus.QUEUED for item in shown),
            "waiting_count": sum(item["status"] == BatchStatus.QUEUED for item in shown),
        }

    async def list_everywhere(
        self, caller: Caller, request: ListBatches, page: Page, *, inside: NamespaceId | None, name: str | None
    ) -> tuple[list[dict[str, Any]], int, str | None]:
        """Return a page of batches of all namespaces, or of the one of the header (`inside`) or of the body.

        Raises NamespaceConflict when header and body name two.
        """
        if inside is not None and request.namespace_id not in (None, inside, name):
            raise NamespaceConflict(asked=request.namespace_id, header=inside)
        before = decode_cursor(page.cursor, length=1)[0] if page.cursor else None
        async with self._parts.db.read() as tx:
            rows, total = await reports.list_everywhere(
                tx,
                caller.organization_id,
                patterns=caller.namespaces,
                namespace=inside or _text(request.namespace_id),
                bucket=_text(request.bucket_id),
                status=same_statuses(_text(request.status) or "") or None,
                collection_id=_text(request.collection_id),
                before=before,
                limit=page.limit + 1,
                offset=0 if page.cursor else page.offset,
            )
            shown = rows[: page.limit]
            cursor = encode_cursor([shown[-1].sequence]) if len(rows) > page.limit else None
            return await _answers(tx, shown), total, cursor

    async def cancel(self, scope: Scope, batch_id: str, *, reason: str | None) -> dict[str, Any]:
        """Cancel a batch, of whatever bucket."""
        return await self._batches.cancel(scope, batch_id, reason=reason)

    async def locate(self, caller: Caller, batch_id: str) -> NamespaceCaller:
        """Return the caller in the namespace of a batch that the key opens; raise BatchNotFound."""
        return await self._batches.locate(caller, batch_id)


async def _answers(tx: Reader, rows: Sequence[BatchRow]) -> list[dict[str, Any]]:
    """Return batches of several namespaces in order; statements grow with the namespaces, not with the batches."""
    by_namespace: dict[NamespaceId, list[BatchRow]] = {}
    for row in rows:
        by_namespace.setdefault(row.namespace_id, []).append(row)
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for namespace_id, mine in by_namespace.items():
        for answer in await answers(tx.within(namespace_id), mine, brief=True):
            shown[namespace_id, answer["batch_id"]] = answer
    return [shown[row.namespace_id, row.batch_id] for row in rows]


def _queued(row: dict[str, Any]) -> dict[str, Any]:
    waits = row["status"] == BatchStatus.QUEUED
    until = utc_now() if waits else row["started_at"]
    return {
        "batch_id": row["batch_id"],
        "batch_name": row["batch_name"],
        "namespace_id": row["namespace_id"],
        "bucket_id": row["bucket_id"],
        "task_id": row["task_id"],
        "status": row["status"],
        "priority": row["priority"],
        "object_count": row["object_count"],
        "current_tier": row["current_tier"],
        "total_tiers": row["total_tiers"],
        "batches_ahead": row["ahead"],
        "queue_position": row["ahead"] + 1 if waits else None,
        "running_jobs": row["jobs_running"],
        "queued_jobs": row["jobs_waiting"],
        "queued_at": iso(row["queued_at"]),
        "started_at": iso(row["started_at"]),
        "waited_seconds": round(max(0.0, (until - row["queued_at"]).total_seconds()), 3) if until else None,
    }


def _text(value: str | None) -> str | None:
    return value.replace("\x00", "") if value is not None else None
