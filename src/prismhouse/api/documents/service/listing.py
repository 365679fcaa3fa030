"""A list request as SQL: conditions, order, and where the next page starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.documents.schemas import ListDocuments, Partition, Sort
from prismhouse.api.web.paging import Page
from prismhouse.kit import json
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters import MAX_DEPTH, document_columns, parse, to_sql
from prismhouse.query.filters.columns import Kind

__all__ = ["Listing", "plan"]

_FIELDS = document_columns("d")
_CURSOR_LENGTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What `store.page` takes, and how to go on after it. `matching` is without the cursor: what a total counts.

    `plain` lists hold whole collections.
    """

    matching: Sequence[str]
    where: Sequence[str]
    parameters: Mapping[str, Any]
    order: str
    sort_value: str
    mark: str
    partition: Partition | None
    filtered: bool
    plain: bool

    def cursor_after(self, row: Mapping[str, Any]) -> str:
        """Return the cursor of the page that starts after `row`; it stays in its partition."""
        share = [self.partition.index, self.partition.count] if self.partition else [None, None]
        return encode_cursor([row["sort_value"], row["document_id"], *share], self.mark)


def plan(
    request: ListDocuments,
    page: Page,
    *,
    collection_ids: Sequence[str],
    object_id: str | None = None,
    filter_depth: int = MAX_DEPTH,
) -> Listing:
    """Return the SQL of a request; raise Invalid or BadCursor.

    Unsorted lists are ordered by document id, sorted ones by value, absent values last, then by document id: so a
    cursor finds its place again whatever is inserted meanwhile.
    """
    where: list[str] = []
    parameters: dict[str, Any] = {}
    if len(collection_ids) == 1:
        where.append("d.collection_id = %(collection_id)s")
        parameters["collection_id"] = collection_ids[0]
    elif collection_ids:
        where.append("d.collection_id = ANY(%(collection_ids)b)")
        parameters["collection_ids"] = list(collection_ids)
    if object_id is not None:
        where.append("d.root_object_id = %(object_id)s")
        parameters["object_id"] = object_id
    if request.search:
        where.append("d.payload @? %(search)s::jsonpath")
        parameters["search"] = f'$.** ? (@ like_regex {json.dumps(request.search).decode()} flag "iq")'
    if request.filters:
        condition, values = to_sql(parse(request.filters, max_depth=filter_depth), _FIELDS, prefix="filter")
        where.append(condition)
        parameters |= values
    mark = _mark(request, [*collection_ids, object_id or ""])
    after = _decoded(page.cursor, mark) if page.cursor else None
    partition = request.partition
    if after and partition is None and after[3]:
        partition = Partition(index=after[2], count=after[3])
    if partition is not None:
        where.append(_share(partition, parameters))
    expression, kind = _sort_expression(request.sort, parameters)
    matching = tuple(where)
    if after:
        where.append(_beyond(after, request.sort, expression=expression, kind=kind, parameters=parameters))
    direction = request.sort.direction if request.sort else "asc"
    order = f"{expression} {direction} NULLS LAST, d.document_id" if expression else "d.document_id"
    return Listing(
        matching=matching,
        where=where,
        parameters=parameters,
        order=order,
        sort_value=expression or "NULL",
        mark=mark,
        partition=partition,
        filtered=bool(request.filters),
        plain=not (request.filters or request.search or partition or object_id),
    )


def _decoded(cursor: str, mark: str) -> list[Any]:
    values = decode_cursor(cursor, length=_CURSOR_LENGTH, fingerprint=mark)
    if not isinstance(values[0], str | None) or not isinstance(values[1], str):
        raise BadCursor
    if not all(isinstance(number, int | None) for number in values[2:]):
        raise BadCursor
    return values


def _mark(request: ListDocuments, collection_ids: Sequence[str]) -> str:
    """Return what a cursor is bound to: the same documents in the same order."""
    asked = [sorted(collection_ids), request.filters, request.search, request.sort and request.sort.model_dump()]
    return hashlib.blake2b(json.dumps(asked), digest_size=6).hexdigest()


def _share(partition: Partition, parameters: dict[str, Any]) -> str:
    if partition.index >= partition.count:
        raise Invalid([field_fault(["body", "partition", "index"], f"must be below count ({partition.count})")])
    parameters |= {"share": partition.index, "shares": partition.count}
    return "(hashtextextended(d.document_id, 0) & 9223372036854775807) %% %(shares)s::bigint = %(share)s"


def _sort_expression(sort: Sort | None, parameters: dict[str, Any]) -> tuple[str | None, str]:
    """Return the SQL expression and type of the sort value; a path that is no column leads into the payload."""
    if sort is None:
        return None, "text"
    if sort.field.rpartition(".")[2] == "searchable_at":
        message = "searchable_at is computed when a document is read. Sort by _internal.updated_at."
        raise Invalid([field_fault(["body", "sort", "field"], message)])
    found = []
    for position, place in enumerate(_FIELDS.places(sort.field)):
        if place.kind is not Kind.JSON:
            return place.sql, "timestamptz" if place.kind is Kind.TIME else "text"
        name = f"sort_path{position}"
        parameters[name] = list(place.path)
        found.append(f"nullif({place.sql} #> %({name})b::text[], 'null')")
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})", "jsonb"


def _beyond(
    after: Sequence[Any], sort: Sort | None, *, expression: str | None, kind: str, parameters: dict[str, Any]
) -> str:
    value, document_id = after[0], after[1]
    parameters |= {"after_id": document_id, "after_value": value}
    if sort is None:
        return "d.document_id > %(after_id)s"
    if value is None:
        return f"({expression} IS NULL AND d.document_id > %(after_id)s)"
    order = "<" if sort.direction == "desc" else ">"
    same = f"{expression} = %(after_value)s::{kind} AND d.document_id > %(after_id)s"
    return f"({expression} {order} %(after_value)s::{kind} OR ({same}) OR {expression} IS NULL)"
