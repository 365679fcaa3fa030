"""Everything that is known of some batches, read with a fixed number of statements however many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prismhouse.api.batches.model import ACTIVE, BatchRow, BatchStatus, CountsRow, TierRow
from prismhouse.api.batches.store import amounts, chunks, failures, journal, ledger, waiting
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store.failures import FailureGroup
from prismhouse.api.batches.store.journal import Entry
from prismhouse.api.batches.store.ledger import FailedObject
from prismhouse.engine.pipeline.amounts import summed
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Gathered", "gather"]

_FAILED_SHOWN = 100
_FAILED_IN_LISTS = 10
_IDS_IN_LISTS = 100
_SKIPPED_SHOWN = 1000
_ENTRIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What is known of one batch. `entries` and `skipped_ids` are empty where it is one of a list."""

    row: BatchRow
    object_ids: Sequence[str] = ()
    tiers: Sequence[TierRow] = ()
    counts: Sequence[CountsRow] = ()
    amounts: Mapping[tuple[int, str], Mapping[tuple[str, str], float]] = field(default_factory=dict)
    failed: tuple[int, Sequence[FailedObject]] = (0, ())
    partial: tuple[int, Sequence[FailedObject]] = (0, ())
    failures: Sequence[FailureGroup] = ()
    entries: Sequence[Entry] = ()
    skipped_ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ahead: int | None = None
    jobs: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Counts:
        """The counts of all tiers."""
        return Counts.total(item.counts for item in self.counts)

    def of_tier(self, tier: int) -> list[CountsRow]:
        """Return the counts of one tier."""
        return [item for item in self.counts if item.tier == tier]

    def amount(self, kind: str, *, tier: int | None = None, collection_id: str | None = None) -> dict[str, float]:
        """Return the amounts of a kind by name: of all, of a tier, of a collection in it."""
        chosen = [
            found
            for (number, name), found in self.amounts.items()
            if tier in (None, number) and collection_id in (None, name)
        ]
        return {name: amount for (of, name), amount in summed(chosen).items() if of == kind}


async def gather(tx: NamespaceReader, rows: Sequence[BatchRow], *, brief: bool) -> list[Gathered]:
    """Return what is known of the batches; `brief` leaves out what lists do not show."""
    ids = [row.batch_id for row in rows]
    active = [row.batch_id for row in rows if row.status in ACTIVE]
    objects = await store.object_ids_of(tx, ids, limit=_IDS_IN_LISTS if brief else None)
    tiers = await chunks.tiers_of(tx, ids)
    counts = await ledger.counts_of(tx, ids)
    took = await amounts.of_batches(tx, ids)
    most = _FAILED_IN_LISTS if brief else _FAILED_SHOWN
    failed = await ledger.failed_objects_of(tx, ids, most)
    partial = await ledger.partial_objects_of(tx, ids, most)
    groups = await failures.groups_of(tx, ids)
    ahead = await waiting.ahead_of(tx, active) if active else {}
    jobs = await waiting.jobs_of(tx, active) if active else {}
    entries = {} if brief else await journal.entries(tx, ids, limit=_ENTRIES)
    skipped = {} if brief else {row.batch_id: await _skipped(tx, row, counts.get(row.batch_id, [])) for row in rows}
    return [
        Gathered(
            row=row,
            object_ids=objects.get(row.batch_id, []),
            tiers=tiers.get(row.batch_id, []),
            counts=counts.get(row.batch_id, []),
            amounts=took.get(row.batch_id, {}),
            failed=failed.get(row.batch_id, (0, [])),
            partial=partial.get(row.batch_id, (0, [])),
            failures=groups.get(row.batch_id, []),
            entries=entries.get(row.batch_id, []),
            skipped_ids=skipped.get(row.batch_id, {}),
            ahead=ahead.get(row.batch_id),
            jobs=jobs.get(row.batch_id, {}),
        )
        for row in rows
    ]


async def _skipped(tx: NamespaceReader, row: BatchRow, counts: Sequence[CountsRow]) -> Mapping[str, Sequence[str]]:
    """Return sources that had documents already, by collection: only the first tier's sources are objects."""
    names = [item.collection_id for item in counts if item.tier == 0 and item.counts.deduplicated]
    if not names or row.status is BatchStatus.DRAFT:
        return {}
    return await chunks.objects_left_out(tx, row.batch_id, names, limit=_SKIPPED_SHOWN)
