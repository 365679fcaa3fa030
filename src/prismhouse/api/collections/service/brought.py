"""Collections that no extractor fills: users bring their documents, with vectors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.collections import store
from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.collections.model.brought import BROUGHT, BROUGHT_EXTRACTOR
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import new_id
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["CollectionExtracts", "brought_collection"]

_DEFAULT_NAME = "documents"
_ID = re.compile(r"^col_[a-zA-Z0-9_]+$")


class CollectionExtracts(WarehouseError):
    """Collection {collection} is filled by {extractor}; documents with vectors of one's own stand apart."""

    code = Code.CONFLICT
    hint = "Name another collection_id: one that is not there is made."


async def brought_collection(
    tx: NamespaceWriter, identifier: str | None, vector_indexes: Sequence[Mapping[str, Any]]
) -> CollectionRow:
    """Return the collection with this id or name, made when it is not there; None is the one named `documents`.

    All such collections of a namespace have the same vectors. Raises CollectionExtracts.
    """
    name = identifier or _DEFAULT_NAME
    record = await store.find(tx, name)
    if record is None:
        collection_id = name if _ID.match(name) else new_id("col")
        values: dict[str, Any] = {
            "collection_id": collection_id,
            "collection_name": name,
            "description": None,
            "source": {"type": "bucket"},
            "source_ids": [],
            "feature_extractor": BROUGHT_EXTRACTOR,
            "input_schema": {"properties": {}},
            "output_schema": {"properties": {}},
            "vector_indexes": list(vector_indexes),
            "metadata": {},
            "config": {"schema_sync_enabled": False},
            "enabled": True,
        }
        # Two upserts may make it at once: the later one waits here and finds it.
        record = await store.insert(tx, values) or await store.find(tx, name)
    row = CollectionRow.from_record(record or {})
    if row.extractor_name != BROUGHT:
        raise CollectionExtracts(collection=row.name, extractor=row.extractor_id)
    return row
