"""Find a batch for a verb: what is missing, or in no state for it, is refused in one way."""

from __future__ import annotations

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import control
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = [
    "BatchEnded",
    "BatchIsActive",
    "BatchNotFound",
    "BatchNotTerminal",
    "BatchResumes",
    "ended_batch",
    "find_batch",
    "lock_batch",
]


class BatchNotFound(WarehouseError):
    """No batch {batch_id} here."""

    code = Code.NOT_FOUND
    hint = "List the bucket's batches, or check the X-Namespace header."


class BatchEnded(WarehouseError):
    """Batch {batch_id} is {status}: it has ended and cannot be cancelled."""

    code = Code.BAD_REQUEST
    hint = "Its documents stay; create another batch to process the objects again."


class BatchIsActive(WarehouseError):
    """Batch {batch_id} is {status}."""

    code = Code.CONFLICT
    hint = "Cancel it first, or wait until it has ended."


class BatchNotTerminal(WarehouseError):
    """Batch {batch_id} is {status}; only a batch that has ended can be {verb}."""

    code = Code.BAD_REQUEST
    hint = "Wait until it has ended, or cancel it."


class BatchResumes(WarehouseError):
    """Batch {batch_id} resumes from tier {tier}, which earlier tiers feed: objects cannot be added."""

    code = Code.BAD_REQUEST
    hint = "Create another batch for them."


async def find_batch(parts: Parts, tx: NamespaceReader, batch_id: str, *, bucket: str | None = None) -> BatchRow:
    """Return the batch, if it is of the bucket; raise BatchNotFound."""
    bucket_id = (await parts.buckets.resolve(tx, bucket)).bucket_id if bucket is not None else None
    found = await store.find(tx, batch_id, bucket_id=bucket_id) if "\x00" not in batch_id else None
    if found is None:
        raise BatchNotFound(batch_id=batch_id)
    return found


async def lock_batch(parts: Parts, tx: NamespaceWriter, batch_id: str, *, bucket: str | None = None) -> BatchRow:
    """Return the batch, which nobody else changes until the transaction ends."""
    await find_batch(parts, tx, batch_id, bucket=bucket)
    batch = await store.lock(tx, batch_id)
    if batch is None:
        raise BatchNotFound(batch_id=batch_id)
    return batch


async def ended_batch(parts: Parts, tx: NamespaceWriter, batch_id: str, *, bucket: str, verb: str) -> BatchRow:
    """Return the batch, locked with its chunks; raise BatchNotTerminal unless it has ended."""
    batch = await find_batch(parts, tx, batch_id, bucket=bucket)
    if batch.is_terminal:
        await control.hold_chunks(tx, batch_id)
        batch = await lock_batch(parts, tx, batch_id)
    if not batch.is_terminal:
        raise BatchNotTerminal(batch_id=batch_id, status=batch.status.value, verb=verb)
    return batch
