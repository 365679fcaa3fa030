"""Every SQL statement about namespaces, and the one that finds key and namespace together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from prismhouse.api.organizations.store import IDENTITY
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader, Record, Writer

_OPEN = """n.organization_id = %(organization_id)s AND key_opens(%(patterns)s::jsonb, n.namespace_id)"""
_VISIBLE = f"{_OPEN} AND n.status = 'active'"
_JSON = frozenset({"feature_extractors", "payload_indexes", "vector_configs", "config"})
_SORTABLE = {"namespace_name", "namespace_id", "created_at", "updated_at", "description"}

# Counts stop at a bound, so that a list of big namespaces stays quick; a count at the bound means "at least".
_COUNTS = """
  (SELECT count(*) FROM buckets b WHERE b.namespace_id = n.namespace_id) AS bucket_count,
  (SELECT count(*) FROM collections c WHERE c.namespace_id = n.namespace_id) AS collection_count,
  (SELECT count(*) FROM (SELECT FROM objects o WHERE o.namespace_id = n.namespace_id LIMIT %(bound)s) x)
    AS object_count,
  (SELECT count(*) FROM (SELECT FROM documents d WHERE d.namespace_id = n.namespace_id LIMIT %(bound)s) x)
    AS document_count"""


async def identity(tx: Reader, key_hash: str) -> Record | None:
    """Return key, user and organization."""
    return await tx.fetch_one(IDENTITY, {"key_hash": key_hash})


_IN_NAMED = f"""
SELECT who.*, n.namespace_id, n.namespace_name FROM ({IDENTITY}) who
LEFT JOIN LATERAL (
  SELECT namespace_id, namespace_name FROM namespaces n
  WHERE n.organization_id = who.organization_id AND n.status = 'active'
    AND (n.namespace_id = %(named)s OR n.namespace_name = %(named)s) AND key_opens(who.scopes, n.namespace_id)
  ORDER BY n.namespace_id = %(named)s DESC LIMIT 1) n ON true"""
_IN_ONLY = f"""
SELECT who.*, n.namespace_id, n.namespace_name FROM ({IDENTITY}) who
LEFT JOIN LATERAL (
  SELECT namespace_id, namespace_name FROM namespaces n
  WHERE n.organization_id = who.organization_id AND n.status = 'active' AND key_opens(who.scopes, n.namespace_id)
  LIMIT 2) n ON true"""


async def identity_in_namespace(tx: Reader, key_hash: str, named: str | None) -> list[Record]:
    """Return the identity with the namespace of that id or name; without a name, with at most two that it opens."""
    if named is None:
        return await tx.fetch_all(_IN_ONLY, {"key_hash": key_hash})
    return await tx.fetch_all(_IN_NAMED, {"key_hash": key_hash, "named": named})


async def insert(tx: Writer, values: Mapping[str, Any]) -> Record | None:
    """Add a namespace; None when its id or its name is taken."""
    return await tx.fetch_one(
        """INSERT INTO namespaces (namespace_id, organization_id, namespace_name, description, mode, namespace_type,
             feature_extractors, payload_indexes, vector_configs, config, expires_at)
           VALUES (%(namespace_id)s, %(organization_id)s, %(namespace_name)s, %(description)s, %(mode)s,
             %(namespace_type)s, %(feature_extractors)s, %(payload_indexes)s, %(vector_configs)s, %(config)s,
             %(expires_at)s)
           ON CONFLICT DO NOTHING RETURNING *""",
        _wrapped(values),
    )


async def name_taken(tx: Reader, organization_id: str, name: str, *, but: str = "") -> bool:
    """Say whether another live namespace of the organization has the name."""
    return bool(
        await tx.fetch_value(
            """SELECT EXISTS (SELECT FROM namespaces WHERE organization_id = %(organization_id)s
               AND namespace_name = %(name)s AND status = 'active' AND namespace_id <> %(but)s)""",
            {"organization_id": organization_id, "name": name, "but": but},
        )
    )


def _tenant(organization_id: str, patterns: Sequence[str] | None) -> dict[str, Any]:
    scopes = [{"resource_id": pattern} for pattern in patterns or ()]
    # A key with scopes that are all empty opens nothing, which an empty list would turn into everything.
    if patterns is not None and not scopes:
        scopes = [{"resource_id": ""}]
    return {"organization_id": organization_id, "patterns": Jsonb(scopes)}


async def find(
    tx: Reader,
    organization_id: str,
    identifier: str,
    *,
    patterns: Sequence[str] | None,
    lock: bool = False,
    deleting: bool = False,
) -> Record | None:
    """Return the live namespace with this id or name that the patterns open; an id goes before a name.

    With `deleting`, also one that is being deleted, by its id.
    """
    live = "(n.status = 'active' OR (%(deleting)s AND n.namespace_id = %(identifier)s))"
    return await tx.fetch_one(
        f"""SELECT n.* FROM namespaces n WHERE {_OPEN} AND {live}
              AND (n.namespace_id = %(identifier)s OR n.namespace_name = %(identifier)s)
            ORDER BY n.namespace_id = %(identifier)s DESC LIMIT 1 {"FOR UPDATE" if lock else ""}""",
        {**_tenant(organization_id, patterns), "identifier": identifier, "deleting": deleting},
    )


async def counts(tx: Reader, namespace_ids: Sequence[str], *, bound: int) -> dict[str, Record]:
    """Return the four counts by namespace; objects and documents stop at `bound`."""
    rows = await tx.fetch_all(
        f"SELECT n.namespace_id, {_COUNTS} FROM namespaces n WHERE n.namespace_id = ANY(%(ids)b)",
        {"ids": list(namespace_ids), "bound": bound},
    )
    return {row["namespace_id"]: row for row in rows}


async def visible_ids(
    tx: Reader, organization_id: str, patterns: Sequence[str] | None, wanted: Sequence[str]
) -> dict[str, str]:
    """Return wanted id or name -> namespace id, for those that are live and open."""
    rows = await tx.fetch_all(
        f"""SELECT DISTINCT ON (w.name) w.name, n.namespace_id
            FROM unnest(%(wanted)b::text[]) AS w (name)
            JOIN namespaces n ON n.namespace_id = w.name OR n.namespace_name = w.name
            WHERE {_VISIBLE} ORDER BY w.name, n.namespace_id = w.name DESC""",
        {**_tenant(organization_id, patterns), "wanted": list(wanted)},
    )
    return {row["name"]: row["namespace_id"] for row in rows}


async def page(
    tx: Reader,
    organization_id: str,
    *,
    patterns: Sequence[str] | None,
    search: str | None,
    case_sensitive: bool,
    equal: Mapping[str, Any],
    sort: tuple[str, bool],
    after: Sequence[Any] | None,
    offset: int,
    limit: int,
) -> tuple[list[Record], int]:
    """Return a page of live namespaces and how many match in all. `sort` is (column, descending)."""
    column, descending = sort
    if column not in _SORTABLE:
        raise KeyError(column)
    values: dict[str, Any] = {**_tenant(organization_id, patterns), "offset": offset, "limit": limit}
    where = [_VISIBLE]
    if search:
        like = "LIKE" if case_sensitive else "ILIKE"
        where.append(
            f"(n.namespace_id {like} %(search)s OR n.namespace_name {like} %(search)s"
            f" OR n.description {like} %(search)s)"
        )
        values["search"] = _pattern(search)
    for number, (name, wanted) in enumerate(equal.items()):
        where.append(f"n.{name} = ANY(%(equal_{number})b)")
        values[f"equal_{number}"] = wanted
    matching = " AND ".join(where)
    total = await tx.fetch_value(f"SELECT count(*) FROM namespaces n WHERE {matching}", values)
    key = f"coalesce(n.{column}::text, '')" if column not in {"created_at", "updated_at"} else f"n.{column}"
    if after is not None:
        cast = "timestamptz" if column in {"created_at", "updated_at"} else "text"
        sign = "<" if descending else ">"
        matching += f" AND ({key}, n.namespace_id) {sign} (%(after_value)s::{cast}, %(after_id)s)"
        values |= {"after_value": after[0], "after_id": after[1]}
    way = "DESC" if descending else "ASC"
    rows = await tx.fetch_all(
        f"""SELECT n.*, {key} AS sort_value FROM namespaces n WHERE {matching}
            ORDER BY {key} {way}, n.namespace_id {way} OFFSET %(offset)s LIMIT %(limit)s""",
        values,
    )
    return rows, int(total)


def _pattern(search: str) -> str:
    """Return a LIKE pattern: `*` and `?` are wildcards, everything else is literal."""
    literal = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal.replace('*', '%').replace('?', '_')}%"


async def update(tx: Writer, namespace_id: str, changes: Mapping[str, Any]) -> Record | None:
    """Change the given columns."""
    sets = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in changes]
    statement = sql.SQL(
        "UPDATE namespaces SET {}, updated_at = now() WHERE namespace_id = %(namespace_id)s RETURNING *"
    )
    return await tx.fetch_one(
        statement.format(sql.SQL(", ").join(sets)), {**_wrapped(changes), "namespace_id": namespace_id}
    )


async def extractors(tx: NamespaceReader) -> list[dict[str, Any]]:
    """Return the extractors registered in the namespace."""
    found = await tx.fetch_value("SELECT feature_extractors FROM namespaces WHERE namespace_id = %(namespace_id)s")
    return list(found or [])


async def add_extractors(tx: NamespaceWriter, entries: Sequence[Mapping[str, Any]]) -> None:
    """Append extractors to the namespace's list, except those that another transaction appended meanwhile."""
    await tx.execute(
        """UPDATE namespaces SET updated_at = now(), feature_extractors = feature_extractors || (
             SELECT coalesce(jsonb_agg(entry), '[]') FROM jsonb_array_elements(%(entries)s) AS entry
             WHERE NOT feature_extractors @> jsonb_build_array(
               jsonb_build_object('feature_extractor_id', entry -> 'feature_extractor_id')))
           WHERE namespace_id = %(namespace_id)s""",
        {"entries": Jsonb(list(entries))},
    )


async def vector_space(tx: NamespaceReader, *, lock: bool) -> Record | None:
    """Return mode, vectors and config of the live namespace."""
    return await tx.fetch_one(
        f"""SELECT mode, vector_configs, config FROM namespaces
            WHERE namespace_id = %(namespace_id)s AND status = 'active' {"FOR NO KEY UPDATE" if lock else ""}"""
    )


async def vector_models(tx: NamespaceReader) -> dict[str, str]:
    """Return feature URI -> model for every vector table of the namespace that a model of the product fills."""
    rows = await tx.fetch_all(
        "SELECT feature_uri, model FROM vector_indexes WHERE namespace_id = %(namespace_id)s AND model <> ''"
        " ORDER BY feature_uri"
    )
    return {row["feature_uri"]: row["model"] for row in rows}


async def mark_deleting(tx: Writer, namespace_id: str) -> bool:
    """Hide the namespace and free its name; False when it is hidden already."""
    changed = await tx.execute(
        """UPDATE namespaces SET status = 'deleting', updated_at = now()
           WHERE namespace_id = %(namespace_id)s AND status = 'active'""",
        {"namespace_id": namespace_id},
    )
    return changed > 0


async def delete_some(tx: NamespaceWriter, table: str, *, limit: int) -> int:
    """Delete up to `limit` documents or objects; 0 means that none is left."""
    statement = sql.SQL(
        """DELETE FROM {table} WHERE ctid = ANY(ARRAY(
             SELECT ctid FROM {table} WHERE namespace_id = %(namespace_id)s LIMIT %(limit)s))
           AND namespace_id = %(namespace_id)s"""
    ).format(table=sql.Identifier(table))
    return await tx.execute(statement, {"limit": limit})


async def delete(tx: NamespaceWriter) -> int:
    """Delete the namespace itself and, by cascade, all that is left in it."""
    return await tx.execute("DELETE FROM namespaces WHERE namespace_id = %(namespace_id)s AND status = 'deleting'")


async def organization_of(tx: Reader, namespace_id: str) -> str | None:
    """Return whose a namespace is, whatever its state, or None when it is gone."""
    found = await tx.fetch_value(
        "SELECT organization_id FROM namespaces WHERE namespace_id = %(namespace_id)s", {"namespace_id": namespace_id}
    )
    return None if found is None else str(found)


async def live(tx: Writer, namespace_id: str) -> Record | None:
    """Return the live namespace and lock it: for jobs, which act for nobody."""
    return await tx.fetch_one(
        "SELECT * FROM namespaces WHERE namespace_id = %(namespace_id)s AND status = 'active' FOR UPDATE",
        {"namespace_id": namespace_id},
    )


def _wrapped(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if name in _JSON and value is not None else value for name, value in values.items()}
