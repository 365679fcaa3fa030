"""Indexes on declared fields: built beside writers, used by lists, dropped when they are no longer declared."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from tests.documents import ONE, House

from prismhouse.api.documents import store
from prismhouse.api.documents.indexes import store as index_store
from prismhouse.query.filters import document_columns, parse
from prismhouse.query.indexes import index_name, is_user_field
from prismhouse.query.listing import After, Order, Selection, order_of
from prismhouse.storage.postgres.database import Database, NamespaceReader
from prismhouse.storage.postgres.locks import Lock

ROWS = 50_000


async def standing(db: Database) -> dict[str, bool]:
    async with db.read() as tx:
        rows = await tx.fetch_all(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid"
            " WHERE relname LIKE 'payload!_index!_%' ESCAPE '!'"
        )
    return {row["relname"]: row["indisvalid"] for row in rows}


async def states(house: House) -> dict[str, str]:
    async with house.db.read() as unit:
        return {row["field_name"]: row["state"] for row in await index_store.listed(unit.within(ONE))}


async def test_declared_indexes_are_built_and_undeclared_ones_dropped(house: House) -> None:
    await house.add("articles", {"a": {"price": 1, "deep": {"when": "2024-05-01"}, "text": "x" * 5_000}})

    await house.declare(price="float", deep__when="datetime", place="geo", text="keyword", created_at="datetime")
    built = await standing(house.db)
    await house.add("articles", {"b": {"price": "9" * 20_000, "text": ["long"] * 5_000, "deep": {"when": "y" * 9_000}}})
    await house.declare(price="integer")

    expected = {index_name(ONE, name): True for name in ("price", "deep.when", "text")}
    assert built == expected
    assert await standing(house.db) == {index_name(ONE, "price"): True}
    assert await states(house) == {"price": "ready"}
    assert await house.names("articles", sort={"field": "price"}) == ["b", "a"]


async def test_an_unfinished_index_is_built_anew(house: House) -> None:
    await house.declare(price="float")
    name = index_name(ONE, "price")
    with psycopg.connect(house.db.dsn, autocommit=True) as connection:
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (name,))

    await house.indexes.build()

    assert await standing(house.db) == {name: True}


async def test_building_waits_for_another_builder_as_a_job(house: House) -> None:
    with psycopg.connect(house.db.dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (int(Lock.BUILD_INDEXES),))
        await house.declare(price="float")

    assert await standing(house.db) == {}
    assert await states(house) == {"price": "building"}
    async with house.db.read() as tx:
        waiting = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'documents.payload_indexes'"
        assert await tx.fetch_value(f"{waiting} AND scheduled_at IS NOT NULL") == 1


async def test_a_field_used_often_gets_an_index_where_the_namespace_wants_that(house: House) -> None:
    await house.add("articles", {"a": {"n": 1}})
    async with house.db.write() as tx:
        await index_store.add_usage(tx, {(ONE, "n"): (1_000, 1.0, 1.0), (ONE, "m"): (999, 1.0, 1.0)})
    await house.indexes.build()
    before = await states(house)
    async with house.db.write() as tx:
        await tx.execute("UPDATE namespaces SET config = '{\"adaptive_indexing\": true}'")

    await house.indexes.build()

    assert before == {}
    assert await states(house) == {"n": "ready"}
    async with house.db.read() as tx:
        declared = await tx.fetch_value("SELECT payload_indexes FROM namespaces WHERE namespace_id = 'ns_one'")
    assert declared == [{"field_name": "n", "type": "float", "is_protected": False}]


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("price", True),
        ("metadata.price", True),
        ("created_at", False),
        ("_internal.modality", False),
        ("document_id", False),
    ],
)
def test_only_fields_of_users_have_indexes_of_their_own(name: str, users: bool) -> None:
    assert is_user_field(name) is users


async def fill(house: House) -> None:
    """Put 50,000 documents into one collection and as many into another namespace."""
    await house.add_collection("other")
    async with house.db.write() as tx:
        await tx.execute(
            """
            INSERT INTO documents (namespace_id, collection_id, document_id, payload)
            SELECT 'ns_one', %(collection_id)s, 'doc_' || lpad(n::text, 6, '0'), jsonb_build_object(
              'price', CASE WHEN n %% 1000 = 0 THEN NULL ELSE (n * 7919) %% 50021 END, 'kind', 'k' || n %% 40)
            FROM generate_series(1, %(rows)s) AS n
            """,
            {"collection_id": house.ids["articles"], "rows": ROWS},
        )


async def plan_of(tx: NamespaceReader, monkeypatch: pytest.MonkeyPatch, run: Any) -> str:
    """Return the plans of the statements that `run` sends."""
    plans: list[str] = []
    fetch_all = tx.fetch_all

    async def explained(statement: str, parameters: Any = None, *, prepare: bool | None = None) -> Any:
        plan = await fetch_all(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters, prepare=False)
        plans.append(json.dumps(plan))
        return await fetch_all(statement, parameters, prepare=prepare)

    with monkeypatch.context() as patched:
        patched.setattr(tx, "fetch_all", explained)
        await run()
    return " ".join(plans)


async def test_lists_use_the_index_of_a_declared_field(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(house)
    await house.declare(price="integer", kind="keyword")
    price, kind = index_name(ONE, "price"), index_name(ONE, "kind")
    collection_ids = [house.ids["articles"]]
    indexed = frozenset({"price", "kind"})
    everything = Selection(collection_ids=collection_ids, indexed=indexed)

    def filtered(tree: Any) -> Selection:
        return Selection(collection_ids=collection_ids, filter=parse(tree), indexed=indexed)

    async with house.db.read() as unit:
        tx = unit.within(ONE)
        far = After("[45000]", "doc_000001")
        cases: list[tuple[str, str, Selection, Order, After | None]] = [
            ("first page", price, everything, order_of("price"), None),
            ("last to first", price, everything, order_of("price", descending=True), None),
            ("far page", price, everything, order_of("price"), far),
            ("far page, last to first", price, everything, order_of("price", descending=True), far),
            ("range", price, filtered({"price": {"gte": 100, "lt": 130}}), order_of(None), None),
            ("both", price, filtered({"price": {"gte": 40_000}}), order_of("price"), None),
        ]
        for name, index, selection, order, after in cases:
            plan = await plan_of(
                tx, monkeypatch, lambda s=selection, o=order, a=after: store.page(tx, s, o, after=a, limit=20)
            )
            assert index in plan, (name, plan)
            assert "Seq Scan" not in plan, (name, plan)
        plan = await plan_of(
            tx,
            monkeypatch,
            lambda: store.group_page(tx, everything, order_of("kind", prefix="group"), Order(), limit=10, documents=3),
        )
    assert kind in plan, plan


def test_columns_of_the_index_and_of_lists_are_the_same() -> None:
    assert {place.kind for place in document_columns("d").places("metadata.x")} == {
        place.kind for place in document_columns("documents").places("metadata.x")
    }


async def test_the_state_of_declared_indexes_is_told_and_others_namespaces_are_missing(house: House) -> None:
    await house.declare(price="float")

    told = await house.client.post("/v1/namespaces/one/ensure-indexes", params={"force_rebuild": True})
    foreign = await house.client.post("/v1/namespaces/ns_two/ensure-indexes")
    await house.indexes.build()

    assert told.json()["indexes"] == [{"field_name": "price", "type": "float", "state": "building", "error": None}]
    assert foreign.status_code == 404
    assert await states(house) == {"price": "ready"}
