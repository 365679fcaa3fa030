"""What a list of tasks may be filtered by: the language of every list, over the few columns that tasks have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from prismhouse.api.tasks.model import known_status, known_type
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters import And, Condition, Filter, Not, Operator, Or, parse, task_columns, to_sql

__all__ = ["condition"]

_TEXTS = frozenset({
    Operator.EQ, Operator.NE, Operator.IN, Operator.NIN, Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH,
})  # fmt: skip
_TIMES = frozenset({Operator.EQ, Operator.NE, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})
_OPERATORS = {
    **dict.fromkeys(("task_id", "task_type", "status", "namespace_id"), _TEXTS),
    **dict.fromkeys(("created_at", "updated_at"), _TIMES),
}
_WHOLE = {Operator.EQ, Operator.NE, Operator.IN, Operator.NIN}
_SPELLINGS: Mapping[str, Callable[[str, list[str]], str]] = {"status": known_status, "task_type": known_type}


def condition(tree: Any) -> tuple[str, dict[str, Any]]:
    """Return SQL with its parameters; raise Invalid for what cannot be asked of tasks."""
    return to_sql(_stored(parse(tree, path=("body", "filters"))), task_columns())


def _stored(filter_: Filter) -> Filter:
    """Return the filter with statuses and types as they are stored, whatever case they were given in."""
    match filter_:
        case Condition():
            return _leaf(filter_)
        case Not(part=part):
            return Not(_stored(part))
        case And(parts=parts):
            return And(tuple(_stored(part) for part in parts))
        case Or(parts=parts):
            return Or(tuple(_stored(part) for part in parts))


def _leaf(asked: Condition) -> Condition:
    where, taken = ["body", "filters", asked.field], _OPERATORS.get(asked.field)
    if taken is None:
        raise Invalid([field_fault(where, f"is not known of tasks; fields are {', '.join(_OPERATORS)}")])
    if asked.operator not in taken:
        raise Invalid([field_fault(where, f"takes {', '.join(sorted(taken))}, not {asked.operator}")])
    values = asked.value if isinstance(asked.value, tuple) else (asked.value,)
    if not all(isinstance(value, str) for value in values):
        raise Invalid([field_fault(where, "is compared with strings")])
    spelling = _SPELLINGS.get(asked.field)
    if spelling is None or asked.operator not in _WHOLE:
        return asked
    known = tuple(spelling(value, where) for value in values)
    return replace(asked, value=known if isinstance(asked.value, tuple) else known[0])
