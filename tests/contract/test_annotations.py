"""Annotations one at a time, in lists, and as they were: every rule, over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from mixpeek import models
from tests.annotations import ROOT, create, events_of, ok, reviews, stored_document
from tests.opened import Open, assert_envelope


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    return await reviews(opened)


def before(moment: str) -> str:
    return (datetime.fromisoformat(moment) - timedelta(microseconds=1)).isoformat()


async def listed(client: httpx2.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    found = await ok(client.post(f"{ROOT}/list", json=filters))
    assert found["total_count"] == len(found["results"])
    return found["results"]


async def test_an_annotation_is_answered_whole_and_as_the_client_reads_it(client: httpx2.AsyncClient) -> None:
    given = {
        "document_id": "doc_1",
        "label": "approved",
        "confidence": 0.5,
        "reasoning": "because",
        "payload": {"codes": ["E11.40"], "raf": 0.302, "nothing": None},
        "metadata": {"queue": "first"},
        "retriever_id": "ret_1",
        "execution_id": "exec_1",
        "stage_name": "llm_enrich",
    }

    made = await ok(client.post(ROOT, json=given))
    found = await ok(client.get(f"{ROOT}/{made['annotation_id']}"))

    assert found == made
    assert {name: made[name] for name in given} == given
    assert made["annotation_id"].startswith("ann_")
    assert (made["version"], made["revisions"]) == (1, [])
    assert made["created_at"] == made["updated_at"]
    assert made["namespace_id"] == client.headers["X-Namespace"]
    read = models.AnnotationResponse.from_dict(found)
    assert read is not None
    assert read.payload == given["payload"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"label": ""}, 422),
        ({"label": "x"}, 200),
        ({"label": "é" * 100}, 200),
        ({"label": "x" * 101}, 422),
        ({"label": None}, 422),
        ({"confidence": -0.01}, 422),
        ({"confidence": 0}, 200),
        ({"confidence": 1}, 200),
        ({"confidence": 1.01}, 422),
        ({"confidence": "0.5"}, 422),
        ({"confidence": True}, 422),
        ({"reasoning": "x" * 5000}, 200),
        ({"reasoning": "x" * 5001}, 422),
        ({"payload": ["a list"]}, 422),
        ({"document_id": ""}, 422),
        ({"document_id": "x" * 513}, 422),
        ({"label": "nul \x00"}, 422),
        ({"payload": {"deep": ["nul \x00"]}}, 422),
        ({"payload": {"nul \x00": 1}}, 422),
        ({"payload": {"n": 2**64}}, 422),
        ({"payload": {"n": -(2**63)}}, 200),
        ({"actor_id": "somebody else"}, 422),
        ({"annotation_id": "ann_mine"}, 422),
    ],
)
async def test_values_are_held_to_their_bounds(client: httpx2.AsyncClient, values: dict[str, Any], status: int) -> None:
    answer = await client.post(ROOT, json={"document_id": "doc_1", "label": "ok", **values})

    assert answer.status_code == status, answer.text
    if status == 422:
        error = assert_envelope(answer, 422, "ValidationError")
        assert next(iter(values)) in str(error["details"])
        assert await listed(client) == []
    else:
        assert {name: answer.json()[name] for name in values} == values


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
async def test_a_number_that_is_none_is_refused_wherever_it_stands(client: httpx2.AsyncClient, number: str) -> None:
    for field in (f'"confidence": {number}', f'"payload": {{"a": [null, {number}]}}', f'"metadata": {{"a": {number}}}'):
        body = f'{{"document_id": "d", "label": "x", {field}}}'

        assert_envelope(await client.post(ROOT, content=body), 422)
    assert await listed(client) == []


async def test_a_key_that_is_unknown_is_named_with_those_that_are_known(client: httpx2.AsyncClient) -> None:
    error = assert_envelope(await client.post(ROOT, json={"document_id": "d", "label": "x", "actor_id": "me"}), 422)

    assert "actor_id" in str(error["message"])
    assert "retriever_id" in str(error["message"])


async def test_versions_are_made_by_edits_that_change_a_value_and_by_no_others(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    first = await create(client, confidence=0.5, payload={"a": 1, "b": [True]})
    path = f"{ROOT}/{first['annotation_id']}"

    second = await ok(client.patch(path, json={"label": "rejected"}))
    same = await ok(client.patch(path, json={"label": "rejected", "payload": {"b": [True], "a": 1}, "reasoning": None}))
    third = await ok(client.patch(path, json={"payload": {"b": [1], "a": 1}, "confidence": None}))

    assert same == second
    assert (second["version"], third["version"]) == (2, 3)
    assert first["updated_at"] < second["updated_at"] < third["updated_at"]
    assert third["payload"] == {"b": [1], "a": 1}
    assert [one["prior"] for one in third["revisions"]] == [
        {"label": "approved"},
        {"confidence": 0.5, "payload": {"a": 1, "b": [True]}},
    ]
    assert [one["version"] for one in third["revisions"]] == [1, 2]
    assert third["revisions"][1]["edited_at"] == third["updated_at"]
    assert await ok(client.get(f"{path}/versions/1")) == first
    assert await ok(client.get(f"{path}/versions/2")) == second
    assert await ok(client.get(f"{path}/versions/3")) == third == await ok(client.get(path))
    told = [(kind, payload["version"]) for kind, payload in await events_of(opened, client)]
    assert told == [("annotation.created", 1), ("annotation.updated", 2), ("annotation.updated", 3)]


async def test_an_empty_patch_changes_nothing_and_succeeds(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    path = f"{ROOT}/{made['annotation_id']}"

    assert await ok(client.patch(path, json={})) == made
    assert await ok(client.patch(path, content=b"")) == made
    assert await ok(client.patch(path, json={"label": None})) == made


async def test_null_clears_a_value_and_an_absent_key_leaves_it(client: httpx2.AsyncClient) -> None:
    values: dict[str, Any] = {"confidence": 1, "reasoning": "r", "payload": {"a": 1}, "metadata": {"m": 1}}
    made = await create(client, **values)

    cleared = await ok(client.patch(f"{ROOT}/{made['annotation_id']}", json=dict.fromkeys(values)))

    assert {name: cleared[name] for name in values} == dict.fromkeys(values)
    assert cleared["label"] == made["label"]
    assert cleared["revisions"][0]["prior"] == values


async def test_a_patch_out_of_bounds_changes_nothing(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    path = f"{ROOT}/{made['annotation_id']}"

    for body in ({"label": "new", "confidence": 1.01}, {"label": "x" * 101}, {"document_id": "other"}):
        assert_envelope(await client.patch(path, json=body), 422)

    assert await ok(client.get(path)) == made


async def test_the_descriptors_say_who_made_each_version(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    path = f"{ROOT}/{made['annotation_id']}"
    edited = await ok(client.patch(path, json={"label": "rejected", "reasoning": "why"}))

    found = await ok(client.get(f"{path}/versions"))

    assert found["current_version"] == 2
    first, second = found["versions"]
    assert first == {
        "version": 1,
        "current": False,
        "edited_at": None,
        "edited_by": None,
        "edited_by_type": None,
        "changed_fields": [],
    }
    assert second == {
        "version": 2,
        "current": True,
        "edited_at": edited["updated_at"],
        "edited_by": made["actor_id"],
        "edited_by_type": "api_key",
        "changed_fields": ["label", "reasoning"],
    }
    read = models.AnnotationVersionsResponse.from_dict(found)
    assert read is not None


@pytest.mark.parametrize(
    ("version", "status"), [("0", 422), ("-1", 422), ("x", 422), ("2", 404), ("2147483648", 404), ("9" * 30, 404)]
)
async def test_a_version_that_is_not_there_is_named(client: httpx2.AsyncClient, version: str, status: int) -> None:
    made = await create(client)

    assert_envelope(await client.get(f"{ROOT}/{made['annotation_id']}/versions/{version}"), status)


async def test_a_deleted_annotation_is_gone_but_for_the_past(opened: Open, client: httpx2.AsyncClient) -> None:
    made = await create(client)
    path = f"{ROOT}/{made['annotation_id']}"

    gone = await ok(client.delete(path))

    assert gone["success"] is True
    assert gone["message"]
    assert_envelope(await client.delete(path), 404, "NotFoundError")
    for url in (path, f"{path}/versions", f"{path}/versions/1"):
        assert_envelope(await client.get(url), 404, "NotFoundError")
    assert_envelope(await client.patch(path, json={"label": "again"}), 404)
    assert await listed(client) == []
    assert await listed(client, as_of=made["created_at"]) == [made]
    told = [kind for kind, _ in await events_of(opened, client)]
    assert told == ["annotation.created", "annotation.deleted"]


async def test_as_of_shows_what_stood_at_each_instant(client: httpx2.AsyncClient) -> None:
    first = await create(client, label="one")
    path = f"{ROOT}/{first['annotation_id']}"
    second = await ok(client.patch(path, json={"label": "two"}))
    third = await ok(client.patch(path, json={"label": "three"}))
    other = await create(client, label="one")

    for state in (first, second, third):
        # From its own moment until just before the next.
        assert await listed(client, as_of=state["updated_at"]) == [state]
    assert await listed(client, as_of=before(second["updated_at"])) == [first]
    assert await listed(client, as_of=before(third["updated_at"])) == [second]
    assert await listed(client, as_of=before(first["created_at"])) == []
    # Filters hold for the state at the instant, not for the one now.
    assert await listed(client, as_of=second["updated_at"], label="two") == [second]
    assert await listed(client, as_of=second["updated_at"], label="one") == []
    assert await listed(client, label="one") == [other]
    assert await listed(client, as_of="2999-01-01T00:00:00") == [other, third]


@pytest.mark.parametrize("moment", ["yesterday", "1700000000", 1700000000, "", "2026-13-01T00:00:00Z", True])
async def test_an_instant_that_is_no_date_is_refused(client: httpx2.AsyncClient, moment: Any) -> None:
    assert_envelope(await client.post(f"{ROOT}/list", json={"as_of": moment}), 422, "ValidationError")
    if isinstance(moment, str):
        error = assert_envelope(await client.get(ROOT, params={"as_of": moment}), 422, "ValidationError")
        assert "query" in str(error["details"])


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-01-01"])
async def test_an_instant_may_be_as_far_as_a_date_goes(client: httpx2.AsyncClient, moment: str) -> None:
    made = await create(client)

    assert await listed(client, as_of=moment) == ([made] if moment.startswith("9999") else [])
    assert (await client.get(f"{ROOT}/export", params={"as_of": moment})).status_code == 200


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/export"])
async def test_an_instants_offset_may_stand_in_a_url_as_it_is(client: httpx2.AsyncClient, path: str) -> None:
    made = await create(client)
    later, earlier = "2999-01-01T12:00:00.5+02:00", "2001-01-01T12:00+02:00"

    # A plus in a query means a space to every server.
    assert made["annotation_id"] in (await client.get(f"{path}?as_of={later}")).text
    assert made["annotation_id"] not in (await client.get(f"{path}?as_of={earlier}")).text
    assert_envelope(await client.get(f"{path}?as_of=2999-01-01+2"), 422)


async def test_filters_are_exact_and_joined(client: httpx2.AsyncClient) -> None:
    await create(client, document_id="a", label="x", retriever_id="r")
    wanted = await create(client, document_id="a", label="y", retriever_id="r")
    await create(client, document_id="b", label="y", retriever_id="r")
    await create(client, document_id="a", label="Y")

    assert await listed(client, document_id="a", label="y", retriever_id="r") == [wanted]
    assert await listed(client, actor_id=wanted["actor_id"], document_id="a", label="y") == [wanted]
    assert await listed(client, actor_id="nobody") == []
    assert len(await listed(client, collection_id=None, document_id=None)) == 4
    by_query = await ok(client.get(ROOT, params={"document_id": "a", "label": "y", "as_of": wanted["created_at"]}))
    assert by_query == {"results": [wanted], "total_count": 1}
    assert_envelope(await client.post(f"{ROOT}/list", json={"colour": "red"}), 422)


async def test_pages_are_newest_first_with_the_count_of_all(client: httpx2.AsyncClient) -> None:
    made = [await create(client, label=str(number)) for number in range(4)]
    newest = [one["annotation_id"] for one in reversed(made)]

    async def page(query: str) -> tuple[list[str], int]:
        found = await ok(client.post(f"{ROOT}/list?{query}"))
        return [one["annotation_id"] for one in found["results"]], found["total_count"]

    assert await page("") == (newest, 4)
    assert await page("limit=2") == (newest[:2], 4)
    assert await page("skip=1&limit=2") == (newest[1:3], 4)
    assert await page("offset=3") == (newest[3:], 4)
    assert await page("skip=1&offset=3") == (newest[1:], 4)
    assert await page("skip=9") == ([], 4)
    assert await page(f"skip={2**63 - 1}&limit=500") == ([], 4)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "skip=-1", "offset=-1", f"skip={2**63}", "limit=x"])
async def test_a_page_out_of_bounds_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    assert_envelope(await client.post(f"{ROOT}/list?{query}"), 422, "ValidationError")
    assert_envelope(await client.get(f"{ROOT}?{query}"), 422, "ValidationError")


async def test_stats_count_labels_as_they_stand(client: httpx2.AsyncClient) -> None:
    assert await ok(client.get(f"{ROOT}/stats")) == {"total": 0, "by_label": {}}
    await create(client, document_id="a", label="x")
    gone = await create(client, document_id="a", label="x")
    edited = await create(client, document_id="b", label="x")
    await ok(client.delete(f"{ROOT}/{gone['annotation_id']}"))
    await ok(client.patch(f"{ROOT}/{edited['annotation_id']}", json={"label": "X"}))

    assert await ok(client.get(f"{ROOT}/stats")) == {"total": 2, "by_label": {"X": 1, "x": 1}}
    assert await ok(client.get(f"{ROOT}/stats?document_id=a")) == {"total": 1, "by_label": {"x": 1}}
    assert await ok(client.get(f"{ROOT}/stats?collection_id=none")) == {"total": 0, "by_label": {}}


async def test_a_summary_counts_labels_per_document(opened: Open, client: httpx2.AsyncClient) -> None:
    for document_id, label in (("a", "x"), ("a", "y"), ("a", "x"), ("b", "x")):
        await create(client, document_id=document_id, label=label)

    async with opened.house.db.read() as unit:
        tx = unit.within(client.headers["X-Namespace"])
        found = await opened.house.annotations.summary(tx, ["a", "b", "c"])

    assert found == {"a": {"count": 3, "labels": {"x": 2, "y": 1}}, "b": {"count": 1, "labels": {"x": 1}}}


async def test_the_actor_is_whose_key_it_is(opened: Open, client: httpx2.AsyncClient) -> None:
    by_key = await create(client)
    statement = "UPDATE api_keys SET principal_id = 'p' WHERE key_id = %(key)s RETURNING user_id"
    async with opened.house.db.write() as tx:
        user_id = await tx.fetch_value(statement, {"key": by_key["actor_id"]})

    by_user = await create(client)
    edited = await ok(client.patch(f"{ROOT}/{by_key['annotation_id']}", json={"label": "edited by a user"}))

    assert by_key["actor_id"].startswith("key_")
    assert by_key["actor_type"] == "api_key"
    assert (by_user["actor_id"], by_user["actor_type"]) == (user_id, "user")
    assert (edited["actor_id"], edited["actor_type"]) == (by_key["actor_id"], "api_key")
    assert (edited["revisions"][0]["edited_by"], edited["revisions"][0]["edited_by_type"]) == (user_id, "user")


async def test_a_document_is_looked_up_only_in_a_collection_that_is_named(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    await create(client, document_id="of nothing: a composite id")

    error = assert_envelope(
        await client.post(ROOT, json={"document_id": "doc_1", "label": "x", "collection_id": "col_1"}), 404
    )

    assert "doc_1" in str(error["message"])
    assert len(await listed(client)) == 1


async def test_an_annotation_outlives_its_document(opened: Open, client: httpx2.AsyncClient) -> None:
    collection_id, document_id = await stored_document(opened, client)
    made = await create(client, document_id=document_id, collection_id=collection_id)

    await ok(client.delete(f"/v1/collections/{collection_id}/documents/{document_id}"))

    assert await ok(client.get(f"{ROOT}/{made['annotation_id']}")) == made
    assert await listed(client, collection_id=collection_id, label="approved") == [made]


async def test_what_another_organization_has_is_missing(opened: Open, client: httpx2.AsyncClient) -> None:
    made = await create(client)
    other = await reviews(opened, opened.other_key)
    path = f"{ROOT}/{made['annotation_id']}"

    for method, url in (
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("GET", f"{path}/versions"),
        ("GET", f"{path}/versions/1"),
    ):
        theirs = assert_envelope(await other.request(method, url, json={"label": "x"}), 404)
        absent = assert_envelope(
            await other.request(method, url.replace(made["annotation_id"], "ann_0"), json={"label": "x"}), 404
        )
        assert str(theirs["message"]).replace(made["annotation_id"], "ann_0") == absent["message"]
    assert await listed(other) == []
    assert await ok(client.get(path)) == made


async def test_audit_rows_say_what_was_done(opened: Open, client: httpx2.AsyncClient) -> None:
    made = await create(client)
    path = f"{ROOT}/{made['annotation_id']}"
    await ok(client.patch(path, json={"label": "rejected", "payload": {"a": 1}}))
    await ok(client.patch(path, json={"label": "rejected"}))
    await ok(client.delete(path))

    async with opened.house.db.read() as tx:
        rows = await tx.fetch_all(
            "SELECT action, actor_id, changes FROM audit_events WHERE resource_id = %(id)s ORDER BY sequence",
            {"id": made["annotation_id"]},
        )

    assert [row["action"] for row in rows] == ["annotation_created", "annotation_updated", "annotation_deleted"]
    assert {row["actor_id"] for row in rows} == {made["actor_id"]}
    assert rows[1]["changes"] == {
        "label": {"old": "approved", "new": "rejected"},
        "payload": {"old": None, "new": {"a": 1}},
    }
    assert rows[2]["changes"]["label"] == {"old": "rejected", "new": None}


async def test_a_key_that_may_only_read_changes_nothing(opened: Open, client: httpx2.AsyncClient) -> None:
    made = await create(client)
    email = (await client.get("/v1/me")).json()["user_email"]
    keys = f"/v1/organizations/users/{email}/api-keys"

    async def with_permission(permission: str) -> httpx2.AsyncClient:
        key = await ok(client.post(keys, json={"name": permission, "permissions": [permission]}))
        return opened.client(key["key"], **{"X-Namespace": client.headers["X-Namespace"]})

    reader, writer = await with_permission("read"), await with_permission("write")

    for body in ({"create": []}, {"delete": ["x"]}):
        assert_envelope(await reader.post(f"{ROOT}/bulk", json=body), 403)
    assert_envelope(await reader.post(ROOT, json={"document_id": "d", "label": "x"}), 403)
    assert_envelope(await writer.post(f"{ROOT}/bulk", json={"delete": [made["annotation_id"]]}), 403)
    assert_envelope(await writer.delete(f"{ROOT}/{made['annotation_id']}"), 403)
    assert (await ok(reader.post(f"{ROOT}/list")))["total_count"] == 1
