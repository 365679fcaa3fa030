"""Lists of documents as SQL: which documents, in what order, and where a page starts. Values are always parameters.

Documents without the value they are sorted by come last. A page is read in two parts, those with a value and those
without, so that each is a range of an index in its order; see `Order.parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prismhouse.kit import json
from prismhouse.query.filters import EVERYTHING, Filter, document_columns, to_sql
from prismhouse.query.filters.keys import Key, key_of

__all__ = ["After", "Order", "Part", "Selection", "order_of"]

_COLUMNS = document_columns("d")
_SHARE = "(hashtextextended(d.document_id, 0) & 9223372036854775807) %% %(shares)s::bigint = %(share)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Documents of one namespace. Empty `collection_ids` means all collections.

    Attributes:
        search: text that any string of the document holds, letter case aside.
        share: (index, count): one of `count` disjoint parts, by document id.
        indexed: user fields with an index of their own.
    """

    collection_ids: Sequence[str] = ()
    object_id: str | None = None
    filter: Filter = EVERYTHING
    search: str | None = None
    share: tuple[int, int] | None = None
    indexed: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether whole collections are selected, so that counters know how many documents there are."""
        return self.filter == EVERYTHING and not (self.search or self.share or self.object_id)

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the condition on documents `d`, the namespace included, and its parameters."""
        conditions, parameters = ["d.namespace_id = %(namespace_id)s"], dict[str, Any]()
        if len(self.collection_ids) == 1:
            conditions.append("d.collection_id = %(collection_id)s")
            parameters["collection_id"] = self.collection_ids[0]
        elif self.collection_ids:
            conditions.append("d.collection_id = ANY(%(collection_ids)b)")
            parameters["collection_ids"] = list(self.collection_ids)
        if self.object_id is not None:
            conditions.append("d.root_object_id = %(object_id)s")
            parameters["object_id"] = self.object_id
        if self.search:
            conditions.append("d.payload @? %(search)s::jsonpath")
            parameters["search"] = f'$.** ? (@ like_regex {json.dumps(self.search).decode()} flag "iq")'
        if self.filter != EVERYTHING:
            columns = replace(_COLUMNS, keyed=self.indexed)
            condition, values = to_sql(self.filter, columns, prefix="filter")
            conditions.append(condition)
            parameters |= values
        if self.share is not None:
            conditions.append(_SHARE)
            parameters |= {"share": self.share[0], "shares": self.share[1]}
        return " AND ".join(conditions), parameters


@dataclass(frozen=True, slots=True)
class After:
    """The last document of the page before: its sort value as text, None when it had none, and its id."""

    value: str | None
    document_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a list: `condition` on documents `d`, in the order `order`."""

    condition: str
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By a key, then by document id in the same direction; by id alone without a key."""

    key: Key | None = None
    descending: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> str:
        """The expression of the sort value as text, for cursors; null where there is none."""
        if self.key is None:
            return "NULL::text"
        return f"CASE WHEN {self.key.present or 'true'} THEN ({self.key.expression})::text END"

    @property
    def text(self) -> str:
        """Everything in one order, absent values last: for lists that no index serves, such as inside a group."""
        if self.key is None:
            return "d.document_id"
        way = "DESC" if self.descending else "ASC"
        if not self.key.present:
            return f"{self.key.expression} {way}, d.document_id {way}"
        value = f"CASE WHEN {self.key.present} THEN {self.key.expression} END"
        return f"{value} {way} NULLS LAST, d.document_id {way}"

    def parts(self, after: After | None) -> tuple[list[Part], dict[str, Any]]:
        """Return the stretches after `after`, in order, with the parameters of the order and of that place."""
        key, sign = self.key, "<" if self.descending else ">"
        way = "DESC" if self.descending else "ASC"
        bound = dict(self.parameters)
        if after is not None:
            bound |= {"after_value": after.value, "after_id": after.document_id}
        beyond = f"d.document_id {sign} %(after_id)s" if after else "true"
        by_id = f"d.document_id {way}"
        if key is None:
            return [Part(condition=beyond, order=by_id)], bound
        last = [Part(condition=f"{key.absent} AND {beyond}", order=by_id)] if key.present else []
        if after is not None and after.value is None:
            return last, bound
        first = key.present or "true"
        if after is not None:
            last = [Part(condition=key.absent, order=by_id)] if key.present else []
            place = f"(%(after_value)s::{key.kind}, %(after_id)s)"
            first = f"{first} AND ({key.expression}, d.document_id) {sign} {place}"
        return [Part(condition=first, order=f"{key.expression} {way}, {by_id}"), *last], bound


def order_of(name: str | None, *, descending: bool = False, prefix: str = "sort") -> Order:
    """Return the order by a field, or by document id."""
    if name is None:
        return Order()
    parameters: dict[str, Any] = {}

    def bind(path: str) -> str:
        parameters[f"{prefix}{len(parameters)}"] = path
        return f"%({prefix}{len(parameters) - 1})s"

    return Order(key=key_of(name, _COLUMNS, bind), descending=descending, parameters=parameters)
