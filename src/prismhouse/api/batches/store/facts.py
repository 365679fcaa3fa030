"""What is there of the rows of a batch: chunks, failures and documents, looked at row by row, not the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Facts", "facts_of", "is_durable"]

_SAMPLE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Rows of a tier by what is there of them.

    `rows` are those that chunks hold and nobody took back; `open` ones have not run. `processed` have a document now,
    `withdrawn` had one that was deleted or replaced since by somebody who left a trace, `failed` have a failure on
    record, `skipped` were rightly empty. Of the others, `missing`, there is nothing.
    """

    rows: int = 0
    open: int = 0
    processed: int = 0
    withdrawn: int = 0
    failed: int = 0
    skipped: int = 0
    missing: int = 0
    sample: Sequence[str] = field(default_factory=tuple)


# A row that was tried again stands in several chunks: the last one that ran tells. Documents of objects that went went
# with them, and what is deleted on request stands in the audit log under the document's id. Each look is a subquery of
# its own, through a unique index: a join is planned by statistics, which know nothing yet of a batch that runs, and
# took minutes. Materialized, because each column counted would look again.
_FACTS = f"""
WITH held AS (
  SELECT DISTINCT ON (c.tier, c.collection_id, given.source_id)
    c.tier, c.collection_id, given.source_id, c.state, c.done_at, given.letter, given.witness
  FROM batch_chunks AS c,
    unnest(c.source_ids, string_to_array(c.outcomes, NULL), c.witnesses) AS given (source_id, letter, witness)
  WHERE c.namespace_id = %(namespace_id)s AND c.batch_id = %(batch_id)s
    AND (%(tier)s::int IS NULL OR c.tier = %(tier)s) AND given.source_id IS NOT NULL
  ORDER BY c.tier, c.collection_id, given.source_id, c.state = 'done' DESC, c.state = 'canceled', c.chunk DESC
), seen AS MATERIALIZED (
  SELECT held.*,
    CASE
      WHEN held.state <> 'done' THEN held.state
      WHEN EXISTS (SELECT 1 FROM readable.every_document AS d WHERE d.namespace_id = %(namespace_id)s
        AND d.document_id = held.witness AND d.collection_id = held.collection_id) THEN 'processed'
      WHEN EXISTS (SELECT 1 FROM row_failures AS f WHERE f.namespace_id = %(namespace_id)s
        AND f.batch_id = %(batch_id)s AND f.tier = held.tier AND f.collection_id = held.collection_id
        AND f.source_id = held.source_id AND f.part = 0) THEN 'failed'
      WHEN held.letter = 's' THEN 'skipped'
      ELSE 'missing'
    END AS fate
  FROM held
), judged AS MATERIALIZED (
  SELECT tier, source_id, CASE
    WHEN fate <> 'missing' THEN fate
    WHEN letter IS DISTINCT FROM 'f' AND EXISTS (
      SELECT 1 FROM readable.every_document AS other WHERE other.namespace_id = %(namespace_id)s
        AND other.collection_id = seen.collection_id
        AND ((tier = 0 AND other.root_object_id = seen.source_id) OR other.source_document_id = seen.source_id)
      ) THEN CASE WHEN letter = 'p' THEN 'withdrawn' ELSE 'processed' END
    WHEN letter = 'p' AND (
      EXISTS (SELECT 1 FROM audit_events AS a WHERE a.resource_id = seen.witness AND a.resource_type = 'document'
        AND a.namespace_id = %(namespace_id)s AND a.action LIKE 'document%%deleted' AND a.status = 'success')
      OR EXISTS (SELECT 1 FROM batch_journal AS j WHERE j.namespace_id = %(namespace_id)s
        AND j.batch_id = %(batch_id)s AND j.event = 'documents.deleted' AND j.created_at >= seen.done_at)
      OR NOT EXISTS (SELECT 1 FROM collections AS c
        WHERE c.namespace_id = %(namespace_id)s AND c.collection_id = seen.collection_id)
      OR (tier = 0 AND %(of_objects)s AND NOT EXISTS (SELECT 1 FROM objects AS o
        WHERE o.namespace_id = %(namespace_id)s AND o.object_id = seen.source_id AND o.lifecycle_state = 'active'))
      OR ((tier > 0 OR NOT %(of_objects)s) AND NOT EXISTS (SELECT 1 FROM readable.every_document AS up
        WHERE up.namespace_id = %(namespace_id)s AND up.document_id = seen.source_id))
    ) THEN 'withdrawn'
    ELSE 'missing'
  END AS fate FROM seen
)
SELECT tier,
  count(*) FILTER (WHERE fate <> 'canceled') AS rows,
  count(*) FILTER (WHERE fate IN ('pending', 'queued')) AS open,
  count(*) FILTER (WHERE fate = 'processed') AS processed,
  count(*) FILTER (WHERE fate = 'withdrawn') AS withdrawn,
  count(*) FILTER (WHERE fate = 'failed') AS failed,
  count(*) FILTER (WHERE fate = 'skipped') AS skipped,
  count(*) FILTER (WHERE fate = 'missing') AS missing,
  coalesce((array_agg(source_id ORDER BY source_id) FILTER (WHERE fate = 'missing'))[1:{_SAMPLE}], '{{}}') AS sample
FROM judged GROUP BY tier ORDER BY tier
"""


async def facts_of(
    tx: NamespaceReader, batch_id: str, *, of_objects: bool, tier: int | None = None
) -> dict[int, Facts]:
    """Return what is there, by tier; one row of a chunk is looked up in three indexes.

    Args:
        of_objects: whether the first tier reads objects; documents of another collection otherwise.
        tier: only this one.
    """
    rows = await tx.fetch_all(_FACTS, {"batch_id": batch_id, "tier": tier, "of_objects": of_objects})
    return {row.pop("tier"): Facts(**row) for row in rows}


async def is_durable(tx: NamespaceReader) -> bool:
    """Return whether this PostgreSQL has on disk what it has said was committed."""
    return bool(
        await tx.fetch_value(
            "SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off'"
            " AND %(namespace_id)s <> ''"
        )
    )
