"""Statements that change documents users name or filter. All hold rows in the order of their ids: no deadlocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.documents.changes.model import Change
from prismhouse.api.documents.model import storable_json
from prismhouse.query.filters import guarded
from prismhouse.query.listing import Selection
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["change", "change_each", "delete", "hold", "hold_matching", "matching_count", "replace", "share"]

_HOLD = """
SELECT document_id, collection_id, may_write(internal, %(principal)s) AS open,
       %(principal)s::text IS NULL OR document_readers(internal) && ARRAY['public', 'user:' || %(principal)s] AS seen,
       internal -> '_acl' AS acl
FROM documents
WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)
  AND (%(collection_id)s::text IS NULL OR collection_id = %(collection_id)s)
ORDER BY document_id FOR UPDATE
"""
_CHANGE = """
UPDATE documents SET payload = changed_payload(payload, %(changes)s::jsonb), updated_at = now()
WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)
"""
_CHANGE_EACH = """
UPDATE documents AS d SET payload = changed_payload(d.payload, given.changes::jsonb), updated_at = now()
FROM unnest(%(document_ids)b::text[], %(changes)b::text[]) AS given (document_id, changes)
WHERE d.namespace_id = %(namespace_id)s AND d.document_id = given.document_id
"""
_REPLACE = """
UPDATE documents SET payload = %(payload)s::jsonb, updated_at = now()
WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s
"""
_SHARE = """
UPDATE documents SET internal = jsonb_set(internal, '{_acl}', %(acl)s::jsonb), updated_at = now()
WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s
"""
_DELETE = "DELETE FROM documents WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)"


async def hold(
    tx: NamespaceWriter, document_ids: Sequence[str], *, collection_id: str | None, principal: str | None
) -> dict[str, dict[str, Any]]:
    """Lock documents until the transaction ends; return, by id, their access lists, and what `principal` may do."""
    parameters = {
        "document_ids": [one for one in document_ids if "\x00" not in one],
        "collection_id": collection_id,
        "principal": principal,
    }
    return {row["document_id"]: row for row in await tx.fetch_all(_HOLD, parameters)}


async def hold_matching(
    tx: NamespaceWriter, selection: Selection, *, principal: str | None, after: str = "", limit: int
) -> list[str]:
    """Lock the first `limit` selected documents after `after` that `principal` may change; return their ids."""
    where, parameters = selection.where()
    async with guarded(tx, selection.filter):
        rows = await tx.fetch_all(
            f"SELECT d.document_id FROM documents AS d WHERE {where} AND may_write(d.internal, %(principal)s)"
            " AND d.document_id > %(after)s ORDER BY d.document_id LIMIT %(limit)s FOR UPDATE",
            {**parameters, "principal": principal, "after": after, "limit": limit},
            prepare=False,
        )
    return [row["document_id"] for row in rows]


async def matching_count(tx: NamespaceReader, selection: Selection, *, principal: str | None) -> int:
    """Return how many of the selected documents `principal` may change."""
    where, parameters = selection.where()
    async with guarded(tx, selection.filter):
        row = await tx.fetch_one(
            f"SELECT count(*) AS matched FROM documents AS d WHERE {where} AND may_write(d.internal, %(principal)s)",
            {**parameters, "principal": principal},
            prepare=False,
        )
    return int(row["matched"]) if row else 0


async def change(tx: NamespaceWriter, document_ids: Sequence[str], changes: Sequence[Change]) -> int:
    """Make the same changes in these documents; return how many there were."""
    return await tx.execute(_CHANGE, {"document_ids": list(document_ids), "changes": storable_json(changes)})


async def change_each(tx: NamespaceWriter, changes: Mapping[str, Sequence[Change]]) -> int:
    """Make each document's own changes, given by id; return how many there were."""
    parameters = {"document_ids": list(changes), "changes": [storable_json(one) for one in changes.values()]}
    return await tx.execute(_CHANGE_EACH, parameters)


async def replace(tx: NamespaceWriter, document_id: str, payload: Mapping[str, Any]) -> int:
    """Give a document other fields; return whether it was there."""
    return await tx.execute(_REPLACE, {"document_id": document_id, "payload": storable_json(payload)})


async def share(tx: NamespaceWriter, document_id: str, acl: Mapping[str, Any]) -> None:
    """Write the access lists of a document."""
    await tx.execute(_SHARE, {"document_id": document_id, "acl": storable_json(acl)})


async def delete(tx: NamespaceWriter, document_ids: Sequence[str]) -> int:
    """Delete documents with their vectors; return how many there were."""
    return await tx.execute(_DELETE, {"document_ids": list(document_ids)})
