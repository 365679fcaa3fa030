"""Up to 1,000 creates, 1,000 updates and 1,000 deletes in one transaction; each succeeds or fails alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from prismhouse.api.annotations.errors import AnnotatedDocumentNotFound, AnnotationNotFound
from prismhouse.api.annotations.model import storable
from prismhouse.api.annotations.schemas import BulkAnnotations
from prismhouse.api.annotations.service.changes import Around, Changes
from prismhouse.api.web.caller import Scope
from prismhouse.storage.postgres.database import Database

__all__ = ["apply"]

Result = dict[str, Any]


async def apply(db: Database, scope: Scope, around: Around, body: BulkAnnotations) -> dict[str, Any]:
    """Apply creates, then updates, then deletes; return a BulkAnnotationsResponse.

    Raises Invalid, and nothing is stored, where a value of any item is not acceptable.
    """
    drafts = [storable(item, ["body", "create", index]) for index, item in enumerate(body.create or ())]
    edits = [storable(item, ["body", "update", index]) for index, item in enumerate(body.update or ())]
    removals = body.delete or []
    if not (drafts or edits or removals):
        return _response([])
    async with db.write() as unit:
        changes = await Changes.begin(unit.within(scope.namespace_id), scope, around)
        created = [_created(one) for one in await changes.create(drafts)] if drafts else []
        held = await changes.hold([*(edit["annotation_id"] for edit in edits), *removals])
        updated = []
        for edit in edits:
            annotation_id = edit["annotation_id"]
            if chain := held.get(annotation_id):
                changes.edit(chain, edit)
            updated.append(_result("update", annotation_id, found=chain is not None))
        await changes.keep(held.values())
        doomed, deleted = {}, []
        for annotation_id in removals:
            # The second of two deletes of one annotation finds nothing, as it would alone.
            found = annotation_id in held and annotation_id not in doomed
            if found:
                doomed[annotation_id] = held[annotation_id]
            deleted.append(_result("delete", annotation_id, found=found))
        await changes.remove(doomed.values())
        await changes.tell()
    return _response([*created, *updated, *deleted])


def _created(made: Any) -> Result:
    failed = isinstance(made, AnnotatedDocumentNotFound)
    return {
        "operation": "create",
        "success": not failed,
        "annotation_id": None if failed else made["annotation_id"],
        "error": made.message if failed else None,
    }


def _result(operation: str, annotation_id: str, *, found: bool) -> Result:
    error = None if found else AnnotationNotFound(annotation_id).message
    return {"operation": operation, "success": found, "annotation_id": annotation_id, "error": error}


def _response(results: list[Result]) -> dict[str, Any]:
    done = Counter(result["operation"] for result in results if result["success"])
    return {
        "created_count": done["create"],
        "updated_count": done["update"],
        "deleted_count": done["delete"],
        "failed_count": len(results) - done.total(),
        "results": results,
    }
