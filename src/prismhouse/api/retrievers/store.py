"""Every SQL statement about retrievers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.query.filters import Filter, retriever_columns, to_sql
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record, Writer

__all__ = [
    "SORTABLE",
    "delete",
    "find",
    "find_execution",
    "insert",
    "list_executions",
    "list_page",
    "record_executions",
    "update",
]

_INSERT = """
INSERT INTO retrievers (namespace_id, retriever_id, retriever_name, definition, created_by, updated_by)
VALUES (%(namespace_id)s, %(retriever_id)s, %(retriever_name)s, %(definition)s, %(by)s, %(by)s)
ON CONFLICT (namespace_id, retriever_name) DO NOTHING
RETURNING *
"""
_FIND = """
SELECT * FROM retrievers
WHERE namespace_id = %(namespace_id)s AND (retriever_id = %(identifier)s OR retriever_name = %(identifier)s)
ORDER BY retriever_id = %(identifier)s DESC LIMIT 1
"""
_UPDATE = """
UPDATE retrievers
SET retriever_name = %(retriever_name)s, definition = %(definition)s, updated_by = %(by)s, updated_at = now(),
    version = version + 1
WHERE namespace_id = %(namespace_id)s AND retriever_id = %(retriever_id)s
RETURNING *
"""
_DELETE = "DELETE FROM retrievers WHERE namespace_id = %(namespace_id)s AND retriever_id = %(retriever_id)s"
_LIST = """
SELECT r.*, count(*) OVER () AS matching FROM retrievers AS r
WHERE r.namespace_id = %(namespace_id)s AND {condition}
  AND (%(search)s::text IS NULL OR CASE WHEN %(case_sensitive)s THEN strpos({text}, %(search)s)
       ELSE strpos(lower({text}), lower(%(search)s)) END > 0)
ORDER BY {order} r.retriever_id LIMIT %(limit)s OFFSET %(offset)s
"""
_SEARCHED = "concat_ws(' ', r.retriever_id, r.retriever_name, r.definition ->> 'description')"
SORTABLE = ("retriever_name", "retriever_id", "version", "created_at", "updated_at")
# Runs of a retriever, or of a namespace, that is gone in the meantime are left out.
_RECORD = """
INSERT INTO retriever_executions
  (namespace_id, execution_id, retriever_id, status, duration_ms, returned, inputs_hash, error, created_at)
SELECT g.* FROM unnest(
  %(namespaces)b::text[], %(ids)b::text[], %(retrievers)b::text[], %(statuses)b::text[], %(durations)b::float8[],
  %(returned)b::int4[], %(hashes)b::text[], %(errors)b::text[], %(times)b::timestamptz[]
) AS g (namespace_id, execution_id, retriever_id, status, duration_ms, returned, inputs_hash, error, created_at)
JOIN namespaces AS n USING (namespace_id)
LEFT JOIN retrievers AS r USING (namespace_id, retriever_id)
WHERE g.retriever_id IS NULL OR r.retriever_id IS NOT NULL
ON CONFLICT DO NOTHING
"""
_EXECUTIONS = """
SELECT *, count(*) OVER () AS matching FROM retriever_executions
WHERE namespace_id = %(namespace_id)s AND retriever_id IS NOT DISTINCT FROM %(retriever_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY created_at DESC, execution_id LIMIT %(limit)s OFFSET %(offset)s
"""
_EXECUTION = """
SELECT * FROM retriever_executions
WHERE namespace_id = %(namespace_id)s AND execution_id = %(execution_id)s
  AND retriever_id IS NOT DISTINCT FROM %(retriever_id)s
"""


async def insert(
    tx: NamespaceWriter, *, retriever_id: str, name: str, definition: Mapping[str, Any], by: str | None
) -> Record | None:
    """Return the new record, or None when the name is taken."""
    parameters = {"retriever_id": retriever_id, "retriever_name": name, "definition": Jsonb(definition), "by": by}
    return await tx.fetch_one(_INSERT, parameters)


async def find(tx: NamespaceReader, identifier: str, *, lock: bool = False) -> Record | None:
    """Return the record with this id or name; an id counts before a name."""
    if "\x00" in identifier:
        return None
    return await tx.fetch_one(_FIND + (" FOR UPDATE" if lock else ""), {"identifier": identifier})


async def update(
    tx: NamespaceWriter, *, retriever_id: str, name: str, definition: Mapping[str, Any], by: str | None
) -> Record | None:
    """Store a changed retriever as its next version; the name may raise UniqueViolation."""
    parameters = {"retriever_id": retriever_id, "retriever_name": name, "definition": Jsonb(definition), "by": by}
    return await tx.fetch_one(_UPDATE, parameters)


async def delete(tx: NamespaceWriter, retriever_id: str) -> int:
    """Remove the retriever with its executions."""
    return await tx.execute(_DELETE, {"retriever_id": retriever_id})


async def list_page(
    tx: NamespaceReader,
    *,
    search: str | None,
    case_sensitive: bool,
    filters: Filter,
    sorts: Sequence[tuple[str, bool]],
    limit: int,
    offset: int,
) -> list[Record]:
    """Return a page; `matching` counts all. `sorts`: names of SORTABLE, each with whether it is descending."""
    condition, parameters = to_sql(filters, retriever_columns("r"))
    order = "".join(f"r.{name} {'DESC' if descending else 'ASC'}, " for name, descending in sorts)
    statement = _LIST.format(condition=condition, text=_SEARCHED, order=order)
    search = search.replace("\x00", "") if search else None
    given = {"search": search, "case_sensitive": case_sensitive, "limit": limit, "offset": offset}
    return await tx.fetch_all(statement, parameters | given, prepare=False)


async def record_executions(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store finished runs of any namespaces."""
    columns = {
        "namespaces": "namespace_id",
        "ids": "execution_id",
        "retrievers": "retriever_id",
        "statuses": "status",
        "durations": "duration_ms",
        "returned": "returned",
        "hashes": "inputs_hash",
        "errors": "error",
        "times": "created_at",
    }
    await tx.execute(_RECORD, {name: [row[column] for row in rows] for name, column in columns.items()})


async def list_executions(
    tx: NamespaceReader, *, retriever_id: str | None, status: str | None, limit: int, offset: int
) -> list[Record]:
    """Return a page of runs, newest first; `matching` counts all. No retriever: ad hoc runs."""
    parameters = {"retriever_id": retriever_id, "status": status, "limit": limit, "offset": offset}
    return await tx.fetch_all(_EXECUTIONS, parameters)


async def find_execution(tx: NamespaceReader, *, retriever_id: str | None, execution_id: str) -> Record | None:
    """Return one run."""
    if "\x00" in execution_id:
        return None
    return await tx.fetch_one(_EXECUTION, {"retriever_id": retriever_id, "execution_id": execution_id})
