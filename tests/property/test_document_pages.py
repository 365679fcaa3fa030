"""Walks over lists: every document once and in order, whatever is sorted by, and whoever writes meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from prismhouse.query.listing import After, Order, Selection, order_of

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -0.5, 1e300, "", "a", "B", "ä", "10", "9", "x" * 1_200]),
)
VALUES = st.one_of(SCALARS, SCALARS, st.lists(SCALARS, max_size=3), st.just({"deep": 1}), st.just([[1], {}]))
PAYLOADS = st.one_of(
    st.just({}),
    VALUES.map(lambda value: {"n": value}),
    VALUES.map(lambda value: {"metadata": {"n": value}}),
    st.lists(VALUES, max_size=2).map(lambda values: {"deep": [{"n": value} for value in values]}),
)
FIELDS = st.sampled_from([None, "n", "metadata.n", "deep.n", "root_object_id", "created_at", "document_id"])
# Between two pages: documents that come, and documents that go.
CHANGES = st.lists(
    st.tuples(st.sampled_from(["come", "go"]), st.integers(0, 29), PAYLOADS, st.sampled_from([None, "obj_a", "obj_b"])),
    max_size=3,
)
INSERT = """
INSERT INTO documents (namespace_id, collection_id, document_id, payload, root_object_id, created_at)
VALUES ('ns_p', 'col_p', %(id)s, %(payload)s, %(object)s, timestamptz '2024-01-01Z' + make_interval(days => %(day)s))
ON CONFLICT DO NOTHING
"""


@pytest.fixture(scope="module")
def connection(fresh_database: Any) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(fresh_database(), autocommit=True, row_factory=dict_row) as connected:
        connected.execute("SET timezone = 'UTC'")
        connected.execute("INSERT INTO organizations VALUES ('org_p', 'p')")
        connected.execute(
            "INSERT INTO namespaces (namespace_id, organization_id, namespace_name) VALUES ('ns_p', 'org_p', 'p')"
        )
        connected.execute(
            "INSERT INTO collections (namespace_id, collection_id, collection_name, source, source_ids,"
            " feature_extractor, input_schema, output_schema)"
            " VALUES ('ns_p', 'col_p', 'p', '{}', '{}', '{}', '{}', '{}')"
        )
        yield connected


def _page(connection: psycopg.Connection[dict[str, Any]], order: Order, after: After | None, limit: int) -> list[Any]:
    """Read a page as the store does: stretch by stretch until it is full."""
    where, parameters = Selection(collection_ids=["col_p"]).where()
    parts, bound = order.parts(after)
    found: list[Any] = []
    for part in parts:
        statement = (
            f"SELECT d.document_id, {order.value} AS value FROM documents AS d WHERE {where} AND {part.condition}"
            f" ORDER BY {part.order} LIMIT %(limit)s"
        )
        rows = connection.execute(
            statement, {**parameters, **bound, "namespace_id": "ns_p", "limit": limit - len(found)}, prepare=False
        ).fetchall()
        found += rows
        if len(found) == limit:
            break
    return found


def _name(number: int) -> str:
    return f"doc_{number:02}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(
    payloads=st.lists(st.tuples(PAYLOADS, st.sampled_from([None, "obj_a", "obj_b"])), min_size=1, max_size=12),
    field=FIELDS,
    descending=st.booleans(),
    limit=st.integers(1, 4),
    changes=st.lists(CHANGES, max_size=6),
)
def test_a_walk_meets_every_standing_document_once_and_in_order(
    connection: psycopg.Connection[dict[str, Any]],
    payloads: list[tuple[dict[str, Any], str | None]],
    field: str | None,
    descending: bool,
    limit: int,
    changes: list[list[Any]],
) -> None:
    connection.execute("DELETE FROM documents")
    for number, (payload, owner) in enumerate(payloads):
        values = {"id": _name(2 * number), "payload": Jsonb(payload), "object": owner, "day": number % 3}
        connection.execute(INSERT, values)
    standing = {_name(2 * number) for number in range(len(payloads))}
    order = order_of(field, descending=descending)
    seen: list[str] = []
    after: After | None = None
    while page := _page(connection, order, after, limit):
        seen += [row["document_id"] for row in page]
        after = After(page[-1]["value"], page[-1]["document_id"])
        for kind, number, payload, owner in changes.pop() if changes else []:
            if kind == "go":
                connection.execute("DELETE FROM documents WHERE document_id = %s", (_name(number),))
                standing.discard(_name(number))
            else:  # under an id that nobody had before
                name = f"{_name(number)}_{len(seen)}"
                day = {"id": name, "payload": Jsonb(payload), "object": owner, "day": number % 3}
                connection.execute(INSERT, day)

    where, parameters = Selection(collection_ids=["col_p"]).where()
    statement = f"SELECT d.document_id FROM documents AS d WHERE {where} ORDER BY {order.text}"
    whole = connection.execute(statement, {**parameters, **order.parameters, "namespace_id": "ns_p"}).fetchall()
    assert len(seen) == len(set(seen)), "a document came twice"
    assert standing <= set(seen), "a document that stood all the time did not come"
    left = [row["document_id"] for row in whole if row["document_id"] in standing]
    assert [name for name in seen if name in standing] == left, json.dumps(payloads, default=str)
