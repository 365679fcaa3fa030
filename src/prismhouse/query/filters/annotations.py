"""What people decided about a document, as fields of its filter: `_annotations.label` and others, as they stand now.

Conditions side by side in one AND concern one and the same annotation: "rejected, by ann". `ne` and `nin` say that
no annotation is so, and stand for themselves. `_annotations.count` counts all, and `_annotations.disagreement` says
whether two actors' latest labels differ. Only the database can answer: a record in memory has no annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters.columns import Columns, Kind, Place
from prismhouse.query.filters.tree import And, Condition, Filter, Operator, fields_of

__all__ = ["about_annotations", "annotated", "of_annotations", "refuse_annotations", "together"]

_NAME = "_annotations"
_COUNT, _DISAGREEMENT = f"{_NAME}.count", f"{_NAME}.disagreement"
_PLACES = {
    "label": Place(Kind.TEXT, "a.label", (), ()),
    "actor_id": Place(Kind.TEXT, "a.actor_id", (), ()),
    "actor_type": Place(Kind.TEXT, "a.actor_type", (), ()),
    "retriever_id": Place(Kind.TEXT, "a.retriever_id", (), ()),
    "confidence": Place(Kind.JSON, "coalesce(to_jsonb(a.confidence), 'null')", (), ()),
    "created_at": Place(Kind.TIME, "a.created_at", (), ()),
    "updated_at": Place(Kind.TIME, "a.updated_at", (), ()),
}
_ROW = Columns(exact={f"{_NAME}.{name}": place for name, place in _PLACES.items()}, prefixes={}, root="'{}'::jsonb")
_KNOWN = (*_ROW.exact, _COUNT, _DISAGREEMENT)
_NONE = {Operator.NE: Operator.EQ, Operator.NIN: Operator.IN}
_ONE = frozenset({
    Operator.EQ, Operator.IN, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE,
    Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.REGEX,
})  # fmt: skip
_COMPARED = {
    Operator.EQ: "=", Operator.NE: "<>", Operator.GT: ">", Operator.GTE: ">=", Operator.LT: "<", Operator.LTE: "<=",
}  # fmt: skip
_SOME = {(Operator.GT, 0), (Operator.GTE, 1), (Operator.NE, 0)}
_NOBODY = {(Operator.EQ, 0), (Operator.LT, 1), (Operator.LTE, 0)}
# An actor's decision is what was last said under the actor's name. Documents with one label or one actor are put
# aside first, in one pass over the annotations; the exact question is asked of what is left.
_DISAGREE = """{document}.document_id IN (
  SELECT a.document_id FROM annotations AS a WHERE a.namespace_id = %(namespace_id)s GROUP BY a.document_id
  HAVING min(a.label) <> max(a.label) AND min(a.actor_id) <> max(a.actor_id) AND (
    SELECT count(DISTINCT last.label) > 1 FROM (
      SELECT DISTINCT ON (one.actor_id) one.label FROM annotations AS one
      WHERE one.namespace_id = %(namespace_id)s AND one.document_id = a.document_id
      ORDER BY one.actor_id, one.updated_at DESC, one.annotation_id DESC) AS last))"""

Compile = Callable[[Filter, Columns], str]
Bind = Callable[[Any], str]


def about_annotations(filter_: Filter) -> bool:
    """Say whether this is a condition on annotations."""
    return isinstance(filter_, Condition) and of_annotations(filter_.field)


def of_annotations(field: str) -> bool:
    """Say whether the name stands for something of annotations."""
    return field.partition(".")[0] == _NAME


def together(parts: Sequence[Filter]) -> tuple[list[Condition], list[Filter]]:
    """Return the conditions of an AND that concern one and the same annotation, and the other parts."""
    one = [part for part in parts if isinstance(part, Condition) and _of_one(part)]
    return one, [part for part in parts if part not in one]


def _of_one(condition: Condition) -> bool:
    return condition.field in _ROW.exact and condition.operator in _ONE


def annotated(conditions: Sequence[Condition], document: str, *, compile_over: Compile, bind: Bind) -> str:
    """Return SQL for conditions on one annotation, or for one condition on all; `document` is the table's alias.

    Raises Invalid for a field, operator or value that annotations do not have.
    """
    of = f"a.namespace_id = {document}.namespace_id AND a.document_id = {document}.document_id"
    if all(_of_one(condition) for condition in conditions):
        # Several EXISTS, one per annotation, would lose which annotation is meant.
        return f"EXISTS (SELECT FROM annotations AS a WHERE {of} AND {compile_over(And(tuple(conditions)), _ROW)})"
    (condition,) = conditions
    field, operator, value = condition.field, condition.operator, condition.value
    some = f"EXISTS (SELECT FROM annotations AS a WHERE {of})"
    if field in _ROW.exact and operator in _NONE:
        same = Condition(field, _NONE[operator], value, condition.case_sensitive)
        return f"NOT {annotated([same], document, compile_over=compile_over, bind=bind)}"
    if field == _NAME and operator is Operator.EXISTS:
        return some if value else f"NOT {some}"
    if field == _COUNT:
        return _count(condition, of, some, bind)
    if field == _DISAGREEMENT and operator in {Operator.EQ, Operator.NE} and isinstance(value, bool):
        differ = f"({_DISAGREE.format(document=document)})"
        return differ if value is (operator is Operator.EQ) else f"NOT {differ}"
    raise _unusable(condition)


def _count(condition: Condition, of: str, some: str, bind: Bind) -> str:
    operator = condition.operator
    numbers = condition.value if operator in {Operator.IN, Operator.NIN} else [condition.value]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise _unusable(condition)
    counted = f"(SELECT count(*) FROM annotations AS a WHERE {of})"
    if operator in {Operator.IN, Operator.NIN}:
        found = f"{counted} = ANY({bind([*numbers])}::bigint[])"
        return found if operator is Operator.IN else f"NOT {found}"
    if operator not in _COMPARED:
        raise _unusable(condition)
    if (operator, condition.value) in _SOME:
        return some
    if (operator, condition.value) in _NOBODY:
        return f"NOT {some}"
    return f"{counted} {_COMPARED[operator]} {bind(condition.value)}::bigint"


def _unusable(condition: Condition) -> Invalid:
    field = condition.field
    if field not in _KNOWN:
        message = f"{field} is not known of annotations; there are {', '.join(_KNOWN)}, and {_NAME} with `exists`"
    elif field == _COUNT:
        message = f"{field} is compared with integers, by eq, ne, in, nin, gt, gte, lt or lte"
    elif field == _DISAGREEMENT:
        message = f"{field} is compared with true or false, by eq or ne"
    else:
        message = f"{field} takes {', '.join(sorted({*_ONE, *_NONE}))}, not {condition.operator}"
    return Invalid([field_fault(["body", "filters"], message)])


def refuse_annotations(filter_: Filter, path: Sequence[str | int]) -> None:
    """Raise Invalid when a filter that is tested in memory asks for annotations."""
    asked = sorted(field for field in fields_of(filter_) if of_annotations(field))
    if asked:
        message = f"{asked[0]} can be asked for where documents are listed or searched, not here"
        raise Invalid([field_fault(path, message)])
