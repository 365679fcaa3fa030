"""References to other documents, resolved: one query for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from prismhouse.api.documents import store
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["MOST_REFERENCES", "References"]

MOST_REFERENCES = 50
_COLUMNS = ("source_document_id",)


class References:
    """What some documents refer to in the fields that were named.

    A reference is a string, or a list of strings, at a dotted path; a list on the way is followed item by item.
    """

    def __init__(self, found: Sequence[Record], fields: Sequence[str]) -> None:
        self._by_document: dict[str, dict[str, str | list[str]]] = {}
        for row in found:
            record = {name: row[name] for name in _COLUMNS} | json.loads(row["payload"])
            held = {name: _strings(record, name.split(".")) for name in fields}
            self._by_document[row["document_id"]] = {name: ids for name, ids in held.items() if ids}

    async def resolve(self, tx: NamespaceReader) -> list[Record]:
        """Return the documents referred to; raise Invalid past 50 different ones."""
        wanted = {one for held in self._by_document.values() for ids in held.values() for one in _listed(ids)}
        if len(wanted) > MOST_REFERENCES:
            message = f"refers to {len(wanted)} documents, more than {MOST_REFERENCES}: ask for fewer rows or fields"
            raise Invalid([field_fault(["body", "expand"], message)])
        return await store.find(tx, sorted(wanted)) if wanted else []

    def shown(self, documents: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
        """Return `_expanded` by document: a reference to nothing is null, and left out of a list."""
        return {
            document_id: {
                name: [orjson.Fragment(documents[one]) for one in ids if one in documents]
                if isinstance(ids, list)
                else (orjson.Fragment(documents[ids]) if ids in documents else None)
                for name, ids in held.items()
            }
            for document_id, held in self._by_document.items()
        }


def _listed(ids: str | list[str]) -> list[str]:
    return ids if isinstance(ids, list) else [ids]


def _strings(value: Any, path: Sequence[str]) -> str | list[str]:
    """Return the strings at `path`: one, or a list where a list stands there or on the way."""
    if isinstance(value, list):
        return [one for item in value for one in _listed(_strings(item, path)) if one]
    if not path:
        return value if isinstance(value, str) else ""
    return _strings(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else ""
