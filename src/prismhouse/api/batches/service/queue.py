"""When a waiting batch will have its turn: its place, and an estimate from how fast batches have been going."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.batches.store import waiting
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Reader, Record

__all__ = ["standing"]


async def standing(tx: Reader, tasks: Sequence[Record]) -> Mapping[str, Mapping[str, Any]]:
    """Return queue_position and estimated_wait_minutes of tasks whose batch is queued; implements `Standing`."""
    by_namespace: dict[NamespaceId, dict[str, str]] = {}
    for task in tasks:
        batch_id = task["additional_data"].get("batch_id")
        if task["namespace_id"] and isinstance(batch_id, str):
            by_namespace.setdefault(NamespaceId(task["namespace_id"]), {})[batch_id] = task["task_id"]
    found: dict[str, Mapping[str, Any]] = {}
    for namespace_id, names in by_namespace.items():
        inside = tx.within(namespace_id)
        places = await waiting.places(inside, list(names))
        pace = await waiting.pace(inside) if any(place.ahead for place in places) else None
        for place in places:
            found[names[place.batch_id]] = {
                "queue_position": place.ahead + 1,
                "estimated_wait_minutes": _minutes(place, pace),
            }
    return found


def _minutes(place: waiting.Place, pace: waiting.Pace | None) -> float | None:
    """How long the rows ahead will take; not known before any have been run."""
    if place.ahead and pace is None:
        return None
    rows = place.rows_ahead if pace is not None else 0
    # Rounded up: 0 says that nothing is ahead.
    return math.ceil(rows * pace.seconds / pace.rows / 60 * 100) / 100 if pace is not None and rows else 0.0
