"""Wire form to tree: every form the API accepts, and errors that name the place of the fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters.annotations import about_annotations
from prismhouse.query.filters.tree import EVERYTHING, And, Condition, Filter, Not, Operator, Or
from prismhouse.query.filters.values import ValueFault, checked_field, checked_value, is_template

__all__ = ["MAX_DEPTH", "parse"]

MAX_DEPTH = 10
MAX_CONDITIONS = 1_000
_LOGIC = {"AND": "AND", "OR": "OR", "NOT": "NOT", "$and": "AND", "$or": "OR", "$not": "NOT"}
_CONDITION_KEYS = {"field", "operator", "value", "case_sensitive"}
_QDRANT = {"must", "should", "must_not"}
_OPERATORS = {name: operator for operator in Operator for name in (operator.value, f"${operator.value}")}
_NAMES = ", ".join(operator.value for operator in Operator)

Path = tuple[str | int, ...]


def parse(
    tree: Any,
    *,
    max_depth: int = MAX_DEPTH,
    path: Sequence[str | int] = ("body", "filters"),
    case_sensitive: bool = False,
    templates: bool = False,
) -> Filter:
    """Return the filter that `tree` (decoded JSON) stands for; None and `{}` match everything.

    Args:
        tree: a logical object, a bare condition, a list (joined by AND), shorthands `{field: value}`, or the JSON
            text of one of these.
        max_depth: how deep logical objects may nest.
        path: where the tree stands in the request; errors name places below it.
        case_sensitive: the rule for strings where the tree does not say. True in the tree holds for everything below,
            whatever that says: the official client sends false with every condition.
        templates: accept `"{{...}}"` and `{"type": "dynamic"}` as any value: for checking a filter whose inputs are
            not known yet. Such a tree must not be run.

    Raises:
        Invalid: with one validation error for the first fault.
    """
    if isinstance(tree, str):
        tree = _decoded(tree, tuple(path))
    if tree is None:
        return EVERYTHING
    parser = _Parser(max_depth=max_depth, templates=templates, case_sensitive=case_sensitive)
    return parser.filter(tree, tuple(path), 0, None)


def _decoded(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        _fail(path, "must be an object: AND, OR, NOT, or a condition {field, operator, value}; this text is not JSON")


def _fail(path: Path, message: str) -> NoReturn:
    raise Invalid([field_fault(path, message)])


class _Parser:
    def __init__(self, *, max_depth: int, templates: bool, case_sensitive: bool) -> None:
        self._case_sensitive = case_sensitive
        self._max_depth = max_depth
        self._templates = templates
        self._conditions = 0

    def filter(self, tree: Any, path: Path, depth: int, stated: bool | None) -> Filter:
        if depth > self._max_depth:
            _fail(path, f"is nested deeper than {self._max_depth} levels")
        if isinstance(tree, list):
            return _join(And, [self.filter(t, (*path, i), depth + 1, stated) for i, t in enumerate(tree)])
        if not isinstance(tree, dict):
            _fail(path, "must be an object: AND, OR, NOT, or a condition {field, operator, value}")
        if isinstance(tree.get("field"), str) and (tree.keys() <= _CONDITION_KEYS):
            return self._condition(tree, path, stated)
        if tree.get("strategy") == "structured" and "structured_filter" in tree:
            return self.filter(tree["structured_filter"], (*path, "structured_filter"), depth + 1, stated)
        return self._logical(tree, path, depth, stated)

    def _logical(self, tree: Mapping[str, Any], path: Path, depth: int, stated: bool | None) -> Filter:
        stated = self._case(tree, path, stated)
        parts: list[Filter] = []
        for key, value in tree.items():
            here = (*path, key)
            if key in _LOGIC:
                parts.append(self._joined(_LOGIC[key], value, here, depth, stated))
            elif key in _QDRANT and isinstance(value, list | dict):
                _fail(here, "is not part of this language; use AND, OR and NOT with {field, operator, value}")
            elif key in {"operator", "value"} and "field" not in tree:
                _fail((*path, "field"), "is missing: a condition is {field, operator, value}")
            elif key == "field" and ("operator" in tree or "value" in tree):
                extra = ", ".join(sorted(tree.keys() - _CONDITION_KEYS))
                _fail(path, f"a condition has the keys {', '.join(sorted(_CONDITION_KEYS))}; unknown: {extra}")
            elif key != "case_sensitive":
                parts.append(self._shorthand(key, value, here, stated))
        return _join(And, parts)

    def _joined(self, kind: str, value: Any, path: Path, depth: int, stated: bool | None) -> Filter:
        if isinstance(value, dict) and kind == "NOT":
            return Not(self.filter(value, path, depth + 1, stated))
        if not isinstance(value, list):
            _fail(path, "must be a list of filters")
        parts = [self.filter(item, (*path, i), depth + 1, stated) for i, item in enumerate(value)]
        if kind == "NOT":
            return _join(And, [Not(part) for part in parts])
        # An empty OR is no constraint, as an empty AND is.
        return _join(Or, parts) if kind == "OR" and parts else _join(And, parts)

    def _case(self, tree: Mapping[str, Any], path: Path, stated: bool | None) -> bool | None:
        given = tree.get("case_sensitive")
        if given is not None and not isinstance(given, bool):
            _fail((*path, "case_sensitive"), "must be true or false")
        return stated if given is None else given or bool(stated)

    def _condition(self, tree: Mapping[str, Any], path: Path, stated: bool | None) -> Filter:
        given = tree.get("operator", Operator.EQ.value)
        operator = _OPERATORS.get(given or Operator.EQ.value) if isinstance(given, str | None) else None
        if operator is None:
            _fail((*path, "operator"), f"unknown operator {given!r}; valid: {_NAMES}")
        if "value" not in tree and operator not in {Operator.EXISTS, Operator.IS_NULL}:
            _fail((*path, "value"), "is missing")
        stated = self._case(tree, path, stated)
        return self._test(tree["field"], operator, tree.get("value", True), (*path, "value"), (*path, "field"), stated)

    def _shorthand(self, field: str, value: Any, path: Path, stated: bool | None) -> Filter:
        if isinstance(value, list):
            return self._test(field, Operator.IN, value, path, path, stated)
        if not isinstance(value, dict) or (self._templates and is_template(value)):
            return self._test(field, Operator.EQ, value, path, path, stated)
        parts: list[Filter] = []
        for name, operand in value.items():
            here = (*path, name)
            if name == "$all" and isinstance(operand, list):
                parts += [self._test(field, Operator.CONTAINS, one, here, path, stated) for one in operand]
            elif name in _OPERATORS:
                parts.append(self._test(field, _OPERATORS[name], operand, here, path, stated))
            else:
                _fail(here, f"unknown operator {name!r}; valid: {_NAMES}")
        return _join(And, parts)

    def _test(
        self, field: str, operator: Operator, value: Any, path: Path, field_path: Path, stated: bool | None
    ) -> Filter:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            _fail(path, f"the filter has more than {MAX_CONDITIONS} conditions")
        try:
            checked_field(field)
        except ValueFault as fault:
            _fail(field_path, str(fault))
        case_sensitive = self._case_sensitive if stated is None else stated
        if self._templates and is_template(value):
            return Condition(field, operator, value, case_sensitive)
        try:
            return Condition(field, operator, checked_value(operator, value), case_sensitive)
        except ValueFault as fault:
            _fail((*path, *fault.below), str(fault))


def _join(kind: type[And | Or], parts: Sequence[Filter]) -> Filter:
    # Conditions on annotations keep their group: those of one group concern one annotation.
    return parts[0] if len(parts) == 1 and not about_annotations(parts[0]) else kind(tuple(parts))
