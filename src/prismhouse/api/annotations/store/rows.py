"""Statements that change annotations, each for any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record
from prismhouse.storage.postgres.locks import Lock

__all__ = ["COLUMNS", "KINDS", "begin", "delete", "find", "hold", "insert", "replace", "settled"]

KINDS = {
    "annotation_id": "text",
    "document_id": "text",
    "collection_id": "text",
    "label": "text",
    "confidence": "float8",
    "reasoning": "text",
    "payload": "json",
    "metadata": "json",
    "retriever_id": "text",
    "execution_id": "text",
    "stage_name": "text",
    "actor_id": "text",
    "actor_type": "text",
    "version": "integer",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
_MADE = ("actor_id", "actor_type", "version", "created_at", "updated_at")
_EDITED = ("annotation_id", "label", "confidence", "reasoning", "payload", "metadata", "version", "updated_at")
_ENDED = (*_EDITED, "ended_at", "changed")
_ENDED_KINDS = {**KINDS, "ended_at": "timestamptz"}
_GIVEN = [name for name in KINDS if name not in _MADE]
_FIXED = [name for name in KINDS if name not in _EDITED]


def _answered(alias: str) -> str:
    return ", ".join(
        f"{alias}.{name}::text AS {name}" if kind == "json" else f"{alias}.{name}" for name, kind in KINDS.items()
    )


COLUMNS = _answered("a")
"""What is read of an annotation `a`: JSON objects as text, for they go out as they are."""


def _arrays(names: Iterable[str]) -> str:
    """Return the arguments of `unnest`, one array per column."""
    kinds = (_ENDED_KINDS.get(name, "text").replace("json", "text") for name in names)
    return ", ".join(f"%({name})b::{kind}[]" for name, kind in zip(names, kinds, strict=True))


def _values(names: Iterable[str], alias: str) -> str:
    """Return the columns of unnested arrays, as the table has them."""
    return ", ".join(f"{alias}.{name}" + ("::json" if KINDS.get(name) == "json" else "") for name in names)


# Writers share this lock, and whoever asks for a past instant takes it alone for a moment: after that, every change
# stamped before the instant is visible, and the answer for the instant stays what it is.
_BEGIN = """
SELECT pg_advisory_xact_lock_shared(%(lock)s, hashtext(%(namespace_id)s)), clock_timestamp() AS moment
"""
_SETTLED = "SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(namespace_id)s)), clock_timestamp() AS moment"
_INSERT = f"""
INSERT INTO annotations (namespace_id, {", ".join(_GIVEN)}, actor_id, actor_type, version, created_at, updated_at)
SELECT %(namespace_id)s, {_values(_GIVEN, "given")}, %(actor_id)s, %(actor_type)s, 1, %(moment)s, %(moment)s
FROM unnest({_arrays(_GIVEN)}) AS given ({", ".join(_GIVEN)})
"""
_FIND = f"""
SELECT {COLUMNS} FROM annotations AS a
WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = %(annotation_id)s
"""
# In the order of ids: two that want the same rows wait for each other, and never both ways.
_HOLD = f"""
SELECT {COLUMNS} FROM annotations AS a
WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = ANY(%(annotation_ids)b)
ORDER BY a.annotation_id FOR UPDATE
"""
_KEEP_ENDED = f"""
INSERT INTO annotation_history (namespace_id, {", ".join(_FIXED)}, {", ".join(_ENDED)}, ended_by, ended_by_type)
SELECT %(namespace_id)s, {_values(_FIXED, "a")},
  {_values(_ENDED[:-1], "given")}, string_to_array(given.changed, ','),
  %(actor_id)s, %(actor_type)s
FROM unnest({_arrays(_ENDED)}) AS given ({", ".join(_ENDED)})
JOIN annotations AS a ON a.namespace_id = %(namespace_id)s AND a.annotation_id = given.annotation_id
"""
_REPLACE = f"""
UPDATE annotations AS a SET ({", ".join(_EDITED[1:])}) = ROW({_values(_EDITED[1:], "given")})
FROM unnest({_arrays(_EDITED)}) AS given ({", ".join(_EDITED)})
WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = given.annotation_id
"""
_DELETE = f"""
WITH gone AS (
  DELETE FROM annotations AS a
  WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = ANY(%(annotation_ids)b) RETURNING a.*
)
INSERT INTO annotation_history (namespace_id, {", ".join(KINDS)}, ended_at, ended_by, ended_by_type)
SELECT gone.namespace_id, {", ".join(f"gone.{name}" for name in KINDS)},
  greatest(%(moment)s, gone.updated_at + interval '1 microsecond'), %(actor_id)s, %(actor_type)s
FROM gone
"""


def _columns(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, list[Any] | None]:
    """Return an array per column; one without values is null, which `unnest` fills up with nulls."""
    columns = {name: [row[name] for row in rows] for name in names}
    return {name: column if column.count(None) < len(column) else None for name, column in columns.items()}


async def begin(tx: NamespaceWriter) -> datetime:
    """Return the moment of the changes of this transaction. Call it first, before any row is locked."""
    return await _moment(tx, _BEGIN)


async def settled(tx: NamespaceReader) -> datetime:
    """Wait for the changes that are under way, and return a moment: every change before it can be seen now."""
    return await _moment(tx, _SETTLED)


async def _moment(tx: NamespaceReader, statement: str) -> datetime:
    row = await tx.fetch_one(statement, {"lock": Lock.ANNOTATE})
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    moment: datetime = row["moment"]
    return moment


async def insert(
    tx: NamespaceWriter, rows: Sequence[Mapping[str, Any]], *, moment: datetime, actor_id: str, actor_type: str
) -> None:
    """Add annotations at version 1."""
    shared = {"moment": moment, "actor_id": actor_id, "actor_type": actor_type}
    await tx.execute(_INSERT, {**_columns(rows, _GIVEN), **shared})


async def find(tx: NamespaceReader, annotation_id: str) -> Record | None:
    """Return one annotation, or None."""
    return await tx.fetch_one(_FIND, {"annotation_id": annotation_id})


async def hold(tx: NamespaceWriter, annotation_ids: Sequence[str]) -> dict[str, Record]:
    """Return those that are there, by id, and keep others from changing them until the transaction ends."""
    rows = await tx.fetch_all(_HOLD, {"annotation_ids": list(annotation_ids)})
    return {row["annotation_id"]: row for row in rows}


async def replace(
    tx: NamespaceWriter,
    states: Sequence[Mapping[str, Any]],
    ended: Sequence[Mapping[str, Any]],
    *,
    actor_id: str,
    actor_type: str,
) -> None:
    """Store the newest states, and keep the ones that they ended (with `ended_at` and `changed`, joined by commas)."""
    shared = {"actor_id": actor_id, "actor_type": actor_type}
    await tx.execute(_KEEP_ENDED, {**_columns(ended, _ENDED), **shared})
    await tx.execute(_REPLACE, _columns(states, _EDITED))


async def delete(
    tx: NamespaceWriter, annotation_ids: Sequence[str], *, moment: datetime, actor_id: str, actor_type: str
) -> None:
    """Move annotations to the history."""
    shared = {"moment": moment, "actor_id": actor_id, "actor_type": actor_type}
    await tx.execute(_DELETE, {"annotation_ids": list(annotation_ids), **shared})
