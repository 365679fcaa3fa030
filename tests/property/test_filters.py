"""The SQL of a filter and its evaluation in Python give the same answer for any document and any tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prismhouse.kit.errors import Invalid
from prismhouse.query.filters import matches, parse, to_sql
from prismhouse.query.filters.columns import Columns, document_columns

NAMES = st.sampled_from(["a", "b", "metadata", "x"])
TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "red",
            "Red",
            "RED shoes",
            "the",
            "The",
            "5",
            "5.0",
            "-3",
            "true",
            "True",
            "ÉCOLE",
            "école",
            "İ",
            "ΟΔΟΣ",
            "ß",
        ]
    ),
    st.sampled_from(["2024-05-01", "2024-05-01T00:00:00Z", "2024-05-01 02:00:00+02:00", "2024-13-01", "99-01-01"]),
    st.sampled_from(
        ["running", "runs", "drinks", "drinking", "Quick brown fox", "quick", "O'Hara", 'say "hi"', "%s", "\\"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6),
)
NUMBERS = st.one_of(
    st.integers(-6, 6),
    st.sampled_from([5.0, 0.5, -0.5, 1e22, 12345678901234567890]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
POINTS = st.one_of(
    st.fixed_dictionaries({"lat": st.integers(-90, 90), "lon": st.integers(-180, 180)}),
    st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(list),
)
VALUES = st.recursive(
    st.one_of(SCALARS, POINTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
PAYLOADS = st.dictionaries(NAMES, VALUES, max_size=4)
FIELDS = st.sampled_from(
    [
        "a", "b", "x", "metadata", "a.b", "a.b.x", "metadata.a", "metadata.a.b", "document_id", "collection_id",
        "root_object_id", "source_type", "_internal.created_at", "created_at", "_internal.modality",
        "_internal.lineage.root_object_id", "batch_id", "nothing", "metadata.created_at",
    ]
)  # fmt: skip
WORDS = st.sampled_from(["red", "RED", "run", "drink", "quick fox", "brown quick", "the", "shoes red", "Red shoes"])
OPERANDS = {
    ("eq", "ne"): SCALARS,
    ("in", "nin"): st.lists(SCALARS, max_size=3),
    ("gt", "gte", "lt", "lte"): st.one_of(NUMBERS, TEXTS),
    ("contains",): st.one_of(NUMBERS, TEXTS, st.booleans()),
    ("starts_with", "ends_with", "text"): TEXTS,
    ("regex",): st.sampled_from(["red", "^R", "s$", "[0-9]", "e{2}", "(a|b|É)", "5.0", "x.*y", "^$"]),
    ("exists", "is_null"): st.booleans(),
    ("words", "phrase"): WORDS,
    ("geo_radius",): st.fixed_dictionaries({"center": POINTS, "radius": st.integers(0, 20_000_000)}),
    ("geo_bounding_box",): st.fixed_dictionaries({"top_left": POINTS, "bottom_right": POINTS}),
    ("geo_polygon",): st.fixed_dictionaries({"points": st.lists(POINTS, min_size=3, max_size=5)}),
}
CONDITIONS = st.one_of(
    *(
        st.fixed_dictionaries(
            {"field": FIELDS, "operator": st.sampled_from(names), "value": operand},
            optional={"case_sensitive": st.booleans()},
        )
        for names, operand in OPERANDS.items()
    )
)
TREES = st.recursive(
    CONDITIONS,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "AND": st.lists(inner, max_size=3),
            "OR": st.lists(inner, max_size=3),
            "NOT": st.one_of(inner, st.lists(inner, max_size=2)),
            "case_sensitive": st.booleans(),
        },
    ),
    max_leaves=5,
)
MOMENT = "2024-05-01T00:00:00Z"
ROW = """
WITH d AS (
  SELECT 'doc_Red' AS document_id, 'col_1' AS collection_id, 'obj_1' AS root_object_id, NULL::text AS root_bucket_id,
    'bucket' AS source_type, 'obj_1' AS source_object_id, NULL::text AS source_document_id,
    NULL::text AS source_collection_id, 'bkt/col' AS lineage_path, NULL::text AS batch_id, 'h' AS content_hash,
    '{"modality": "Text"}'::jsonb AS internal, '[]'::jsonb AS document_blobs, '[]'::jsonb AS source_blobs,
    %(moment)s::timestamptz AS created_at, %(moment)s::timestamptz AS updated_at,
    g.payload, searchable_text(g.payload) AS searchable, g.number
  FROM jsonb_array_elements(%(payloads)s::jsonb) WITH ORDINALITY AS g (payload, number)
)
"""
# Fields with an index on their key compile to more: the key's range, which must hold for every match.
COLUMNS: Columns = replace(document_columns("d"), keyed=frozenset({"a", "a.b", "metadata.a", "x"}))


def _record(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        **payload,
        "document_id": "doc_Red",
        "collection_id": "col_1",
        "document_blobs": [],
        "_internal": {
            "modality": "Text",
            "content_hash": "h",
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "source_blobs": [],
            "lineage": {
                "root_object_id": "obj_1",
                "source_type": "bucket",
                "source_object_id": "obj_1",
                "path": "bkt/col",
            },
        },
    }


@pytest.fixture(scope="module")
def connection(postgres_dsn: str, template_database: str) -> Iterator[psycopg.Connection]:
    dsn = psycopg.conninfo.make_conninfo(postgres_dsn, dbname=template_database)
    with psycopg.connect(dsn, autocommit=True) as connected:
        yield connected


def _answers(connection: psycopg.Connection, trees: list[Any], payloads: list[dict[str, Any]]) -> list[list[bool]]:
    """Return, for each payload, whether it passes each filter: one statement for all of them."""
    bound: dict[str, Any] = {"payloads": json.dumps(payloads), "moment": MOMENT}
    conditions = []
    for number, tree in enumerate(trees):
        condition, parameters = to_sql(parse(tree), COLUMNS, prefix=f"tree{number}_")
        conditions.append(f"({condition}) IS TRUE")
        bound |= parameters
    statement = f"{ROW} SELECT {', '.join(conditions)} FROM d ORDER BY number"
    return [list(row) for row in connection.execute(statement, bound, prepare=False).fetchall()]


def _in_sql(connection: psycopg.Connection, tree: Any, payload: dict[str, Any]) -> bool:
    return _answers(connection, [tree], [payload])[0][0]


# 300 times 8 filters on 8 documents: 19,200 cases, each of them a document and a filter.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    trees=st.lists(TREES, min_size=8, max_size=8),
    payloads=st.lists(PAYLOADS, min_size=8, max_size=8),
)
# A list in a list is no element that equals anything: jsonpath would look into it.
@example(
    trees=[{"field": "a", "operator": name, "value": value} for name, value in (("eq", False), ("in", [5, "x"]))],
    payloads=[{"a": [[False]]}, {"a": [[5], ["x"]]}, {"a": [False, 5]}],
)
def test_sql_and_python_agree(connection: psycopg.Connection, trees: list[Any], payloads: list[dict[str, Any]]) -> None:
    parsed = [parse(tree) for tree in trees]
    in_python = [[matches(one, _record(payload)) for one in parsed] for payload in payloads]

    in_sql = _answers(connection, trees, payloads)

    different = [
        (trees[column], payloads[row], in_sql[row][column])
        for row in range(len(payloads))
        for column in range(len(trees))
        if in_sql[row][column] is not in_python[row][column]
    ]
    assert different == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=CONDITIONS, payload=PAYLOADS)
def test_a_condition_and_its_negation_divide_the_documents(
    connection: psycopg.Connection, tree: Any, payload: dict[str, Any]
) -> None:
    assert _in_sql(connection, tree, payload) != _in_sql(connection, {"NOT": tree}, payload)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.text(min_size=1, max_size=30), value=st.text(max_size=30))
def test_nothing_a_user_writes_stands_in_the_statement(connection: psycopg.Connection, field: str, value: str) -> None:
    field, value = f"mark{field}", f"mark{value}"
    payload = {field: value}
    try:
        parsed = parse({"field": field, "value": value})
    except Invalid:
        return
    if "." in field:
        return

    condition, parameters = to_sql(parsed, COLUMNS)

    assert "mark" not in condition
    bound = {**parameters, "payloads": json.dumps([payload]), "moment": MOMENT}
    assert connection.execute(f"{ROW} SELECT FROM d WHERE {condition}", bound, prepare=False).fetchone() is not None


@pytest.mark.parametrize(
    "hostile", ["'; DROP TABLE documents; --", '") || true', '" ? (true)', "%(namespace_id)s", "%s", "$1", "\\'", "{}"]
)
def test_hostile_names_and_values_are_only_data(connection: psycopg.Connection, hostile: str) -> None:
    assert _in_sql(connection, {"field": hostile.replace(".", ""), "value": hostile}, {hostile: hostile})
    assert not _in_sql(connection, {"field": "a", "value": hostile}, {"a": "other"})
