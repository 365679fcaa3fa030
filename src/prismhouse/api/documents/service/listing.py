"""A list request as values: which documents, in what order, and where the next page starts."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.documents.schemas import MOST_PARTITIONS, ListDocuments
from prismhouse.api.web.paging import Page
from prismhouse.kit import json
from prismhouse.kit.cursors import BadCursor, check_age, decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters import EVERYTHING, MAX_DEPTH, Filter, parse
from prismhouse.query.filters.values import ValueFault, checked_field
from prismhouse.query.listing import After, Order, Selection, order_of

__all__ = ["CURSOR_SECONDS", "Listing", "plan"]

CURSOR_SECONDS = 7 * 86_400.0
"""How long a cursor is good for where nothing else is set."""

_CURSOR_LENGTH = 5
# A key of the order is cut before it is so long (migration 0010); only a forged cursor holds more.
_LONGEST_KEY = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the store takes, and how to go on after it. `grouping` is the order of groups, where they were asked for."""

    selection: Selection
    order: Order
    grouping: Order | None
    after: After | None
    mark: str

    def cursor_after(self, value: str | None, document_id: str) -> str:
        """Return the cursor of the page that starts after this place; it stays in its partition."""
        place = [value, document_id, *(self.selection.share or (None, None))]
        return encode_cursor([*place, int(time.time())], self.mark)


def plan(
    request: ListDocuments,
    page: Page,
    *,
    namespace_id: str,
    collection_ids: Sequence[str],
    object_id: str | None = None,
    filter_: Filter | None = None,
    indexed: frozenset[str] = frozenset(),
    cursor_seconds: float = CURSOR_SECONDS,
) -> Listing:
    """Return what a request asks for; raise Invalid, BadCursor or CursorExpired.

    Unsorted lists are ordered by document id, sorted ones by value, absent values last, then by document id: so a
    cursor finds its place again whatever is inserted and deleted meanwhile. `filter_` is the parsed filter.
    """
    mark = _mark(request, [namespace_id, *collection_ids, object_id or ""])
    share, after = _share(request), None
    if page.cursor:
        after, held = _decoded(page.cursor, mark, cursor_seconds)
        if share not in (None, held):
            raise BadCursor
        share = held
    group_by = request.grouped_by
    return Listing(
        selection=Selection(
            collection_ids=collection_ids,
            object_id=object_id,
            filter=EVERYTHING if filter_ is None else filter_,
            search=request.search or None,
            share=share,
            indexed=indexed,
        ),
        order=_order(request),
        grouping=order_of(_field(group_by, "group_by"), prefix="group") if group_by else None,
        after=after,
        mark=mark,
    )


def filter_of(request: ListDocuments, *, max_depth: int = MAX_DEPTH) -> Filter:
    """Return the parsed filter of a request; raise Invalid."""
    return parse(request.filters, max_depth=max_depth) if request.filters else EVERYTHING


def _decoded(cursor: str, mark: str, limit_seconds: float) -> tuple[After, tuple[int, int] | None]:
    """Return the place and the partition of a cursor; raise BadCursor or CursorExpired."""
    value, document_id, index, count, issued_at = decode_cursor(cursor, length=_CURSOR_LENGTH, fingerprint=mark)
    check_age(issued_at, now=time.time(), limit_seconds=limit_seconds)
    if not isinstance(value, str | None) or not isinstance(document_id, str) or len(value or "") > _LONGEST_KEY:
        raise BadCursor
    if index is None and count is None:
        return After(value, document_id), None
    if type(index) is not int or type(count) is not int or not 0 <= index < count <= MOST_PARTITIONS:
        raise BadCursor
    return After(value, document_id), (index, count)


def _mark(request: ListDocuments, scope: Sequence[str]) -> str:
    """Return what a cursor is bound to: the same documents in the same order."""
    sort = request.sort and request.sort.model_dump()
    asked: list[Any] = [sorted(scope), request.filters, request.search, sort]
    if request.grouped_by:
        asked.append(request.grouped_by)
    return hashlib.blake2b(json.dumps(asked), digest_size=6).hexdigest()


def _share(request: ListDocuments) -> tuple[int, int] | None:
    partition = request.partition
    if partition is None:
        return None
    if partition.index >= partition.count:
        raise Invalid([field_fault(["body", "partition", "index"], f"must be below count ({partition.count})")])
    return partition.index, partition.count


def _order(request: ListDocuments) -> Order:
    sort = request.sort
    if sort is None:
        return Order()
    if sort.field.rpartition(".")[2] == "searchable_at":
        message = "searchable_at is computed when a document is read. Sort by _internal.updated_at."
        raise Invalid([field_fault(["body", "sort", "field"], message)])
    return order_of(_field(sort.field, "sort", "field"), descending=sort.direction == "desc")


def _field(name: str, *location: str) -> str:
    try:
        return checked_field(name)
    except ValueFault as fault:
        raise Invalid([field_fault(["body", *location], str(fault))]) from fault


def group_key(value: str, kind: str) -> Any:
    """Return what a group has in common, as it is shown: a field's one value, or the list of several."""
    if kind != "jsonb":
        return value
    held: Mapping[str, Any] | list[Any] = json.loads(value)
    return held[0] if isinstance(held, list) and len(held) == 1 else held
