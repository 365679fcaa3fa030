"""Grouped numbers over the objects of a bucket."""

from __future__ import annotations

from prismhouse.api.objects.store.lists import Selection
from prismhouse.query.aggregate import Aggregation, Bind, Groups, Records
from prismhouse.query.aggregate import aggregate as aggregate_records
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["aggregate"]

_COLUMNS = {
    name: f"to_jsonb(o.{name})"
    for name in ("object_id", "bucket_id", "status", "key_prefix", "created_at", "updated_at")
}


async def aggregate(tx: NamespaceReader, selection: Selection, request: Aggregation) -> Groups:
    """Return the groups of selected objects with their metrics."""
    where, parameters = selection.where()
    records = Records(
        table="objects o",
        where=where.removeprefix(" WHERE "),
        parameters=parameters,
        stored=_stored,
        order=["o.sequence"],
    )
    return await aggregate_records(tx, records, request)


def _stored(field: str, bind: Bind) -> str:
    if field in _COLUMNS:
        return _COLUMNS[field]
    path = field.split(".")
    below = path[1:] if path[0] == "metadata" and path[1:] else path
    found = f"coalesce(o.fields #> {bind(path)}::text[], o.metadata #> {bind(below)}::text[])"
    return f"nullif({found}, 'null'::jsonb)"
