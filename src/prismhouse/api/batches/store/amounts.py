"""What collections of a batch took and dropped, by kind and name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prismhouse.engine.pipeline.amounts import Amounts
from prismhouse.kit.ids import BatchId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["add", "of_batches"]


async def add(tx: NamespaceWriter, batch_id: BatchId, tier: int, collection_id: str, amounts: Amounts) -> None:
    """Add to the amounts of a collection in a tier. The caller holds the batch: two chunks must not cross here."""
    if not amounts:
        return
    keys = sorted(amounts)
    await tx.execute(
        """
        INSERT INTO batch_amounts (namespace_id, batch_id, tier, collection_id, kind, name, amount)
        SELECT %(namespace_id)s, %(batch_id)s, %(tier)s, %(collection_id)s, given.*
        FROM unnest(%(kinds)b::text[], %(names)b::text[], %(amounts)b::float8[]) AS given
        ON CONFLICT (namespace_id, batch_id, tier, collection_id, kind, name)
        DO UPDATE SET amount = batch_amounts.amount + excluded.amount
        """,
        {
            "batch_id": batch_id,
            "tier": tier,
            "collection_id": collection_id,
            "kinds": [kind for kind, _ in keys],
            "names": [name.replace("\x00", "") for _, name in keys],
            "amounts": [float(amounts[key]) for key in keys],
        },
    )


async def of_batches(
    tx: NamespaceReader, batch_ids: Sequence[str]
) -> dict[str, Mapping[tuple[int, str], dict[tuple[str, str], float]]]:
    """Return the amounts of batches: by batch, by (tier, collection), by (kind, name)."""
    rows = await tx.fetch_all(
        "SELECT batch_id, tier, collection_id, kind, name, amount FROM batch_amounts"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = ANY(%(batch_ids)b)",
        {"batch_ids": list(batch_ids)},
    )
    found: dict[str, dict[tuple[int, str], dict[tuple[str, str], float]]] = {}
    for row in rows:
        of_collection = found.setdefault(row["batch_id"], {}).setdefault((row["tier"], row["collection_id"]), {})
        of_collection[row["kind"], row["name"]] = row["amount"]
    return dict(found)
