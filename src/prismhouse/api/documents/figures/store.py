"""Statements that count documents of a collection by what stands in their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.query.aggregate import Aggregation, Bind, Groups, Records
from prismhouse.query.aggregate import aggregate as aggregate_records
from prismhouse.query.filters import document_columns
from prismhouse.query.filters.columns import Kind
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["aggregate", "distinct"]

_COLUMNS = document_columns("d")
_WHERE = "d.namespace_id = %(namespace_id)s AND d.collection_id = %(collection_id)s AND {condition}"
# A list counts once for each of its items, as filters see it.
_DISTINCT = """
SELECT value, count(*) AS count, count(*) OVER () AS total
FROM (SELECT {stored} AS stored FROM documents AS d WHERE {where}) AS d,
     LATERAL jsonb_path_query(d.stored, 'lax $[*]') AS v(value)
WHERE value <> 'null'
GROUP BY value ORDER BY count(*) DESC, value LIMIT %(limit)s
"""


async def aggregate(
    tx: NamespaceReader, collection_id: str, condition: str, parameters: Mapping[str, Any], request: Aggregation
) -> Groups:
    """Return the groups of matching documents with their metrics; first and last go by creation."""
    records = Records(
        table="documents AS d",
        where=_WHERE.format(condition=condition),
        parameters={**parameters, "collection_id": collection_id},
        stored=_stored,
        order="(d.created_at, d.document_id)",
    )
    return await aggregate_records(tx, records, request)


async def distinct(
    tx: NamespaceReader,
    collection_id: str,
    condition: str,
    parameters: Mapping[str, Any],
    *,
    field: str,
    limit: int,
) -> list[Record]:
    """Return value and count of the most frequent values, and how many values there are."""
    bound: dict[str, Any] = {**parameters, "collection_id": collection_id, "limit": limit}

    def bind(value: Any) -> str:
        name = f"path{len(bound)}"
        bound[name] = value
        return f"%({name})s"

    statement = _DISTINCT.format(stored=_stored(field, bind), where=_WHERE.format(condition=condition))
    return await tx.fetch_all(statement, bound, prepare=False)


def _stored(field: str, bind: Bind) -> str:
    found = [
        f"nullif({place.sql} #> {bind(list(place.path))}::text[], 'null')"
        if place.kind is Kind.JSON
        else f"to_jsonb({place.sql})"
        for place in _COLUMNS.places(field)
    ]
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"
