"""The schema of a bucket, and values against it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismhouse.api.buckets.model import FieldType, breaking_changes, file_properties, normalize_schema
from prismhouse.api.objects.fields import check_fields, check_required, with_defaults
from prismhouse.api.objects.uniqueness import unique_value_of
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.errors import Invalid


def schema_of(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}


def test_types_become_lower_case_at_every_level() -> None:
    given = schema_of(a={"type": "ARRAY", "items": {"type": "Object", "properties": {"x": {"type": "DATE"}}}})

    field = normalize_schema(given)["properties"]["a"]

    assert (field["type"], field["items"]["type"], field["items"]["properties"]["x"]["type"]) == (
        "array",
        "object",
        "date",
    )


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {},
        {"properties": []},
        schema_of(a="text"),
        schema_of(a={}),
        schema_of(a={"type": 7}),
        schema_of(a={"type": "text", "required": "yes"}),
        schema_of(a={"type": "string", "enum": "red"}),
        schema_of(a={"type": "object", "properties": []}),
        {"properties": {"": {"type": "text"}}},
        {"properties": {"x" * 101: {"type": "text"}}},
    ],
)
def test_a_schema_that_is_not_well_formed_is_refused(schema: Any) -> None:
    with pytest.raises(Invalid):
        normalize_schema(schema)


def test_fields_do_not_nest_without_end() -> None:
    field: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        field = {"type": "array", "items": field}

    with pytest.raises(Invalid, match="nest at most"):
        normalize_schema(schema_of(a=field))


def test_file_fields_are_those_that_blobs_may_fill() -> None:
    schema = normalize_schema(schema_of(a={"type": "json"}, b={"type": "url"}, c={"type": "PDF"}))

    assert file_properties(schema) == {"a": FieldType.JSON, "c": FieldType.PDF}


def test_only_what_existing_objects_may_not_satisfy_breaks() -> None:
    old = schema_of(a={"type": "text"}, b={"type": "string", "required": True})

    assert breaking_changes(old, old) == []
    assert breaking_changes(old, schema_of(a={"type": "text"}, b={"type": "string"}, c={"type": "date"})) == []
    assert breaking_changes(old, schema_of(a={"type": "pdf", "required": True})) == [
        "a changes from text to pdf",
        "b is removed",
        "a becomes required",
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", ["", "x"], [1, True, [], {}]),
        ("number", [0, -1.5, 10**12], ["1", True, []]),
        ("float", [1, 1.0], ["1"]),
        ("integer", [0, -3], [1.5, "1", False]),
        ("boolean", [True, False], [0, 1, "true"]),
        ("date", ["2026-02-28"], ["2026-02-30", "20260228", "2026-02-28T00:00:00", 5]),
        ("datetime", ["2026-02-28T10:00:00Z", "2026-02-28T10:00:00+02:00", "2026-02-28"], ["now", "2026-13-01", 5]),
        ("url", ["https://example.com/a", "s3://bucket/key"], ["example.com", "http://[", 5]),
        ("object", [{}, {"a": 1}], [[], "x"]),
        ("array", [[], [1, "a"]], [{}, "x"]),
        ("json", [1, "x", [], {}, True], []),
        ("text", ["words"], [1, {}]),
    ],
)
def test_values_are_of_the_fields_type(kind: str, good: list[Any], bad: list[Any]) -> None:
    schema = schema_of(f={"type": kind})

    def faults(value: Any) -> list[Any]:
        return check_fields({"f": value}, schema, files=frozenset(), location=["body"])

    assert [value for value in good if faults(value)] == []
    assert [value for value in bad if not faults(value)] == []
    assert faults(None) == []


def test_required_fields_need_a_value_or_a_blob() -> None:
    schema = schema_of(a={"type": "text", "required": True}, b={"type": "integer", "required": True})

    missing = check_required({"b": None}, schema, files=frozenset({"a"}), location=["body"])

    assert [fault["location"] for fault in missing] == [["body", "b"]]


def test_defaults_are_copies_and_fill_only_what_is_absent() -> None:
    schema = schema_of(a={"type": "array", "default": []}, b={"type": "string", "default": "x"})

    first, second = with_defaults({"b": None}, schema), with_defaults({}, schema)
    first["a"].append(1)

    assert (first["b"], second) == (None, {"a": [], "b": "x"})


@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=1, max_size=255), min_size=3))
def test_a_compound_key_does_not_depend_on_the_order_of_its_fields(values: dict[str, str]) -> None:
    assert unique_value_of(["a", "b", "c"], values, []) == unique_value_of(["c", "a", "b"], values, [])
    assert len(unique_value_of(["a", "b", "c"], values, []).encode()) <= 2000


def test_different_keys_never_meet() -> None:
    pairs = [("a", "b,c"), ("a,b", "c"), ('a"', "b"), ("", ""), (1, True), (1, "true ")]
    seen = set()
    for one, two in pairs:
        try:
            seen.add(unique_value_of(["x", "y"], {"x": one, "y": two}, []))
        except Invalid:
            assert (one, two) == ("", "")

    assert len(seen) == 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(json_values)
def test_what_is_called_storable_has_no_nul_and_fits(value: Any) -> None:
    def fits(inner: Any) -> bool:
        if isinstance(inner, dict):
            return all(fits(key) and fits(item) for key, item in inner.items())
        if isinstance(inner, list):
            return all(map(fits, inner))
        if isinstance(inner, str):
            return "\x00" not in inner
        if isinstance(inner, float):
            return inner == inner and abs(inner) != float("inf")
        return not isinstance(inner, int) or -(2**63) <= inner < 2**63

    assert (unstorable(value, []) == []) == fits(value)
