"""Aggregations as one statement: rows, unwound, grouped, measured, the groups filtered, sorted and cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.query.aggregate.request import Aggregation, GroupBy, Having, Metric, RangeBucket
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["MAX_GROUPS", "Bind", "Groups", "Records", "aggregate"]

MAX_GROUPS = 10_000
Bind = Callable[[Any], str]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What is aggregated. `table` (with its alias), `where` and `order` are SQL of ours, values are parameters.

    Attributes:
        stored: gives the jsonb expression of a field, SQL null when it is absent or null; binds values by its second
            argument.
        order: expressions that tell first from last.
    """

    table: str
    where: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    stored: Callable[[str, Bind], str]
    order: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Groups as they are answered, and how many there are in all."""

    results: list[dict[str, Any]]
    total: int

    def answer(self) -> dict[str, Any]:
        """Return the aggregation response."""
        return {
            "results": self.results,
            "total_groups": self.total,
            "query_info": {"returned_groups": len(self.results)},
        }


class _Statement:
    """Expressions over fields; every name and value of the user is a parameter."""

    def __init__(self, records: Records, request: Aggregation) -> None:
        self.parameters: dict[str, Any] = dict(records.parameters)
        self._records = records
        self._unwind = request.unwind
        self._ranges = {item.field: item for item in request.range_buckets or ()}

    def bind(self, value: Any) -> str:
        name = f"aggregate{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def _ordered(self, direction: str = "") -> str:
        return ", ".join(f"{one}{direction}" for one in self._records.order)

    def stored(self, field: str) -> str:
        """Return the field as jsonb, SQL null when absent or null."""
        return self._records.stored(field, self.bind)

    def value(self, field: str) -> str:
        """Return the field, or the one element of it where it is unwound."""
        if self._unwind is not None and (field == self._unwind or field.startswith(f"{self._unwind}.")):
            below = field.removeprefix(self._unwind).removeprefix(".")
            return f"(u.value #> {self.bind(below.split('.'))}::text[])" if below else "nullif(u.value, 'null'::jsonb)"
        return self.stored(field)

    def number(self, field: str) -> str:
        value = self.value(field)
        return f"(CASE WHEN jsonb_typeof({value}) = 'number' THEN {value}::float8 END)"

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
        return f"to_jsonb(CASE {' '.join(cases)} ELSE {self.bind(item.default)}::text END)"

    def metric(self, item: Metric) -> str:
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
                return f"(array_agg({value} ORDER BY {self._ordered()}))[1]"
            case "last":
                return f"(array_agg({value} ORDER BY {self._ordered(' DESC')}))[1]"
            case "push":
                return f"jsonb_agg({value} ORDER BY {self._ordered()})"
            case "add_to_set":
                return f"jsonb_agg(DISTINCT {value})"

    def having(self, item: Having, column: str) -> str:
        kind = "text" if isinstance(item.value, str) else "float8"
        compared = f"t.{column} {_COMPARISONS[item.operator]} to_jsonb({self.bind(item.value)}::{kind})"
        return f"jsonb_typeof(t.{column}) = '{'string' if kind == 'text' else 'number'}' AND {compared}"


async def aggregate(tx: NamespaceReader, records: Records, request: Aggregation) -> Groups:
    """Return the groups of `records` with their metrics, at most MAX_GROUPS."""
    statement = _Statement(records, request)
    groups = request.groups
    unwound = _UNWOUND.format(statement.stored(request.unwind)) if request.unwind else ""
    source = f"FROM {records.table}{unwound} WHERE {records.where}"
    keys = [f"{statement.group(group)} AS g{index}" for index, group in enumerate(groups)]
    metrics = [f"{statement.metric(item)} AS m{index}" for index, item in enumerate(request.aggregations)]
    columns = {group.shown_as: f"g{index}" for index, group in enumerate(groups)}
    columns |= {item.alias: f"m{index}" for index, item in enumerate(request.aggregations)}
    grouped = f" GROUP BY {', '.join(str(index + 1) for index in range(len(keys)))}" if keys else ""
    having = " AND ".join(statement.having(item, columns[item.field]) for item in request.having or ()) or "true"
    order = columns.get(request.sort_by or "", "m0")
    ties = ", ".join(f"t.g{index}" for index in range(len(keys)))
    rows = await tx.fetch_all(
        f"SELECT t.*, count(*) OVER () AS groups FROM (SELECT {', '.join(keys + metrics)} {source}{grouped}) t"
        f" WHERE {having}"
        f" ORDER BY t.{order} {request.sort_direction.upper()} NULLS LAST{', ' + ties if ties else ''}"
        f" LIMIT %(limit)s",
        {**statement.parameters, "limit": min(request.limit or MAX_GROUPS, MAX_GROUPS)},
        prepare=False,
    )
    results = [
        {
            "group": {group.shown_as: row[f"g{index}"] for index, group in enumerate(groups)},
            "metrics": {item.alias: row[f"m{index}"] for index, item in enumerate(request.aggregations)},
        }
        for row in rows
    ]
    return Groups(results=results, total=int(rows[0]["groups"]) if rows else 0)
