"""Grouped numbers over the objects of a bucket, as one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.objects.schemas import AggregateObjects, Aggregation, GroupBy, RangeBucket
from prismhouse.api.objects.store.lists import Selection
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["aggregate"]

_COLUMNS = {
    name: f"to_jsonb(o.{name})"
    for name in ("object_id", "bucket_id", "status", "key_prefix", "created_at", "updated_at")
}
_PARTS = {
    "year": "year",
    "month": "month",
    "week": "week",
    "day": "day",
    "dayOfWeek": "dow",
    "dayOfYear": "doy",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "ne": "<>"}
_UNWOUND = """ CROSS JOIN LATERAL jsonb_array_elements(
  CASE WHEN jsonb_typeof({0}) = 'array' THEN {0} WHEN {0} IS NULL THEN '[]'
       ELSE jsonb_build_array({0}) END) AS u(value)"""


class _Statement:
    """Expressions over fields; every name and value of the user is a parameter."""

    def __init__(self, request: AggregateObjects) -> None:
        self.parameters: dict[str, Any] = {}
        self._unwind = request.unwind
        self._ranges = {item.field: item for item in request.range_buckets or ()}

    def bind(self, value: Any) -> str:
        name = f"a{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def stored(self, field: str) -> str:
        """Return the field as jsonb, SQL null when absent or null."""
        if field in _COLUMNS:
            return _COLUMNS[field]
        path = field.split(".")
        below = path[1:] if path[0] == "metadata" and path[1:] else path
        found = f"coalesce(o.fields #> {self.bind(path)}::text[], o.metadata #> {self.bind(below)}::text[])"
        return f"nullif({found}, 'null'::jsonb)"

    def value(self, field: str) -> str:
        """Return the field, or the one element of it where it is unwound."""
        if self._unwind is not None and (field == self._unwind or field.startswith(f"{self._unwind}.")):
            below = field.removeprefix(self._unwind).removeprefix(".")
            return f"(u.value #> {self.bind(below.split('.'))}::text[])" if below else "nullif(u.value, 'null'::jsonb)"
        return self.stored(field)

    def number(self, field: str) -> str:
        value = self.value(field)
        return f"(CASE WHEN jsonb_typeof({value}) = 'number' THEN ({value} #>> '{{}}')::float8 END)"

    def group(self, group: GroupBy) -> str:
        if group.field in self._ranges:
            return self._range(self._ranges[group.field])
        value = self.value(group.field)
        if group.date_trunc is None and group.date_part is None:
            return f"coalesce({value}, 'null'::jsonb)"
        text = f"({value} #>> '{{}}')"
        moment = f"(CASE WHEN pg_input_is_valid({text}, 'timestamptz') THEN {text}::timestamptz END) AT TIME ZONE 'UTC'"
        if group.date_trunc is not None:
            cut = f"date_trunc('{group.date_trunc}', {moment})"
            return f"""to_jsonb(to_char({cut}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))"""
        first = " + 1" if group.date_part == "dayOfWeek" else ""
        return f"to_jsonb((extract({_PARTS[str(group.date_part)]} FROM {moment}){first})::int)"

    def _range(self, item: RangeBucket) -> str:
        number = self.number(item.field)
        low = item.boundaries[0]
        cases = [f"WHEN {number} <= {self.bind(low)}::float8 THEN {self.bind(f'<={low:g}')}::text"]
        for high in item.boundaries[1:]:
            cases.append(f"WHEN {number} <= {self.bind(high)}::float8 THEN {self.bind(f'{low:g}-{high:g}')}::text")
            low = high
        cases.append(f"WHEN {number} > {self.bind(low)}::float8 THEN {self.bind(f'>{low:g}')}::text")
        return f"to_jsonb(CASE {' '.join(cases)} ELSE {self.bind(item.default_bucket)}::text END)"

    def metric(self, item: Aggregation) -> str:
        field = item.distinct_field or item.field if item.function == "count_distinct" else item.field
        if field is None:
            return "to_jsonb(count(*))"
        value = self.value(field)
        number = self.number(field) if item.function in {"sum", "avg", "min", "max"} else ""
        match item.function:
            case "count":
                return f"to_jsonb(count({value}))"
            case "count_distinct":
                return f"to_jsonb(count(DISTINCT {value}))"
            case "sum":
                return f"to_jsonb(coalesce(sum({number}), 0))"
            case "avg":
                return f"to_jsonb(avg({number}))"
            case "min" | "max" as extreme:
                text = f"(CASE WHEN jsonb_typeof({value}) = 'string' THEN {value} #>> '{{}}' END)"
                return f"coalesce(to_jsonb({extreme}({number})), to_jsonb({extreme}({text})))"
            case "first":
                return f"(array_agg({value} ORDER BY o.sequence))[1]"
            case "last":
                return f"(array_agg({value} ORDER BY o.sequence DESC))[1]"
            case "push":
                return f"jsonb_agg({value} ORDER BY o.sequence)"
            case "add_to_set":
                return f"jsonb_agg(DISTINCT {value})"


async def aggregate(
    tx: NamespaceReader, selection: Selection, request: AggregateObjects, *, groups: Sequence[GroupBy], limit: int
) -> tuple[list[Record], int]:
    """Return one row for each group (columns `g0`... and `m0`..., JSON values) and the number of groups."""
    statement = _Statement(request)
    where, parameters = selection.where()
    source = f"FROM objects o{_UNWOUND.format(statement.stored(request.unwind)) if request.unwind else ''}{where}"
    keys = [f"{statement.group(group)} AS g{index}" for index, group in enumerate(groups)]
    metrics = [f"{statement.metric(item)} AS m{index}" for index, item in enumerate(request.aggregations)]
    columns = {group.shown_as: f"g{index}" for index, group in enumerate(groups)}
    columns |= {item.alias: f"m{index}" for index, item in enumerate(request.aggregations)}
    grouped = f" GROUP BY {', '.join(str(index + 1) for index in range(len(keys)))}" if keys else ""
    having = ["true"]
    for condition in request.having or ():
        column, wanted = columns[condition.field], statement.bind(condition.value)
        kind = "text" if isinstance(condition.value, str) else "float8"
        compared = f"t.{column} {_COMPARISONS[condition.operator]} to_jsonb({wanted}::{kind})"
        having.append(f"jsonb_typeof(t.{column}) = '{'string' if kind == 'text' else 'number'}' AND {compared}")
    order = columns.get(request.sort_by or "", "m0")
    ties = ", ".join(f"t.g{index}" for index in range(len(keys)))
    rows = await tx.fetch_all(
        f"SELECT t.*, count(*) OVER () AS groups FROM (SELECT {', '.join(keys + metrics)} {source}{grouped}) t"
        f" WHERE {' AND '.join(having)}"
        f" ORDER BY t.{order} {request.sort_direction.upper()} NULLS LAST{', ' + ties if ties else ''}"
        f" LIMIT %(limit)s",
        {**parameters, **statement.parameters, "limit": limit},
        prepare=False,
    )
    total = rows[0]["groups"] if rows else 0
    return rows, int(total)
