"""What an annotation was: its versions, and its state at one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prismhouse.api.annotations.errors import AnnotationNotFound, AnnotationVersionNotFound
from prismhouse.api.annotations.store import history, rows
from prismhouse.api.annotations.wire import descriptors, shown
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Database, NamespaceReader, Record

__all__ = ["at_version", "settled", "versions", "with_revisions"]

_MAX_VERSION = 2**31 - 1


async def settled(db: Database, namespace_id: NamespaceId) -> datetime:
    """Wait for the changes that are under way, and return a moment before which nothing changes any more.

    In a unit of work of its own: writers wait until it ends.
    """
    async with db.read() as unit:
        return await rows.settled(unit.within(namespace_id))


async def with_revisions(tx: NamespaceReader, states: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return annotations as they are answered, each with what its edits replaced."""
    earlier = await history.earlier(tx, {state["annotation_id"]: state["version"] for state in states})
    return [shown(tx.namespace_id, state, earlier.get(state["annotation_id"], ())) for state in states]


async def versions(tx: NamespaceReader, annotation_id: str) -> dict[str, Any]:
    """Return who made each version, when, and what it changed; raise AnnotationNotFound."""
    current = await _current(tx, annotation_id)
    steps = await history.steps(tx, annotation_id, current["version"])
    return descriptors(annotation_id, current["version"], steps)


async def at_version(tx: NamespaceReader, annotation_id: str, version: int) -> dict[str, Any]:
    """Return an annotation as it stood; raise AnnotationNotFound or AnnotationVersionNotFound."""
    current = await _current(tx, annotation_id)
    state: Record | None = current
    if version != current["version"]:
        # An edit between the two statements only adds versions; a state once ended stays as it is.
        state = await history.state_at(tx, annotation_id, version) if version <= _MAX_VERSION else None
    if state is None or version > current["version"]:
        raise AnnotationVersionNotFound(
            id=annotation_id, version=str(version), current_version=current["version"], resource="annotation version"
        )
    return (await with_revisions(tx, [state]))[0]


async def _current(tx: NamespaceReader, annotation_id: str) -> Record:
    current = await rows.find(tx, annotation_id)
    if current is None:
        raise AnnotationNotFound(annotation_id)
    return current
