"""How a batch stands, in one line: whoever watches it asks again and again."""

from __future__ import annotations

from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["standing"]

_STANDING = """
SELECT concat_ws(' ', status, current_tier, object_count,
  (SELECT string_agg(status, ',' ORDER BY tier) FROM batch_tiers
   WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s),
  (SELECT concat_ws(' ', sum(submitted), sum(processed), sum(failed), sum(skipped), sum(documents_written))
   FROM batch_counts WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s))
FROM batches WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s
"""


async def standing(tx: NamespaceReader, batch_id: str) -> str | None:
    """Return a text that differs whenever a reader would be told something; None when there is no such batch."""
    found: str | None = await tx.fetch_value(_STANDING, {"batch_id": batch_id})
    return found
