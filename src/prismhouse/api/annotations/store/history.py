"""Statements about what annotations were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prismhouse.api.annotations.store.rows import COLUMNS
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["earlier", "state_at", "steps"]

_STEP = "a.annotation_id, a.version, a.changed, a.ended_at, a.ended_by, a.ended_by_type"
_PRIOR = ", ".join(
    f"CASE WHEN '{name}' = ANY(a.changed) THEN a.{name}{cast} END AS {name}"
    for name, cast in (
        ("label", ""),
        ("confidence", ""),
        ("reasoning", ""),
        ("payload", "::text"),
        ("metadata", "::text"),
    )
)
_EARLIER = f"""
SELECT {_STEP}, {_PRIOR}
FROM unnest(%(annotation_ids)b::text[], %(versions)b::integer[]) AS asked (annotation_id, version)
JOIN annotation_history AS a ON a.namespace_id = %(namespace_id)s AND a.annotation_id = asked.annotation_id
  AND a.version < asked.version
ORDER BY a.annotation_id, a.version
"""
_STEPS = f"""
SELECT {_STEP} FROM annotation_history AS a
WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = %(annotation_id)s AND a.version < %(version)s
ORDER BY a.version
"""
_STATE_AT = f"""
SELECT {COLUMNS} FROM annotation_history AS a
WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = %(annotation_id)s AND a.version = %(version)s
"""


async def earlier(tx: NamespaceReader, versions: Mapping[str, int]) -> dict[str, list[Record]]:
    """Return per annotation the states before the given version, oldest first, with values only of what changed."""
    asked = {one: version for one, version in versions.items() if version > 1}
    found: dict[str, list[Record]] = {}
    if asked:
        parameters: dict[str, Sequence[object]] = {"annotation_ids": [*asked], "versions": [*asked.values()]}
        for row in await tx.fetch_all(_EARLIER, parameters):
            found.setdefault(row["annotation_id"], []).append(row)
    return found


async def steps(tx: NamespaceReader, annotation_id: str, version: int) -> list[Record]:
    """Return who ended each version before `version`, when, and what changed; oldest first."""
    return await tx.fetch_all(_STEPS, {"annotation_id": annotation_id, "version": version})


async def state_at(tx: NamespaceReader, annotation_id: str, version: int) -> Record | None:
    """Return the state that stood as `version` and does so no more, or None."""
    return await tx.fetch_one(_STATE_AT, {"annotation_id": annotation_id, "version": version})
