"""Figures over the documents of a collection that the caller may read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.figures import store
from prismhouse.api.documents.figures.schemas import DistinctValues
from prismhouse.api.objects.fields import check_fields
from prismhouse.api.web.caller import Scope
from prismhouse.query.aggregate import Aggregation, Groups
from prismhouse.query.filters import MAX_DEPTH, parse
from prismhouse.query.listing import Selection
from prismhouse.storage.postgres.database import Database

__all__ = ["Figures"]

_MOST_VALUES = 10_000


class Figures:
    """Aggregate, list the values of a field, and try a document against the schema."""

    def __init__(self, db: Database, *, collections: Collections, filter_depth: int = MAX_DEPTH) -> None:
        self._db = db
        self._collections = collections
        self._filter_depth = filter_depth

    async def aggregate(self, scope: Scope, collection: str, request: Aggregation) -> Groups:
        """Return groups of documents with their metrics."""
        filter_ = parse(request.filters, max_depth=self._filter_depth)
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection)
            return await store.aggregate(tx, Selection(collection_ids=[collection_id], filter=filter_), request)

    async def distinct(self, scope: Scope, collection: str, request: DistinctValues) -> dict[str, Any]:
        """Return the values of a field, the most frequent first; `query_info` says whether there are more."""
        filter_ = parse(request.filters, max_depth=self._filter_depth)
        limit = request.limit or _MOST_VALUES
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection)
            selection = Selection(collection_ids=[collection_id], filter=filter_)
            rows = await store.distinct(tx, selection, field=request.field, limit=limit)
        total = int(rows[0]["total"]) if rows else 0
        cut = {"truncated": True, "reason": f"There are {total} values; the {limit} most frequent are shown."}
        return {
            "field": request.field,
            "values": [{"value": row["value"], "count": row["count"]} for row in rows],
            "total_distinct": len(rows),
            "query_info": cut if total > len(rows) else None,
        }

    async def validate(self, scope: Scope, collection: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Say whether a document would fit the collection's schema; nothing is stored."""
        async with self._db.read() as unit:
            row = await self._collections.resolve(unit.within(scope.namespace_id), collection)
        properties = row.output_schema.get("properties") or {}
        schema = {"properties": properties}
        faults = check_fields(document, schema, files=frozenset(properties), location=["body"])
        return {
            "valid": not faults,
            "collection_id": row.collection_id,
            "errors": faults,
            "unknown_fields": sorted(document.keys() - properties.keys()),
            "missing_fields": sorted(properties.keys() - document.keys()),
        }
