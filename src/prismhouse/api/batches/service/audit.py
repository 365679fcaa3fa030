"""The books of a batch: what was submitted against what is really there, row by row."""

from __future__ import annotations

from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus, TierRow
from prismhouse.api.batches.store import chunks, facts, ledger
from prismhouse.api.batches.store.facts import Facts
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["audit_batch", "audit_tier", "books"]

_STOPPED = frozenset({"CANCELED", "SKIPPED", "FAILED"})


async def audit_batch(tx: NamespaceReader, batch: BatchRow) -> dict[str, Any]:
    """Return the books of all tiers as they are now."""
    tiers = await chunks.tiers(tx, batch.batch_id)
    counts = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    found = await facts.facts_of(tx, batch.batch_id, of_objects=_reads_objects(batch))
    durable = await facts.is_durable(tx)
    shown = [
        books(
            tier,
            Counts.total(item.counts for item in counts if item.tier == tier.tier),
            found.get(tier.tier, Facts()),
            durable=durable,
        )
        for tier in tiers
    ]
    return {
        "batch_id": batch.batch_id,
        "all_balanced": batch.status is not BatchStatus.DRAFT and all(tier["balanced"] for tier in shown),
        "has_lost_objects": any(tier["lost"] for tier in shown),
        "tiers": shown,
    }


async def audit_tier(tx: NamespaceReader, batch: BatchRow, tier: TierRow, counts: Counts) -> dict[str, Any]:
    """Return the books of one tier, which `tx` may be about to end."""
    found = await facts.facts_of(tx, batch.batch_id, of_objects=_reads_objects(batch), tier=tier.tier)
    return books(tier, counts, found.get(tier.tier, Facts()), durable=await facts.is_durable(tx))


def books(tier: TierRow, counts: Counts, found: Facts, *, durable: bool) -> dict[str, Any]:
    """Hold what is there against what was counted as submitted; a tier that still runs has no balance yet."""
    not_run = found.open if tier.status in _STOPPED else 0
    processed, failed, skipped = found.processed + found.withdrawn, found.failed, found.skipped
    submitted = max(counts.submitted, found.rows) - not_run
    over = tier.completed_at is not None
    lost = max(0, submitted - processed - failed - skipped) if over else 0
    return {
        "tier_num": tier.tier,
        "submitted": submitted if over else None,
        "processed": processed,
        "failed": failed,
        "skipped": skipped,
        "lost": lost,
        "balanced": over and submitted == processed + failed + skipped,
        "notes": _notes(counts, found, not_run=not_run, over=over),
        "durability": _durability(processed, over=over, durable=durable),
    }


def _notes(counts: Counts, found: Facts, *, not_run: int, over: bool) -> list[str]:
    notes = []
    if not over and found.open:
        notes.append(f"{found.open} of {found.rows} rows are still to be run.")
    if counts.deduplicated:
        notes.append(f"{counts.deduplicated} rows had documents already and were not submitted.")
    if not_run:
        notes.append(f"{not_run} rows were never run, because the tier was stopped.")
    if counts.canceled:
        notes.append(f"{counts.canceled} rows were cancelled before they ran, and are not submitted any more.")
    if found.withdrawn:
        notes.append(f"The documents of {found.withdrawn} processed rows were deleted or replaced since.")
    if found.missing:
        notes.append(f"{found.missing} rows ended, but there is nothing of them: {', '.join(found.sample)}.")
    if found.rows != counts.submitted:
        notes.append(f"Chunks hold {found.rows} rows, {counts.submitted} were counted as submitted.")
    counted = (counts.processed, counts.failed, counts.skipped)
    there = (found.processed + found.withdrawn, found.failed, found.skipped)
    if over and counted != there:
        names = ("processed", "failed", "skipped")
        differ = [
            f"{one} {name}, not {two}" for name, one, two in zip(names, there, counted, strict=True) if one != two
        ]
        notes.append(f"There are {'; '.join(differ)} as was counted.")
    return notes


def _durability(processed: int, *, over: bool, durable: bool) -> str | None:
    if not over:
        return None
    return "confirmed" if processed and durable else "untracked"


def _reads_objects(batch: BatchRow) -> bool:
    return batch.type != "COLLECTION"
