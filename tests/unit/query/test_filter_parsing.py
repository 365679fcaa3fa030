"""Every form of a filter that the API accepts, and errors that name the place."""

from __future__ import annotations

from typing import Any

import pytest

from prismhouse.kit.errors import Invalid
from prismhouse.query.filters import EVERYTHING, And, Condition, Not, Operator, Or, fields_of, parse
from prismhouse.query.filters.tree import Point

A = Condition("a", Operator.EQ, 1)
B = Condition("b", Operator.GT, 2)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (None, EVERYTHING),
        ({}, EVERYTHING),
        ({"AND": []}, EVERYTHING),
        ({"OR": []}, EVERYTHING),
        ({"NOT": []}, EVERYTHING),
        ({"field": "a", "value": 1}, A),
        ({"field": "a", "operator": "eq", "value": 1}, A),
        ({"field": "a", "operator": None, "value": 1}, A),
        ({"a": 1}, A),
        ([{"a": 1}, {"b": {"gt": 2}}], And((A, B))),
        ({"a": 1, "b": {"$gt": 2}}, And((A, B))),
        ({"AND": [{"a": 1}], "NOT": {"b": {"gt": 2}}}, And((A, Not(B)))),
        ({"NOT": [{"a": 1}, {"b": {"gt": 2}}]}, And((Not(A), Not(B)))),
        ({"OR": [{"a": 1}, {"b": {"gt": 2}}]}, Or((A, B))),
        ({"$or": [{"a": 1}, {"b": {"gt": 2}}]}, Or((A, B))),
        ({"a": [1, 2]}, Condition("a", Operator.IN, (1, 2))),
        ({"a": {"gte": 1, "$lt": 9}}, And((Condition("a", Operator.GTE, 1), Condition("a", Operator.LT, 9)))),
        ({"a": {"$all": [1]}}, Condition("a", Operator.CONTAINS, "1")),
        ({"strategy": "structured", "structured_filter": {"a": 1}}, A),
        ({"field": "a", "operator": "exists"}, Condition("a", Operator.EXISTS, True)),
        ({"a": {"is_null": False}}, Condition("a", Operator.IS_NULL, False)),
        (
            {"field": "a", "operator": "geo_radius", "value": {"center": [13.4, 52.5], "radius": 10}},
            Condition("a", Operator.GEO_RADIUS, (Point(52.5, 13.4), 10.0)),
        ),
    ],
)
def test_a_form_is_understood(tree: Any, expected: Any) -> None:
    assert parse(tree) == expected


@pytest.mark.parametrize(
    ("base", "outer", "inner", "expected"),
    [
        (False, True, None, True),
        (False, True, False, True),  # the official client sends false with every condition
        (False, False, True, True),
        (False, None, None, False),
        (True, None, None, True),
        (True, False, None, False),
        (True, None, False, False),
    ],
)
def test_the_case_rule_holds_for_everything_below(
    base: bool, outer: bool | None, inner: bool | None, expected: bool
) -> None:
    tree = {"case_sensitive": outer, "AND": [{"field": "b", "value": "y", "case_sensitive": inner}]}

    assert parse(tree, case_sensitive=base) == Condition("b", Operator.EQ, "y", expected)


@pytest.mark.parametrize(
    ("tree", "place", "message"),
    [
        ("x", "body.filters", "must be an object"),
        ({"AND": {"a": 1}}, "body.filters.AND", "must be a list"),
        ({"AND": [{"a": 1}, 5]}, "body.filters.AND.1", "must be an object"),
        ({"field": "a", "operator": "like", "value": 1}, "body.filters.operator", "valid: eq, ne"),
        ({"operator": "eq", "value": 1}, "body.filters.field", "is missing"),
        ({"field": "a", "operator": "gt"}, "body.filters.value", "is missing"),
        ({"field": "a", "operator": "in", "value": "x"}, "body.filters.value", "must be a list"),
        ({"field": "a", "value": 1, "boost": 2}, "body.filters", "unknown: boost"),
        ({"a": {"near": 1}}, "body.filters.a.near", "unknown operator 'near'"),
        ({"must": [{"key": "a", "match": {"value": 1}}]}, "body.filters.must", "use AND, OR and NOT"),
        ({"case_sensitive": "yes"}, "body.filters.case_sensitive", "true or false"),
        ({"a": "x\x00"}, "body.filters.a", "U+0000"),
        ({"a\x00": "x"}, "body.filters.a\x00", "U+0000"),
        ({"a..b": "x"}, "body.filters.a..b", "dotted path"),
        ({"a": "\ud800"}, "body.filters.a", "valid Unicode"),
        ({"a": {"regex": "("}}, "body.filters.a.regex", "not a valid regular expression"),
        ({"a": {"gt": True}}, "body.filters.a.gt", "must be a number"),
        ({"a": float("nan")}, "body.filters.a", "must be a string"),
        ({"a": {"geo_radius": {"center": {"lat": 91, "lon": 0}}}}, "body.filters.a.geo_radius.radius", "metres"),
        (
            {"a": {"geo_radius": {"center": {"lat": 91, "lon": 0}, "radius": 1}}},
            "body.filters.a.geo_radius.center.lat",
            "from -90 to 90",
        ),
        ({"a": {"geo_polygon": {"points": [[0, 0]]}}}, "body.filters.a.geo_polygon.points", "3 to 1000"),
    ],
)
def test_the_place_of_a_fault_is_named(tree: Any, place: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(tree)

    [fault] = caught.value.details["validation_errors"]
    assert ".".join(map(str, fault["location"])) == place
    assert message in fault["message"]


def test_depth_is_limited_when_a_tree_is_nested_ten_thousand_times() -> None:
    tree: Any = {"a": 1}
    for _ in range(10_000):
        tree = {"NOT": tree}

    with pytest.raises(Invalid, match="nested deeper than 10 levels"):
        parse(tree)


def test_the_deepest_allowed_tree_passes() -> None:
    tree: Any = {"a": 1}
    for _ in range(3):
        tree = {"AND": [tree]}

    assert parse(tree, max_depth=3) == A
    with pytest.raises(Invalid):
        parse(tree, max_depth=2)


def test_a_filter_is_refused_when_it_has_too_many_conditions() -> None:
    with pytest.raises(Invalid, match="more than 1000 conditions"):
        parse({"AND": [{"a": i} for i in range(1001)]})


def test_templates_pass_when_only_the_shape_is_checked() -> None:
    tree = {"AND": [{"field": "a", "operator": "in", "value": "{{INPUT.tags}}"}, {"b": {"gt": "{{INPUT.low}}"}}]}

    assert fields_of(parse(tree, templates=True)) == {"a", "b"}
    with pytest.raises(Invalid):
        parse(tree)
