"""Why a document is found or not, and what went wrong on the way: a value for each facet, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.documents import store
from prismhouse.kit import json
from prismhouse.kit.clock import iso
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["RowFailures", "diagnose"]


class RowFailures(Protocol):
    """What batches know about rows that failed."""

    async def __call__(self, tx: NamespaceReader, object_id: str, collection_id: str) -> Sequence[Mapping[str, Any]]:
        """Return batch_id, stage, message and created_at of the newest failures, newest first."""
        ...


async def diagnose(
    tx: NamespaceReader, row: Mapping[str, Any], collection: CollectionRow, *, source: Any, failures: RowFailures | None
) -> dict[str, Any]:
    """Return a DocumentDiagnosticsResponse for a document as it is stored; `source` is its object, if that stands."""
    return {
        "document_id": row["document_id"],
        "collection_id": row["collection_id"],
        "source_object_id": row["source_object_id"] or row["root_object_id"],
        "visibility_reason": await _visibility(tx, row, collection),
        "recent_failures": await _failures(tx, row, source, failures),
        "diagnostic_history": _history(row),
    }


async def _visibility(tx: NamespaceReader, row: Mapping[str, Any], collection: CollectionRow) -> dict[str, Any]:
    missing: list[str] = []
    present: list[str] = []
    standing = await vectors.load(tx, [str(index["feature_uri"]) for index in collection.vector_indexes])
    for index in collection.vector_indexes:
        table = standing.get(str(index["feature_uri"]))
        held = await store.stored_vectors(tx, table, [row["document_id"]], values=False) if table else {}
        (present if held else missing).append(str(index["name"]))
    plain = "filters and text search find it"
    if not collection.vector_indexes:
        searchable, reason = True, f"The collection has no vector index: {plain}."
    elif missing:
        searchable, reason = bool(present), f"It has no vector for {', '.join(missing)}; {plain}."
    else:
        searchable, reason = True, f"It has a vector for {', '.join(present)}."
    return {"searchable": searchable, "reason": reason, "source_object_id": row["source_object_id"]}


async def _failures(
    tx: NamespaceReader, row: Mapping[str, Any], source: Any, failures: RowFailures | None
) -> dict[str, Any]:
    object_id = row["root_object_id"]
    if object_id is None:
        return {"failures": [], "reason": "The document was made of no object, so no batch can have failed."}
    found = []
    if source is not None and source.status == "FAILED":
        found.append({"source": "object", "object_id": object_id, "status": "FAILED", "error": source.error})
    for failure in await failures(tx, object_id, row["collection_id"]) if failures else ():
        where = f"batch {failure['batch_id']}, {failure['stage']}"
        found.append({"source": where, "object_id": object_id, "status": "FAILED", "error": failure["message"]})
    reason = None if found else "No failure is kept for its object in this collection."
    return {"failures": found, "reason": reason}


def _history(row: Mapping[str, Any]) -> dict[str, Any]:
    internal = json.loads(row["internal"])
    entries = [{"source": "created", "timestamp": iso(row["created_at"]), "detail": {"batch_id": row["batch_id"]}}]
    entries += [
        {"source": str(step.get("extractor")), "timestamp": step.get("at"), "detail": dict(step)}
        for step in internal.get("processing_history") or ()
    ]
    if row["updated_at"] > row["created_at"]:
        entries.append({"source": "updated", "timestamp": iso(row["updated_at"]), "detail": {}})
    return {"entries": entries, "reason": None}
