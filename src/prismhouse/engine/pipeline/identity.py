"""Document ids that the same input makes again, so that a repeated run writes the same rows, not more."""

from __future__ import annotations

from collections.abc import Sequence

from prismhouse.kit import json
from prismhouse.kit.ids import DocumentId, digest_id

__all__ = ["document_ids"]


def document_ids(
    source_id: str,
    positions: Sequence[tuple[str | int | float, ...]],
    *,
    collection_id: str,
    extractor_id: str,
    salt: str = "",
) -> list[DocumentId]:
    """Return one id for each document of a source, in order.

    Args:
        source_id: the object or upstream document.
        positions: the places of its documents; a place that comes twice is told apart by its count.
        collection_id: where they are written.
        extractor_id: name and version of what made them.
        salt: other salts give other ids: the batch id, where a run is to write beside earlier ones.
    """
    seen: dict[bytes, int] = {}
    ids = []
    for position in positions:
        place = json.dumps(list(position))
        repeat = seen[place] = seen.get(place, -1) + 1
        parts = (source_id, collection_id, extractor_id, place.decode(), str(repeat), salt)
        ids.append(DocumentId(digest_id("doc", *parts)))
    return ids
