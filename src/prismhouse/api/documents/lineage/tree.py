"""Counts per collection to the tree of collections that an object went through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prismhouse.api.collections.model import CollectionRow

__all__ = ["depth_of", "grow"]

Made = Mapping[str, Any]
Branch = dict[str, Any]


def grow(made: Sequence[Made], collections: Mapping[str, CollectionRow]) -> list[Branch]:
    """Return the roots of the tree, each with its children; a collection fed by several stands below each of them.

    `made` has rows of collection_id, source_collection_id, tier, documents and document_ids (None: not asked for).
    """
    present = {row["collection_id"] for row in made}
    below: dict[str | None, list[Made]] = {}
    for row in made:
        source = row["source_collection_id"]
        parent = source if source in present and source != row["collection_id"] else None
        below.setdefault(parent, []).append(row)
    roots = _branches(below, None, collections, passed=frozenset())
    reached = set(_ids(roots))
    # Documents that users bring may name a circle of sources, which no root leads to.
    lost = [row for row in made if row["collection_id"] not in reached]
    return roots + [_branch(row, collections, []) for row in lost]


def _branches(
    below: Mapping[str | None, Sequence[Made]],
    parent: str | None,
    collections: Mapping[str, CollectionRow],
    *,
    passed: frozenset[str],
) -> list[Branch]:
    found = []
    for row in below.get(parent, ()):
        own = row["collection_id"]
        if own not in passed:
            found.append(_branch(row, collections, _branches(below, own, collections, passed=passed | {own})))
    return found


def _branch(row: Made, collections: Mapping[str, CollectionRow], children: list[Branch]) -> Branch:
    known = collections.get(row["collection_id"])  # it may have been deleted since
    branch: Branch = {
        "collection_id": row["collection_id"],
        "collection_name": known.name if known else None,
        "tier": row["tier"],
        "feature_extractor_id": known.extractor_id if known else None,
        "document_count": row["documents"],
    }
    if row["document_ids"] is not None:
        branch["document_ids"] = row["document_ids"]
    branch["children"] = children
    return branch


def _ids(branches: Iterable[Branch]) -> Iterable[str]:
    for branch in branches:
        yield branch["collection_id"]
        yield from _ids(branch["children"])


def depth_of(branches: Iterable[Branch]) -> int:
    """Return the number of levels."""
    return max((1 + depth_of(branch["children"]) for branch in branches), default=0)
