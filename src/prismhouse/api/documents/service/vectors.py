"""Vectors next to the documents that own them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.documents import store
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["NOTHING", "Wanted", "hydrate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All vectors (`values`), only their names (`names` true), or those of some stored or output names."""

    values: bool = False
    names: bool | list[str] | None = None

    @property
    def anything(self) -> bool:
        """Whether vectors have to be looked at."""
        return self.values or bool(self.names)


NOTHING = Wanted()


async def hydrate(
    tx: NamespaceReader,
    found: Sequence[Mapping[str, Any]],
    *,
    collections: Mapping[str, CollectionRow],
    wanted: Wanted,
) -> dict[str, dict[str, Any]]:
    """Return, per document, its vectors by name, or the list of names under `_vectors`. One statement per feature."""
    members: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for row in found:
        owner = collections.get(row["collection_id"])  # it may have been deleted since the documents were read
        for index in owner.vector_indexes if owner else ():
            if name := _shown_name(index, wanted):
                members.setdefault(index["feature_uri"], []).append(row["document_id"])
                names[index["feature_uri"]] = name
    standing = await vectors.load(tx, list(members)) if members else {}
    only_names = wanted.names is True and not wanted.values
    hydrated: dict[str, dict[str, Any]] = {row["document_id"]: {"_vectors": []} if only_names else {} for row in found}
    for uri, standing_index in standing.items():
        stored = await store.stored_vectors(tx, standing_index, members[uri], values=not only_names)
        for document_id, vector in stored.items():
            if only_names:
                hydrated[document_id]["_vectors"].append(names[uri])
            else:
                hydrated[document_id][names[uri]] = vector
    return hydrated


def _shown_name(index: Mapping[str, Any], wanted: Wanted) -> str | None:
    """Return the name under which a vector is shown: the stored one, or the output's where that was asked for."""
    if not isinstance(wanted.names, list):
        return str(index["name"])
    for name in (index["name"], index["feature_uri"].rpartition("/")[2]):
        if name in wanted.names:
            return str(name)
    return str(index["name"]) if wanted.values else None
