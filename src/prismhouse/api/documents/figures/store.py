"""Statements that count documents of a collection by what stands in their fields."""

from __future__ import annotations

from typing import Any

from prismhouse.query.aggregate import Aggregation, Bind, Groups, Records
from prismhouse.query.aggregate import aggregate as aggregate_records
from prismhouse.query.filters import document_columns, guarded
from prismhouse.query.filters.columns import Kind, Place
from prismhouse.query.listing import Selection
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["aggregate", "distinct"]

_COLUMNS = document_columns("d")
# A list counts once for each of its items, as filters see it.
_DISTINCT = """
SELECT value, count(*) AS count, count(*) OVER () AS total
FROM (SELECT {stored} AS stored FROM documents AS d WHERE {where}) AS d,
     LATERAL jsonb_path_query(d.stored, 'lax $[*]') AS v(value)
WHERE value <> 'null'
GROUP BY value ORDER BY count(*) DESC, value LIMIT %(limit)s
"""


async def aggregate(tx: NamespaceReader, selection: Selection, request: Aggregation) -> Groups:
    """Return the groups of selected documents with their metrics; first and last go by creation."""
    where, parameters = selection.where()
    records = Records(
        table="documents AS d",
        where=where,
        parameters=parameters,
        stored=_stored,
        order=["d.created_at", "d.document_id"],
    )
    async with guarded(tx, selection.filter):
        return await aggregate_records(tx, records, request)


async def distinct(tx: NamespaceReader, selection: Selection, *, field: str, limit: int) -> list[Record]:
    """Return value and count of the most frequent values, and how many values there are."""
    where, parameters = selection.where()
    bound: dict[str, Any] = {**parameters, "limit": limit}

    def bind(value: Any) -> str:
        name = f"path{len(bound)}"
        bound[name] = value
        return f"%({name})s"

    statement = _DISTINCT.format(stored=_stored(field, bind), where=where)
    async with guarded(tx, selection.filter):
        return await tx.fetch_all(statement, bound, prepare=False)


def _stored(field: str, bind: Bind) -> str:
    places = _COLUMNS.places(field)
    found = [_at(place, bind) if place.kind is Kind.JSON else f"to_jsonb({place.sql})" for place in places]
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


def _at(place: Place, bind: Bind) -> str:
    if any(name.isdecimal() for name in place.path):  # perhaps an item of a list
        return f"nullif({place.sql} #> {bind(list(place.path))}::text[], 'null')"
    keys = "".join(f" -> {bind(name)}::text" for name in place.path)
    return f"nullif({place.sql}{keys}, 'null')"
