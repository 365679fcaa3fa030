"""Thousands of changes in one call: each alone, all in one transaction, and two calls at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import psycopg
import pytest
from mixpeek import models
from tests.annotations import ROOT, create, events_of, ok, reviews, stored_document
from tests.opened import Open, assert_envelope

from prismhouse.api.annotations.service.changes import Changes

BULK = f"{ROOT}/bulk"
COUNTS = ("created_count", "updated_count", "deleted_count", "failed_count")


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    return await reviews(opened)


def counts(answer: dict[str, Any]) -> tuple[int, ...]:
    """Return the four counts, which add up to the number of results."""
    found = tuple(answer[name] for name in COUNTS)
    assert sum(found) == len(answer["results"])
    return found


async def bulk(client: httpx2.AsyncClient, **lists: Any) -> dict[str, Any]:
    answer = await ok(client.post(BULK, json=lists))
    assert models.BulkAnnotationsResponse.from_dict(answer) is not None
    return answer


async def total(client: httpx2.AsyncClient) -> int:
    return (await ok(client.post(f"{ROOT}/list")))["total_count"]


async def create_many(client: httpx2.AsyncClient, number: int, **values: Any) -> list[str]:
    items = [{"document_id": f"doc_{place}", "label": "new", **values} for place in range(number)]
    return [one["annotation_id"] for one in (await bulk(client, create=items))["results"]]


async def test_each_operation_stands_alone(opened: Open, client: httpx2.AsyncClient) -> None:
    first, second = await create_many(client, 2)

    answer = await bulk(
        client,
        create=[{"document_id": "doc_9", "label": "fresh", "payload": {"a": 1}, "metadata": {"m": 1}}],
        update=[{"annotation_id": "ann_unknown", "label": "x"}],
        delete=[second],
    )

    assert counts(answer) == (1, 0, 1, 1)
    created, updated, deleted = answer["results"]
    assert (created["operation"], created["success"], created["error"]) == ("create", True, None)
    assert (updated["operation"], updated["success"], updated["annotation_id"]) == ("update", False, "ann_unknown")
    assert "ann_unknown" in updated["error"]
    assert deleted == {"operation": "delete", "success": True, "annotation_id": second, "error": None}
    fresh = await ok(client.get(f"{ROOT}/{created['annotation_id']}"))
    assert (fresh["label"], fresh["payload"], fresh["metadata"], fresh["version"]) == ("fresh", {"a": 1}, {"m": 1}, 1)
    left = await ok(client.post(f"{ROOT}/list"))
    assert {one["annotation_id"] for one in left["results"]} == {first, created["annotation_id"]}


@pytest.mark.parametrize("body", [{}, {"create": [], "update": [], "delete": []}, {"create": None}])
async def test_nothing_to_do_succeeds(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await bulk(client, **body)

    assert counts(answer) == (0, 0, 0, 0)
    assert answer["results"] == []


async def test_two_updates_of_one_make_two_versions_in_their_order(client: httpx2.AsyncClient) -> None:
    (one,) = await create_many(client, 1)

    answer = await bulk(
        client,
        update=[
            {"annotation_id": one, "label": "first"},
            {"annotation_id": one, "label": "second", "confidence": 0.5},
            {"annotation_id": one, "label": "second"},
        ],
    )

    assert counts(answer) == (0, 3, 0, 0)
    found = await ok(client.get(f"{ROOT}/{one}"))
    assert (found["version"], found["label"]) == (3, "second")
    assert [step["prior"] for step in found["revisions"]] == [{"label": "new"}, {"label": "first", "confidence": None}]
    moments = [found["created_at"], *(step["edited_at"] for step in found["revisions"])]
    assert moments == sorted(set(moments))
    for version, moment in enumerate(moments, start=1):
        at = await ok(client.post(f"{ROOT}/list", json={"as_of": moment}))
        assert [state["version"] for state in at["results"]] == [version]


async def test_an_update_and_a_delete_of_one_both_succeed(opened: Open, client: httpx2.AsyncClient) -> None:
    (one,) = await create_many(client, 1)

    answer = await bulk(client, delete=[one, one], update=[{"annotation_id": one, "label": "last word"}])

    assert counts(answer) == (0, 1, 1, 1)
    assert [result["success"] for result in answer["results"]] == [True, True, False]
    assert_envelope(await client.get(f"{ROOT}/{one}"), 404)
    told = await events_of(opened, client)
    assert [(kind.partition(".")[2], payload["version"], payload["label"]) for kind, payload in told] == [
        ("created", 1, "new"),
        ("updated", 2, "last word"),
        ("deleted", 2, "last word"),
    ]


async def test_an_edit_that_changes_nothing_is_a_success_without_a_trace(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    (one,) = await create_many(client, 1, payload={"a": 1})
    before = await ok(client.get(f"{ROOT}/{one}"))

    answer = await bulk(
        client,
        update=[
            {"annotation_id": one},
            {"annotation_id": one, "label": None, "payload": {"a": 1.0}, "reasoning": None},
        ],
    )

    assert counts(answer) == (0, 2, 0, 0)
    assert await ok(client.get(f"{ROOT}/{one}")) == before
    assert [kind for kind, _ in await events_of(opened, client)] == ["annotation.created"]


async def test_documents_are_looked_up_where_a_collection_is_named(opened: Open, client: httpx2.AsyncClient) -> None:
    collection_id, document_id = await stored_document(opened, client)

    answer = await bulk(
        client,
        create=[
            {"document_id": document_id, "label": "x", "collection_id": collection_id},
            {"document_id": "doc_other", "label": "x", "collection_id": collection_id},
            {"document_id": document_id, "label": "x", "collection_id": "col_other"},
            {"document_id": "doc_other", "label": "x"},
        ],
    )

    assert counts(answer) == (2, 0, 0, 2)
    assert [one["success"] for one in answer["results"]] == [True, False, False, True]
    assert answer["results"][1]["annotation_id"] is None
    assert "doc_other" in answer["results"][1]["error"]


async def test_ids_of_another_organization_fail_as_unknown_ones_do(opened: Open, client: httpx2.AsyncClient) -> None:
    mine = await create(client)
    other = await reviews(opened, opened.other_key)
    theirs = mine["annotation_id"]

    answer = await bulk(other, update=[{"annotation_id": theirs, "label": "stolen"}], delete=[theirs, "ann_0"])

    assert counts(answer) == (0, 0, 0, 3)
    update, delete, unknown = (one["error"] for one in answer["results"])
    assert update == delete == unknown.replace("ann_0", theirs)
    assert await ok(client.get(f"{ROOT}/{theirs}")) == mine


@pytest.mark.parametrize(
    ("name", "item"),
    [("create", {"document_id": "d", "label": "x"}), ("update", {"annotation_id": "a"}), ("delete", "ann_1")],
)
async def test_one_item_too_many_refuses_the_whole_call(client: httpx2.AsyncClient, name: str, item: Any) -> None:
    body = {"create": [{"document_id": "d", "label": "x"}], name: [item] * 1001}

    error = assert_envelope(await client.post(BULK, json=body), 422, "ValidationError")

    assert name in str(error["details"])
    assert await total(client) == 0


@pytest.mark.parametrize(
    ("name", "values", "field"),
    [
        ("create", {"label": ""}, "label"),
        ("create", {"label": "x" * 101}, "label"),
        ("create", {"confidence": 1.01}, "confidence"),
        ("create", {"reasoning": "x" * 5001}, "reasoning"),
        ("create", {"payload": "text"}, "payload"),
        ("create", {"label": "nul \x00"}, "label"),
        ("create", {"payload": {"a": "nul \x00"}}, "payload"),
        ("create", {"payload": {"a": 2**70}}, "payload"),
        ("create", {"metadata": {"a": [2**70]}}, "metadata"),
        ("create", {"actor_id": "me"}, "actor_id"),
        ("update", {"label": "x" * 101}, "label"),
        ("update", {"confidence": -0.01}, "confidence"),
        ("update", {"annotation_id": None}, "annotation_id"),
        ("update", {"document_id": "d"}, "document_id"),
        ("update", {"payload": {"a": 2**70}}, "payload"),
    ],
)
async def test_a_value_out_of_bounds_refuses_the_whole_call_and_is_named(
    client: httpx2.AsyncClient, name: str, values: dict[str, Any], field: str
) -> None:
    (one,) = await create_many(client, 1)
    good: dict[str, Any] = {
        "create": [{"document_id": "d", "label": "x"}] * 2,
        "update": [{"annotation_id": one, "label": "y"}] * 2,
    }
    body = {**good, name: [*good[name][:1], {**good[name][0], **values}], "delete": [one]}

    error = assert_envelope(await client.post(BULK, json=body), 422, "ValidationError")

    faults: Any = error["details"]
    assert faults["validation_errors"][0]["location"][:4] == ["body", name, 1, field]
    assert await total(client) == 1
    assert (await ok(client.get(f"{ROOT}/{one}")))["version"] == 1


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
async def test_a_number_that_is_none_refuses_the_whole_call(client: httpx2.AsyncClient, number: str) -> None:
    for field in (f'"confidence": {number}', f'"payload": {{"a": {number}}}'):
        body = f'{{"create": [{{"document_id": "d", "label": "x"}}, {{"document_id": "d", "label": "x", {field}}}]}}'

        error = assert_envelope(await client.post(BULK, content=body), 422, "ValidationError")

        assert "create" in str(error["details"])
    assert await total(client) == 0


@pytest.mark.parametrize("body", ["[]", "{", '{"create": {}}', '{"delete": [1]}', '{"delete": "ann"}', '{"make": []}'])
async def test_a_body_of_another_shape_is_refused(client: httpx2.AsyncClient, body: str) -> None:
    assert_envelope(await client.post(BULK, content=body), 422, "ValidationError")


async def test_payloads_of_any_shape_come_back_as_they_were(client: httpx2.AsyncClient) -> None:
    nested: Any = 1
    for _ in range(60):
        nested = {"a": [nested]}
    payloads: list[dict[str, Any]] = [
        {},
        {"text": 'x" \\ \U0001f600 \x1f'},
        {"big": ["x" * 1000] * 1000},
        {"deep": nested},
        {"numbers": [0, -0.5, 1e300, 5e-324, 2**63 - 1, True, None]},
    ]

    made = await bulk(client, create=[{"document_id": "d", "label": "x", "payload": one} for one in payloads])

    for result, payload in zip(made["results"], payloads, strict=True):
        assert (await ok(client.get(f"{ROOT}/{result['annotation_id']}")))["payload"] == payload


async def test_a_body_over_the_limit_is_refused_as_a_whole(opened: Open, client: httpx2.AsyncClient) -> None:
    size = opened.house.settings.limits.body_bytes
    body = json.dumps({"create": [{"document_id": "d", "label": "x", "payload": {"a": "x" * size}}]})

    assert_envelope(await client.post(BULK, content=body), 413)
    assert await total(client) == 0


async def test_three_thousand_operations_take_a_handful_of_statements(
    opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await create_many(client, 1000)
    doomed = await create_many(client, 1000)
    statements: list[str] = []
    executed = psycopg.AsyncConnection.execute

    async def counted(connection: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        statements.append(str(query))
        return await executed(connection, query, *arguments, **more)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", counted)
    answer = await bulk(
        client,
        create=[{"document_id": f"doc_{place}", "label": "more"} for place in range(1000)],
        update=[{"annotation_id": one, "label": "edited"} for one in ids],
        delete=doomed,
    )

    written = len(statements)
    assert counts(answer) == (1000, 1000, 1000, 0)
    operations = ["create"] * 1000 + ["update"] * 1000 + ["delete"] * 1000
    assert [one["operation"] for one in answer["results"]] == operations
    assert [one["annotation_id"] for one in answer["results"]][1000:] == [*ids, *doomed]
    assert (await ok(client.get(f"{ROOT}/stats")))["by_label"] == {"edited": 1000, "more": 1000}
    told = [kind for kind, _ in await events_of(opened, client)]
    assert {kind: told.count(kind) for kind in set(told)} == {
        "annotation.created": 3000,
        "annotation.updated": 1000,
        "annotation.deleted": 1000,
    }
    assert 0 < written <= 12, statements


async def test_two_calls_on_the_same_annotations_both_finish_with_every_version(client: httpx2.AsyncClient) -> None:
    ids = await create_many(client, 200)

    async def edit(label: str, order: list[str]) -> dict[str, Any]:
        updates = [{"annotation_id": one, "label": f"{label}{turn}"} for turn in range(2) for one in order]
        return await bulk(client, update=updates)

    async with asyncio.timeout(60):
        answers = await asyncio.gather(edit("a", ids), edit("b", ids[::-1]), edit("c", ids[100:] + ids[:100]))

    assert [counts(answer) for answer in answers] == [(0, 400, 0, 0)] * 3
    first = None
    for page in range(2):
        found = await ok(client.post(f"{ROOT}/list?limit=100&skip={page * 100}"))
        for one in found["results"]:
            assert one["version"] == 7
            assert [step["version"] for step in one["revisions"]] == [1, 2, 3, 4, 5, 6]
            values = [step["prior"]["label"] for step in one["revisions"]] + [one["label"]]
            # One call after the other, the same for every annotation.
            assert values[0] == "new"
            assert sorted(values[1:]) == ["a0", "a1", "b0", "b1", "c0", "c1"]
            assert [value[1] for value in values[1:]] == ["0", "1"] * 3
            first = first or values
            assert values == first
            moments = [one["created_at"], *(step["edited_at"] for step in one["revisions"])]
            assert moments == sorted(set(moments))


async def test_an_update_and_a_delete_at_once_leave_all_or_nothing(client: httpx2.AsyncClient) -> None:
    ids = await create_many(client, 100)

    async with asyncio.timeout(60):
        edited, deleted = await asyncio.gather(
            bulk(client, update=[{"annotation_id": one, "label": "edited"} for one in ids]),
            bulk(client, delete=ids[::-1]),
        )

    assert counts(deleted) == (0, 0, 100, 0)
    # Whichever came first, it came first for all.
    assert counts(edited) in {(0, 100, 0, 0), (0, 0, 0, 100)}
    assert await total(client) == 0


async def test_a_call_whose_namespace_goes_meanwhile_leaves_nothing(
    opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Changes.begin
    namespace = {"namespace": client.headers["X-Namespace"]}

    async def late(*arguments: Any) -> Changes:
        async with opened.house.db.write() as other:
            await other.execute("DELETE FROM namespaces WHERE namespace_id = %(namespace)s", namespace)
        return await begin(*arguments)

    monkeypatch.setattr(Changes, "begin", late)
    answer = await client.post(BULK, json={"create": [{"document_id": "d", "label": "x"}]})

    assert_envelope(answer, 409, "ConflictError")
    assert await events_of(opened, client) == []
    audited = "SELECT count(*) FROM audit_events WHERE namespace_id = %(namespace)s AND resource_type = 'annotation'"
    async with opened.house.db.read() as tx:
        assert await tx.fetch_value(audited, namespace) == 0
