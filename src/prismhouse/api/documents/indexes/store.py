"""Every statement about payload indexes and how often fields are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prismhouse.kit.ids import NamespaceId
from prismhouse.query.filters.keys import json_path
from prismhouse.query.indexes import Declared, Outcome, index_name
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader, Record, Writer

__all__ = [
    "add_usage",
    "adopt",
    "adopts",
    "declare",
    "declared",
    "hot",
    "kind_of",
    "known",
    "listed",
    "namespace",
    "note",
    "restart",
    "usage",
]

_DECLARE = """
INSERT INTO payload_indexes AS kept (namespace_id, field_name, index_type, index_name, state)
SELECT %(namespace_id)s, g.field_name, g.index_type, g.index_name, %(state)s
FROM unnest(%(fields)b::text[], %(types)b::text[], %(names)b::text[]) AS g (field_name, index_type, index_name)
ON CONFLICT (namespace_id, field_name) DO UPDATE SET index_type = excluded.index_type
"""
_FORGET = """
DELETE FROM payload_indexes WHERE namespace_id = %(namespace_id)s AND NOT field_name = ANY(%(fields)b::text[])
"""
_NOTE = """
UPDATE payload_indexes AS kept
SET updated_at = now(), error = g.error, state = CASE WHEN g.error IS NULL THEN 'ready' ELSE 'failed' END
FROM unnest(%(namespaces)b::text[], %(fields)b::text[], %(errors)b::text[]) AS g (namespace_id, field_name, error)
WHERE kept.namespace_id = g.namespace_id AND kept.field_name = g.field_name
"""
_ADD_USAGE = """
INSERT INTO field_usage AS kept
  (namespace_id, field_name, used_in, queries, total_ms, slowest_ms, first_used_at, last_used_at)
SELECT n.namespace_id, g.field_name, date_trunc('hour', now()), g.queries, g.total_ms, g.slowest_ms, now(), now()
FROM unnest(%(namespaces)b::text[], %(fields)b::text[], %(queries)b::bigint[], %(totals)b::float8[],
            %(slowest)b::float8[]) AS g (namespace_id, field_name, queries, total_ms, slowest_ms)
JOIN namespaces AS n USING (namespace_id)
ORDER BY 1, 2
ON CONFLICT (namespace_id, field_name, used_in) DO UPDATE SET
  queries = kept.queries + excluded.queries, total_ms = kept.total_ms + excluded.total_ms,
  slowest_ms = greatest(kept.slowest_ms, excluded.slowest_ms), last_used_at = now()
"""
_USAGE = """
SELECT u.field_name, sum(u.queries)::bigint AS queries, sum(u.total_ms) / sum(u.queries) AS average_ms,
       max(u.slowest_ms) AS slowest_ms, min(u.first_used_at) AS first_used_at, max(u.last_used_at) AS last_used_at,
       bool_or(p.field_name IS NOT NULL) AS is_indexed
FROM field_usage AS u LEFT JOIN payload_indexes AS p USING (namespace_id, field_name)
WHERE u.namespace_id = %(namespace_id)s AND u.used_in > now() - make_interval(hours => %(hours)s)
GROUP BY u.field_name HAVING sum(u.queries) >= %(least)s
ORDER BY queries DESC, u.field_name LIMIT 100
"""
# Namespaces that want indexes of their own accord, and their fields that were asked for often in the last day.
_HOT = """
SELECT u.namespace_id, u.field_name FROM field_usage AS u JOIN namespaces AS n USING (namespace_id)
WHERE n.status = 'active' AND (n.config ->> 'adaptive_indexing' = 'true' OR n.config ->> 'auto_create_indexes' = 'true')
  AND u.used_in > now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM payload_indexes AS p
                  WHERE p.namespace_id = u.namespace_id AND p.field_name = u.field_name)
GROUP BY 1, 2 HAVING sum(u.queries) >= %(least)s
ORDER BY 1, 2
"""
_ADOPT = """
UPDATE namespaces SET updated_at = now(), payload_indexes = payload_indexes || jsonb_build_array(
  jsonb_build_object('field_name', %(field)s::text, 'type', %(type)s::text, 'is_protected', false))
WHERE namespace_id = %(namespace_id)s AND jsonb_array_length(payload_indexes) < 1000
  AND NOT payload_indexes @> jsonb_build_array(jsonb_build_object('field_name', %(field)s::text))
"""
_KIND = """
SELECT jsonb_typeof(jsonb_path_query_first(d.payload, %(path)s::jsonpath)) AS kind FROM documents AS d
WHERE d.namespace_id = %(namespace_id)s AND d.payload @? %(path)s::jsonpath LIMIT 1
"""
_FORGET_USAGE = "DELETE FROM field_usage WHERE used_in < now() - interval '31 days'"


async def declare(tx: NamespaceWriter, fields: Mapping[str, str]) -> None:
    """Make these, field to type, the declared indexes of the namespace; what stands already stays."""
    names = list(fields)
    await tx.execute(_FORGET, {"fields": names})
    parameters = {
        "fields": names,
        "types": list(fields.values()),
        "names": [index_name(tx.namespace_id, name) for name in names],
        "state": "building",
    }
    await tx.execute(_DECLARE, parameters)


async def declared(tx: Reader) -> list[Declared]:
    """Return every declared index of every namespace."""
    rows = await tx.fetch_all("SELECT namespace_id, field_name FROM payload_indexes ORDER BY 1, 2")
    return [Declared(row["namespace_id"], row["field_name"]) for row in rows]


async def listed(tx: NamespaceReader) -> list[Record]:
    """Return the declared indexes of the namespace with their state."""
    return await tx.fetch_all(
        "SELECT field_name, index_type, state, error, updated_at FROM payload_indexes"
        " WHERE namespace_id = %(namespace_id)s ORDER BY field_name"
    )


async def known(tx: NamespaceReader, fields: Sequence[str]) -> dict[str, str]:
    """Return the state of those of the fields that have a declared index."""
    rows = await tx.fetch_all(
        "SELECT field_name, state FROM payload_indexes"
        " WHERE namespace_id = %(namespace_id)s AND field_name = ANY(%(fields)b::text[])",
        {"fields": list(fields)},
    )
    return {row["field_name"]: row["state"] for row in rows}


async def note(tx: Writer, outcomes: Sequence[Outcome]) -> None:
    """Keep what became of the indexes."""
    parameters = {
        "namespaces": [one.index.namespace_id for one in outcomes],
        "fields": [one.index.field for one in outcomes],
        "errors": [one.error for one in outcomes],
    }
    await tx.execute(_NOTE, parameters)


async def add_usage(tx: Writer, used: Mapping[tuple[str, str], tuple[int, float, float]]) -> None:
    """Add (queries, milliseconds in all, slowest) by (namespace, field); namespaces that are gone are left out."""
    parameters = {
        "namespaces": [namespace_id for namespace_id, _ in used],
        "fields": [name for _, name in used],
        "queries": [queries for queries, _, _ in used.values()],
        "totals": [total for _, total, _ in used.values()],
        "slowest": [slowest for _, _, slowest in used.values()],
    }
    await tx.execute(_ADD_USAGE, parameters)


async def usage(tx: NamespaceReader, *, hours: int, least: int) -> list[Record]:
    """Return the user fields that queries named in the last hours, the most used first, at most 100."""
    return await tx.fetch_all(_USAGE, {"hours": hours, "least": least})


async def hot(tx: Writer, *, least: int) -> list[Declared]:
    """Forget old counts; return fields that namespaces with adaptive indexes asked for so often in the last day."""
    await tx.execute(_FORGET_USAGE)
    rows = await tx.fetch_all(_HOT, {"least": least})
    return [Declared(row["namespace_id"], row["field_name"]) for row in rows]


async def kind_of(tx: NamespaceReader, field: str) -> str | None:
    """Return the JSON type that a field has in some document; None where no document has it."""
    path = json_path(tuple(field.split(".")), "[*]")
    row = await tx.fetch_one(_KIND, {"path": path}, prepare=False)
    return None if row is None else row["kind"]


async def adopt(tx: NamespaceWriter, field: str, index_type: str) -> bool:
    """Declare one more index, in the namespace's own list too; False when it is declared already."""
    if not await tx.execute(_ADOPT, {"field": field, "type": index_type}):
        return False
    parameters = {
        "fields": [field],
        "types": [index_type],
        "names": [index_name(tx.namespace_id, field)],
        "state": "building",
    }
    await tx.execute(_DECLARE, parameters)
    return True


async def restart(tx: NamespaceWriter) -> None:
    """Have the planner leave all declared indexes of the namespace alone until they were looked at again."""
    await tx.execute(
        "UPDATE payload_indexes SET state = 'building', error = NULL WHERE namespace_id = %(namespace_id)s"
    )


async def adopts(tx: NamespaceReader) -> bool:
    """Return whether the namespace wants indexes of its own accord."""
    return bool(
        await tx.fetch_value(
            "SELECT config ->> 'adaptive_indexing' = 'true' OR config ->> 'auto_create_indexes' = 'true'"
            " FROM namespaces WHERE namespace_id = %(namespace_id)s"
        )
    )


async def namespace(tx: Reader, organization_id: str, identifier: str) -> NamespaceId | None:
    """Return the id of the organization's live namespace with this id or name; an id goes before a name."""
    found = await tx.fetch_value(
        """SELECT namespace_id FROM namespaces WHERE organization_id = %(organization_id)s AND status = 'active'
             AND (namespace_id = %(identifier)s OR namespace_name = %(identifier)s)
           ORDER BY namespace_id = %(identifier)s DESC LIMIT 1""",
        {"organization_id": organization_id, "identifier": identifier.replace("\x00", "")},
    )
    return None if found is None else NamespaceId(found)
