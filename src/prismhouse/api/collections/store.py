"""Every statement about collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from prismhouse.kit.cursors import BadCursor
from prismhouse.query.filters import Columns, Filter, to_sql
from prismhouse.query.filters.columns import Kind, Place
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record

__all__ = [
    "SORTABLE",
    "Matching",
    "delete",
    "delete_documents",
    "disable_downstream",
    "document_counts",
    "fed_by",
    "find",
    "find_id",
    "find_many",
    "give_vectors",
    "insert",
    "matching",
    "page",
    "total",
    "update",
]

_COLUMNS = """collection_id, collection_name, description, source, source_ids, feature_extractor, input_schema,
  output_schema, vector_indexes, metadata, config, enabled, disabled_reason, schema_version, created_at, updated_at"""
SORTABLE = {"created_at": "created_at", "updated_at": "updated_at", "collection_name": "collection_name"}

# Any other field is looked up in the row as JSON, `metadata.team` and `feature_extractor.version` among them.
_FIELDS = Columns(
    exact={
        "collection_id": Place(Kind.TEXT, "c.collection_id", (), ("collection_id",)),
        "created_at": Place(Kind.TIME, "c.created_at", (), ("created_at",)),
        "updated_at": Place(Kind.TIME, "c.updated_at", (), ("updated_at",)),
    },
    prefixes={},
    root="to_jsonb(c)",
)


@dataclass(frozen=True, slots=True)
class Matching:
    """A condition on `collections AS c` with its parameters."""

    where: str
    parameters: Mapping[str, Any]


_INSERT = f"""
INSERT INTO collections (namespace_id, collection_id, collection_name, description, source, source_ids,
  feature_extractor, input_schema, output_schema, vector_indexes, metadata, config, enabled)
VALUES (%(namespace_id)s, %(collection_id)s, %(collection_name)s, %(description)s, %(source)s, %(source_ids)b,
  %(feature_extractor)s, %(input_schema)s, %(output_schema)s, %(vector_indexes)s, %(metadata)s, %(config)s,
  %(enabled)s)
ON CONFLICT (namespace_id, collection_name) DO NOTHING
RETURNING {_COLUMNS}
"""
_FIND = f"""
SELECT {_COLUMNS} FROM collections
WHERE namespace_id = %(namespace_id)s AND (collection_id = %(identifier)s OR collection_name = %(identifier)s)
ORDER BY collection_id = %(identifier)s DESC LIMIT 1
"""
_FIND_ID = """
SELECT collection_id FROM collections
WHERE namespace_id = %(namespace_id)s AND (collection_id = %(identifier)s OR collection_name = %(identifier)s)
ORDER BY collection_id = %(identifier)s DESC LIMIT 1
"""
_FIND_MANY = f"""
SELECT {_COLUMNS} FROM collections
WHERE namespace_id = %(namespace_id)s
  AND (collection_id = ANY(%(identifiers)b) OR collection_name = ANY(%(identifiers)b))
ORDER BY collection_id
"""
_FED_BY = f"""
SELECT {_COLUMNS} FROM collections
WHERE namespace_id = %(namespace_id)s AND source_ids && %(source_ids)b
ORDER BY created_at, collection_id
"""
_MATCHING = """c.namespace_id = %(namespace_id)s AND (%(search)s::text IS NULL OR c.collection_id = %(exact)s
  OR c.collection_name LIKE %(search)s OR c.description LIKE %(search)s)"""
_UPDATE = f"""
UPDATE collections SET
  collection_name = %(collection_name)s, description = %(description)s, metadata = %(metadata)s,
  config = %(config)s, enabled = %(enabled)s, disabled_reason = %(disabled_reason)s, updated_at = now()
WHERE namespace_id = %(namespace_id)s AND collection_id = %(collection_id)s
RETURNING {_COLUMNS}
"""
_GIVE_VECTORS = """
UPDATE collections SET vector_indexes = %(vector_indexes)s, updated_at = now()
WHERE namespace_id = %(namespace_id)s AND feature_extractor ->> 'feature_extractor_name' = %(extractor_name)s
"""
_DISABLE_DOWNSTREAM = """
UPDATE collections SET enabled = false, disabled_reason = %(reason)s, updated_at = now()
WHERE namespace_id = %(namespace_id)s AND source_ids && %(source_ids)b
RETURNING collection_id
"""
_DELETE = "DELETE FROM collections WHERE namespace_id = %(namespace_id)s AND collection_id = %(collection_id)s"
_DELETE_DOCUMENTS = """
DELETE FROM documents WHERE namespace_id = %(namespace_id)s AND collection_id = %(collection_id)s
"""
_DOCUMENT_COUNTS = """
SELECT collection_id, sum(document_count)::bigint AS documents FROM collection_counters
WHERE namespace_id = %(namespace_id)s AND collection_id = ANY(%(collection_ids)b)
GROUP BY collection_id
"""


async def insert(tx: NamespaceWriter, values: Mapping[str, Any]) -> Record | None:
    """Store a collection; return None when the name is taken."""
    return await tx.fetch_one(_INSERT, _wrapped(values))


async def give_vectors(tx: NamespaceWriter, extractor_name: str, vector_indexes: Sequence[Mapping[str, Any]]) -> None:
    """Give all collections of this extractor the same vectors."""
    await tx.execute(_GIVE_VECTORS, {"extractor_name": extractor_name, "vector_indexes": Jsonb(list(vector_indexes))})


async def find(tx: NamespaceReader, identifier: str, *, lock: bool = False) -> Record | None:
    """Return the collection with this id, else the one with this name; `lock` keeps it until the end."""
    if "\x00" in identifier:
        return None
    return await tx.fetch_one(_FIND + ("FOR UPDATE" if lock else ""), {"identifier": identifier})


async def find_many(tx: NamespaceReader, identifiers: Sequence[str]) -> list[Record]:
    """Return the collections with these ids or names."""
    return await tx.fetch_all(_FIND_MANY, {"identifiers": [one for one in identifiers if "\x00" not in one]})


async def find_id(tx: NamespaceReader, identifier: str) -> str | None:
    """Return the id of the collection with this id or name."""
    return None if "\x00" in identifier else await tx.fetch_value(_FIND_ID, {"identifier": identifier})


async def fed_by(tx: NamespaceReader, source_ids: Sequence[str]) -> list[Record]:
    """Return the collections that have one of these buckets or collections as a source."""
    return await tx.fetch_all(_FED_BY, {"source_ids": list(source_ids)})


async def using_model(tx: NamespaceReader, model: str) -> list[str]:
    """Return the names of up to 20 collections that name an embedding model."""
    rows = await tx.fetch_all(
        """
        SELECT collection_name FROM collections
        WHERE namespace_id = %(namespace_id)s
          AND feature_extractor -> 'parameters' ->> 'embedding_model' = %(model)s
        ORDER BY collection_name LIMIT 20""",
        {"model": model},
    )
    return [row["collection_name"] for row in rows]


async def page(
    tx: NamespaceReader,
    *,
    matching: Matching,
    sort: str,
    descending: bool,
    after: Sequence[Any] | None,
    limit: int,
    offset: int,
) -> list[Record]:
    """Return collections ordered by a column of SORTABLE, then by id; `after` holds both of the last one."""
    column, order, beyond = SORTABLE[sort], *(("DESC", "<") if descending else ("ASC", ">"))
    cast = "text" if column == "collection_name" else "timestamptz"
    keyset = f"AND (c.{column}, c.collection_id) {beyond} (%(value)s::{cast}, %(id)s)" if after else ""
    value, identifier = after or (None, None)
    try:
        return await tx.fetch_all(
            f"SELECT {_COLUMNS} FROM collections AS c WHERE {matching.where} {keyset}"
            f" ORDER BY c.{column} {order}, c.collection_id {order} LIMIT %(limit)s OFFSET %(offset)s",
            {**matching.parameters, "value": value, "id": identifier, "limit": limit, "offset": offset},
        )
    except psycopg.DataError as error:
        if after:  # the only text here that is not checked before is the cursor's
            raise BadCursor from error
        raise


async def total(tx: NamespaceReader, matching: Matching) -> int:
    """Return how many collections match."""
    return int(
        await tx.fetch_value(f"SELECT count(*) FROM collections AS c WHERE {matching.where}", matching.parameters)
    )


def matching(*, search: str | None, case_sensitive: bool, filters: Filter) -> Matching:
    """Return the condition for collections whose name or description holds `search` and that pass `filters`."""
    where = _MATCHING if case_sensitive else _MATCHING.replace(" LIKE ", " ILIKE ")
    condition, values = to_sql(filters, _FIELDS, prefix="filter")
    return Matching(where=f"{where} AND {condition}", parameters={**_search(search), **values})


def _search(search: str | None) -> dict[str, Any]:
    if not search:
        return {"search": None, "exact": None}
    escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return {"search": f"%{escaped}%", "exact": search}


async def update(tx: NamespaceWriter, collection_id: str, values: Mapping[str, Any]) -> Record | None:
    """Replace the mutable columns; raise psycopg's UniqueViolation inside a savepoint as None: the name is taken."""
    try:
        async with tx.savepoint():
            return await tx.fetch_one(_UPDATE, {**_wrapped(values), "collection_id": collection_id})
    except psycopg.errors.UniqueViolation:
        return None


async def disable_downstream(tx: NamespaceWriter, collection_id: str, reason: Mapping[str, Any]) -> list[str]:
    """Disable the collections fed by this one and return their ids."""
    rows = await tx.fetch_all(_DISABLE_DOWNSTREAM, {"source_ids": [collection_id], "reason": Jsonb(reason)})
    return [row["collection_id"] for row in rows]


async def delete_documents(tx: NamespaceWriter, collection_id: str) -> int:
    """Delete all documents of the collection, which may take minutes, and return how many there were."""
    await tx.unscoped.execute("SET LOCAL statement_timeout = '10min'")
    return await tx.execute(_DELETE_DOCUMENTS, {"collection_id": collection_id})


async def delete(tx: NamespaceWriter, collection_id: str) -> None:
    """Delete the collection."""
    await tx.execute(_DELETE, {"collection_id": collection_id})


async def document_counts(tx: NamespaceReader, collection_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of documents per collection; empty collections are absent."""
    rows = await tx.fetch_all(_DOCUMENT_COUNTS, {"collection_ids": list(collection_ids)})
    return {row["collection_id"]: row["documents"] for row in rows}


def _wrapped(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: Jsonb(value) if isinstance(value, dict) or (key == "vector_indexes") else value
        for key, value in values.items()
    }
