"""Indexes on single fields of documents: one partial index per namespace and field, made and dropped without blocking.

Their names come from namespace and field, so that what stands can be compared with what is declared. The planner
takes no statistics from partial indexes, so that each field has a statistics object, which namespaces share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from prismhouse.query.filters.annotations import of_annotations
from prismhouse.query.filters.columns import Kind, document_columns
from prismhouse.query.filters.keys import key_of
from prismhouse.storage.postgres.locks import Lock

__all__ = ["Declared", "Outcome", "index_name", "is_user_field", "reconcile"]

_PREFIX = "payload_index_"
_STATISTICS_PREFIX = "payload_field_"
_COLUMNS = document_columns("documents")
_STANDING = """
SELECT c.relname, i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = 'documents'::regclass AND starts_with(c.relname, %s)
"""
_STANDING_STATISTICS = """
SELECT stxname FROM pg_statistic_ext WHERE stxrelid = 'documents'::regclass AND starts_with(stxname, %s)
"""


@dataclass(frozen=True, slots=True)
class Declared:
    """An index that should stand."""

    namespace_id: str
    field: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one: `error` is None when it stands."""

    index: Declared
    error: str | None


def index_name(namespace_id: str, field: str) -> str:
    """Return the name of the index on a field in a namespace."""
    return f"{_PREFIX}{_digest(f'{namespace_id}/{field}')}"


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:24]


def is_user_field(field: str) -> bool:
    """Return whether an index on this field can be declared: it lies in the payload, not in a column of ours."""
    places = _COLUMNS.places(field)
    return not of_annotations(field) and all(place.kind is Kind.JSON and place.indexed for place in places)


async def reconcile(connection: psycopg.AsyncConnection[Any], declared: Iterable[Declared]) -> list[Outcome] | None:
    """Build what is declared and not there, drop what is there and not declared; None when another process is at it.

    The connection is one of its own, in autocommit. What a crash left unfinished is dropped and built anew.
    """
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (int(Lock.BUILD_INDEXES),))
    if await cursor.fetchone() != (True,):
        return None
    wanted = {index_name(one.namespace_id, one.field): one for one in declared}
    cursor = await connection.execute(_STANDING, (_PREFIX,))
    standing = dict(await cursor.fetchall())
    for name in standing:
        if name not in wanted or not standing[name]:
            await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))
    await _keep_statistics(connection, {one.field for one in wanted.values()})
    missing = [name for name in wanted if not standing.get(name)]
    outcomes = [Outcome(one, None) for name, one in wanted.items() if name not in missing]
    outcomes += [Outcome(wanted[name], await _build(connection, name, wanted[name])) for name in missing]
    if missing:
        # The planner learns how the values are spread.
        await connection.execute("ANALYZE documents")
    return outcomes


async def _keep_statistics(connection: psycopg.AsyncConnection[Any], fields: set[str]) -> None:
    wanted = {f"{_STATISTICS_PREFIX}{_digest(field)}": field for field in fields}
    cursor = await connection.execute(_STANDING_STATISTICS, (_STATISTICS_PREFIX,))
    standing = {name for (name,) in await cursor.fetchall()}
    for name in standing - set(wanted):
        await connection.execute(sql.SQL("DROP STATISTICS IF EXISTS {}").format(sql.Identifier(name)))
    for name in set(wanted) - standing:
        create = sql.SQL("CREATE STATISTICS IF NOT EXISTS {} ON {} FROM documents")
        await connection.execute(create.format(sql.Identifier(name), _key(wanted[name])))


def _key(field: str) -> sql.SQL:
    return sql.SQL(key_of(field, _COLUMNS, lambda path: sql.Literal(path).as_string()).expression)


async def _build(connection: psycopg.AsyncConnection[Any], name: str, index: Declared) -> str | None:
    statement = sql.SQL(
        "CREATE INDEX CONCURRENTLY {name} ON documents (collection_id, {key}, document_id)"
        " WHERE namespace_id = {namespace}"
    ).format(name=sql.Identifier(name), key=_key(index.field), namespace=sql.Literal(index.namespace_id))
    try:
        await connection.execute(statement)
    except psycopg.Error as error:
        await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))
        return str(error.diag.message_primary or error)
    return None
