"""Events about many things: each names at most a thousand ids, and more ids make more events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MOST_IDS", "Told", "about_many"]

MOST_IDS = 1000
Told = tuple[str, str, Mapping[str, Any]]
"""Event type, id of the resource, payload."""


def about_many(
    event_type: str, resource_id: str, ids: Sequence[str], /, *, noun: str = "document", **payload: Any
) -> list[Told]:
    """Return the events that name all of the ids, as `<noun>_ids` and `<noun>_count`; none for no ids."""
    return [
        (event_type, resource_id, {**payload, f"{noun}_ids": part, f"{noun}_count": len(part)})
        for part in (list(ids[at : at + MOST_IDS]) for at in range(0, len(ids), MOST_IDS))
    ]
