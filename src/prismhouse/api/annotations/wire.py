"""Annotations on their way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from prismhouse.api.annotations.model import FIELDS, JSON_FIELDS

__all__ = ["descriptors", "differences", "event", "shown", "without_revisions"]

Audited = dict[str, dict[str, Any]]


def _written(name: str, value: Any) -> Any:
    """JSON objects are text already, and go out as they are."""
    return orjson.Fragment(value) if name in JSON_FIELDS and value is not None else value


def without_revisions(namespace_id: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an annotation without its revisions."""
    return {
        "annotation_id": state["annotation_id"],
        "document_id": state["document_id"],
        "collection_id": state["collection_id"],
        "namespace_id": namespace_id,
        "label": state["label"],
        "confidence": state["confidence"],
        "reasoning": state["reasoning"],
        "payload": _written("payload", state["payload"]),
        "metadata": _written("metadata", state["metadata"]),
        "retriever_id": state["retriever_id"],
        "execution_id": state["execution_id"],
        "stage_name": state["stage_name"],
        "actor_id": state["actor_id"],
        "actor_type": state["actor_type"],
        "created_at": state["created_at"],
        "updated_at": state["updated_at"],
        "version": state["version"],
    }


def shown(namespace_id: str, state: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return an AnnotationResponse; `earlier` are the states before it, oldest first."""
    return {**without_revisions(namespace_id, state), "revisions": [_revision(one) for one in earlier]}


def _revision(ended: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": ended["version"],
        "prior": {name: _written(name, ended[name]) for name in FIELDS if name in ended["changed"]},
        "edited_at": ended["ended_at"],
        "edited_by": ended["ended_by"],
        "edited_by_type": ended["ended_by_type"],
    }


def descriptors(annotation_id: str, current: int, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an AnnotationVersionsResponse; step k tells of the edit that made version k + 1."""
    first: dict[str, Any] = {"edited_at": None, "edited_by": None, "edited_by_type": None, "changed_fields": []}
    made = [
        {
            "edited_at": step["ended_at"],
            "edited_by": step["ended_by"],
            "edited_by_type": step["ended_by_type"],
            "changed_fields": step["changed"],
        }
        for step in steps
    ]
    versions = [
        {"version": number, "current": number == current, **how} for number, how in enumerate([first, *made], start=1)
    ]
    return {"annotation_id": annotation_id, "current_version": current, "versions": versions}


def event(state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return what an event says of an annotation."""
    return {
        "annotation_id": state["annotation_id"],
        "document_id": state["document_id"],
        "collection_id": state["collection_id"],
        "label": state["label"],
        "version": state["version"],
        **more,
    }


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, names: Sequence[str]) -> Audited:
    """Return what an audit row says of a change: the old and the new value of each field."""
    old, new = before or {}, after or {}
    return {name: {"old": _written(name, old.get(name)), "new": _written(name, new.get(name))} for name in names}
