"""What a batch tells in each of its states, read with the official client's classes; and that it is true."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mixpeek import models
from tests.batches import NAMESPACE, House, open_house

from prismhouse.storage.postgres.database import Database


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


def at(house: House, batch_id: str) -> str:
    return f"/v1/buckets/{house.bucket_id}/batches/{batch_id}"


async def told(house: House, batch_id: str) -> dict[str, Any]:
    """Return everything that a batch tells, each answer read by the client's class where it has one."""
    shown = await house.read(batch_id)
    assert models.BatchModel.from_dict(shown).batch_id == batch_id
    diagnostics = await house.call("GET", f"/v1/analytics/performance/batches/{batch_id}/diagnostics")
    models.BatchDiagnostics.from_dict(diagnostics)
    listed = await house.call("POST", "/v1/batches/list", {"limit": 5})
    models.ListBatchesResponse.from_dict(listed)
    assert all("stage_history" not in (row["progress"] or {}) for row in listed["results"])
    return {
        "batch": shown,
        "diagnostics": diagnostics,
        "diagnosis": await house.call("GET", f"{at(house, batch_id)}/diagnose"),
        "audit": await house.call("GET", f"{at(house, batch_id)}/audit"),
        "logs": await house.call("GET", f"{at(house, batch_id)}/logs"),
        "queue": await house.call("GET", "/v1/batches/queue"),
    }


async def test_a_draft_tells_that_it_waits_and_what_it_would_cost(house: House) -> None:
    collection = await house.add_collection("notes")
    ids = await house.add_objects("a", "b")
    await house.run(ids[:1])
    batch = await house.call(
        "POST", f"/v1/buckets/{house.bucket_id}/batches", {"object_ids": ids, "dedup_strategy": "replace"}
    )

    found = await told(house, batch["batch_id"])
    estimate = await house.call("POST", f"{at(house, batch['batch_id'])}/estimate-cost")

    assert (found["batch"]["lifecycle"], found["batch"]["progress"], found["batch"]["health"]) == (
        "accepted",
        None,
        None,
    )
    assert found["batch"]["documents_written"] is None
    assert found["batch"]["cost"]["credits_consumed"] == 0
    assert found["audit"] == {
        "batch_id": batch["batch_id"],
        "all_balanced": False,
        "has_lost_objects": False,
        "tiers": [],
    }
    assert "submit" in found["diagnosis"]["recommendations"][0].lower()
    models.BatchCostEstimate.from_dict(estimate)
    assert estimate["collection_ids"] == [collection]
    assert (estimate["object_count"], estimate["already_extracted_count"], estimate["documents_to_remove"]) == (2, 1, 1)
    assert (await house.read(batch["batch_id"]))["status"] == "DRAFT"


async def test_an_estimate_warns_when_the_batch_would_come_to_nothing(house: House) -> None:
    ids = await house.add_objects("a", None)
    batches = f"/v1/buckets/{house.bucket_id}/batches"
    empty = await house.call("POST", batches, {})
    nothing = await house.call("POST", f"{at(house, empty['batch_id'])}/estimate-cost")
    await house.add_collection("notes")
    batch = await house.call("POST", batches, {"object_ids": ids})
    lacking = await house.call("POST", f"{at(house, batch['batch_id'])}/estimate-cost")
    await house.call("POST", f"{at(house, batch['batch_id'])}/cancel")

    assert len(nothing["warnings"]) == 2
    assert "notes: 1 of 2 objects may lack the input text." in lacking["warnings"]
    await house.call("POST", f"{at(house, batch['batch_id'])}/estimate-cost", status=400)


async def test_queued_batches_tell_how_many_are_ahead(house: House) -> None:
    await house.add_collection("notes")
    first = await house.submit(await house.add_objects("a"))
    second = await house.submit(await house.add_objects("b"))

    one, two = await told(house, first), await told(house, second)

    assert (one["batch"]["queue_context"]["batches_ahead"], two["batch"]["queue_context"]["batches_ahead"]) == (0, 1)
    assert two["batch"]["lifecycle"] == "queued"
    assert "1 batches of this namespace" in two["batch"]["lifecycle_reason"]
    assert [(row["batch_id"], row["queue_position"]) for row in two["queue"]["waiting"]] == [(first, 1), (second, 2)]
    assert two["diagnostics"]["health"] == "stuck"
    assert "worker" in two["diagnostics"]["blocked_reason"]
    assert two["audit"]["tiers"][0]["submitted"] is None


async def test_a_batch_on_its_way_tells_how_far_it_is(house: House) -> None:
    upstream = await house.add_collection("first")
    await house.add_collection("second", source=upstream)
    texts = ["fast"] * 4 + ["slow 60"]
    batch_id = await house.submit(await house.add_objects(*texts))
    async with house.working():
        await house.until(lambda shown: (shown["progress"] or {}).get("percent", 0) > 0, batch_id)
        found = await told(house, batch_id)
        await house.call("POST", f"{at(house, batch_id)}/cancel")

    batch, progress = found["batch"], found["batch"]["progress"]
    assert (batch["lifecycle"], batch["health"]) == ("extracting", "healthy")
    assert progress["percent"] == 40
    assert (progress["processed"], progress["total"]) == (2, 5)
    assert [progress["phases"][name]["status"] for name in ("dispatch", "extraction", "write")] == [
        "done",
        "active",
        "pending",
    ]
    assert progress["current_stage"]["name"] == "extraction"
    assert progress["eta_seconds"] > 0
    assert batch["estimated_completion"] is not None
    assert found["queue"]["active"][0]["running_jobs"] >= 1
    assert found["diagnostics"]["overall_progress"] == 40
    assert found["audit"]["tiers"][0]["notes"][0] == "1 of 5 rows are still to be run."
    canceled = await told(house, batch_id)
    assert canceled["batch"]["lifecycle"] == "canceled"
    assert not canceled["audit"]["has_lost_objects"]


async def test_a_completed_batch_tells_of_tiers_times_and_stages(house: House) -> None:
    upstream = await house.add_collection("first")
    await house.add_collection("second", source=upstream)
    batch = await house.run(await house.add_objects("a|b", "c"))

    found = await told(house, batch["batch_id"])

    shown = found["batch"]
    assert (shown["status"], shown["lifecycle"], shown["progress"]["percent"]) == ("COMPLETED", "indexed", 100)
    first, second = shown["tier_tasks"]
    funnel = (
        "source_documents_fetched",
        "documents_after_source_filter",
        "documents_submitted_to_engine",
        "documents_written",
        "documents_before_processing",
    )
    assert [first[name] for name in funnel] == [2, 2, 2, 3, 0]
    assert [second[name] for name in funnel] == [3, 3, 3, 3, 0]
    [job] = second["extractor_jobs"]
    assert (job["status"], job["documents_written"]) == ("COMPLETED", 3)
    assert job["duration_ms"] is not None
    assert second["performance"]["extraction_time_ms"] > 0
    assert [stage["name"] for stage in shown["progress"]["stage_history"]] == [
        "dispatch",
        "extraction",
        "dispatch (tier 1)",
        "extraction (tier 1)",
    ]
    assert shown["queue_context"]["waited_seconds"] >= 0
    assert found["audit"]["all_balanced"]
    assert shown["tier_tasks"][0]["audit"]["balanced"]
    assert found["diagnostics"]["health"] == "ok"
    assert [item["document_count"] for item in found["diagnostics"]["collections"]] == [3, 3]
    assert found["logs"]["logs"][-1]["event"] == "batch.ended"
    of_tier = await house.call("GET", f"{at(house, batch['batch_id'])}/logs?tier_num=1")
    assert {entry["tier_num"] for entry in of_tier["logs"]} == {None, 1}


async def test_failures_are_grouped_by_cause_with_what_to_do(house: House) -> None:
    await house.add_collection("notes")
    batch = await house.run(await house.add_objects("bad one", "bad two", "busy", None, "fine"))

    found = await told(house, batch["batch_id"])

    errors = found["batch"]["tier_tasks"][0]["errors"]
    assert [(item["error_type"], item["affected_count"]) for item in errors] == [
        ("validation", 2),
        ("network", 1),
        ("validation", 1),
    ]
    assert all(item["recovery_suggestion"] for item in errors)
    assert found["diagnostics"]["health"] == "degraded"
    assert found["diagnosis"]["failed_document_count"] == 4
    assert any("POST .../retry" in text for text in found["diagnosis"]["recommendations"])
    assert found["batch"]["progress"]["objects_failed"] == 4


async def test_a_failed_batch_tells_where_its_rows_went(house: House) -> None:
    strict = {"filters": {"AND": [{"field": "author", "operator": "eq", "value": "nobody"}]}}
    body = {"source": {"type": "bucket", "bucket_ids": [house.bucket_id], "source_filters": strict}}
    await house.add_collection("notes", body=body)
    batch = await house.run(await house.add_objects("a", "b"))

    found = await told(house, batch["batch_id"])

    assert (found["batch"]["status"], found["batch"]["failure_category"]) == ("FAILED", "validation")
    assert found["batch"]["progress"]["status_warnings"] == [
        "None of 2 sources passed the source_filters of the collections."
    ]
    assert any("source_filters" in text for text in found["diagnostics"]["next_actions"])


@pytest.mark.parametrize("behind", ["document", "failure"])
async def test_a_row_shows_as_lost_when_it_went_without_a_trace(house: House, behind: str) -> None:
    await house.add_collection("notes")
    batch = await house.run(await house.add_objects("a", "b|c", "bad"))
    statement = (
        "DELETE FROM documents WHERE payload ->> 'text' = 'a'" if behind == "document" else "DELETE FROM row_failures"
    )
    async with house.db.write() as tx:
        await tx.execute(statement)

    audit = (await told(house, batch["batch_id"]))["audit"]

    assert (audit["has_lost_objects"], audit["all_balanced"]) == (True, False)
    [tier] = audit["tiers"]
    assert (tier["lost"], tier["balanced"], tier["submitted"]) == (1, False, 3)
    models.TierAuditInfo.from_dict(tier)


async def test_a_row_lost_before_the_end_is_an_error_of_the_batch(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a", "b", "c", "d", "slow 1.5"))
    async with house.working():
        await house.until(lambda shown: (shown["documents_written"] or 0) == 4, batch_id)
        async with house.db.write() as tx:
            await tx.execute("DELETE FROM documents WHERE payload ->> 'text' = 'a'")
        shown = await house.ended(batch_id)

    assert (shown["status"], shown["unaccounted_object_count"]) == ("COMPLETED_WITH_ERRORS", 1)
    assert shown["tier_tasks"][0]["audit"]["lost"] == 1
    assert shown["progress"]["status_warnings"][0] == "1 rows are not accounted for; see the batch's audit."


async def test_documents_deleted_on_request_are_not_lost(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("a", "b", "c")
    batch = await house.run(ids)
    [first] = await house.rows("SELECT document_id FROM documents WHERE payload ->> 'text' = 'a'")
    async with house.db.write() as tx:
        await tx.execute(
            "INSERT INTO audit_events (organization_id, namespace_id, action, resource_type, resource_id, actor_id,"
            " actor_type) VALUES ('org_one', %(n)s, 'document_deleted', 'document', %(d)s, 'key_1', 'api_key')",
            {"n": NAMESPACE, "d": first["document_id"]},
        )
        await tx.execute("DELETE FROM documents WHERE document_id = %(d)s", {"d": first["document_id"]})
        await tx.execute("DELETE FROM objects WHERE object_id = %(o)s", {"o": ids[1]})
        await tx.execute("DELETE FROM documents WHERE root_object_id = %(o)s", {"o": ids[1]})

    [tier] = (await told(house, batch["batch_id"]))["audit"]["tiers"]

    assert (tier["lost"], tier["balanced"], tier["processed"]) == (0, True, 3)
    assert "The documents of 2 processed rows were deleted or replaced since." in tier["notes"]


async def test_batches_are_listed_over_all_namespaces_unless_two_are_named(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a"))
    async with house.db.write() as tx:
        await tx.execute(
            "INSERT INTO namespaces (namespace_id, organization_id, namespace_name) VALUES ('ns_b', 'org_one', 'b')"
        )
        await tx.execute(
            "INSERT INTO batches (namespace_id, batch_id, organization_id, bucket_id)"
            " VALUES ('ns_b', 'btch_b', 'org_one', 'bkt_b'), ('ns_b', 'btch_other', 'org_two', 'bkt_b')"
        )

    async def ids(body: dict[str, Any], *, status: int = 200, **headers: str) -> Any:
        answer = await house.client.post("/v1/batches/list", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return [row["batch_id"] for row in answer.json().get("results", [])]

    bare = house.client.headers.pop("X-Namespace", None)
    assert await ids({}) == ["btch_b", batch_id]
    assert await ids({"namespace_id": "b"}) == ["btch_b"]
    assert await ids({"limit": 1, "offset": 1}) == [batch_id]
    assert (await house.call("GET", "/v1/batches/btch_b"))["namespace_id"] == "ns_b"
    await house.call("GET", "/v1/batches/btch_other", status=404)
    await ids({"namespace_id": "ns_b"}, status=400, **{"X-Namespace": "ns_one"})
    assert await ids({"namespace_id": "ns_one"}, **{"X-Namespace": "ns_one"}) == [batch_id]
    found = await house.client.get("/v1/batches/btch_b", headers={"X-Namespace": "ns_one"})
    assert found.status_code == 404
    if bare:
        house.client.headers["X-Namespace"] = bare


async def test_tasks_of_batches_tell_their_place_and_grow_old(house: House) -> None:
    upstream = await house.add_collection("first")
    await house.add_collection("second", source=upstream)
    ended = await house.run(await house.add_objects("a", "b"))
    batches = [await house.submit(await house.add_objects(text)) for text in ("c", "d")]
    shown = [await house.read(batch_id) for batch_id in batches]
    async with house.db.write() as tx:
        await tx.execute(
            "UPDATE tasks SET updated_at = now() - interval '25 h' WHERE task_id = %(id)s", {"id": ended["task_id"]}
        )

    first, second = [await house.tasks.read("org_one", batch["task_id"]) for batch in shown]
    old = await house.tasks.read("org_one", ended["task_id"])
    message = await house.tasks.kill("org_one", shown[1]["tier_tasks"][1]["task_id"])

    for task in (first, second, old):
        models.TaskResponse.from_dict(task)
    assert (first["queue_position"], first["estimated_wait_minutes"]) == (1, 0.0)
    assert second["queue_position"] == 2
    assert second["estimated_wait_minutes"] > 0
    assert (second["additional_data"]["total_tiers"], second["additional_data"]["object_count"]) == (2, 1)
    assert (old["status"], old["queue_position"]) == ("COMPLETED", None)
    assert old["additional_data"]["from_mongodb"] is True
    assert "persistent storage" in old["additional_data"]["note"]
    assert "told to stop" in message
    assert (await house.read(batches[1]))["status"] == "CANCELED"


async def test_what_was_processed_is_counted_in_credits(house: House) -> None:
    from dataclasses import replace

    from prismhouse.engine.extractors.definition import priced

    priced_text = replace(
        house.parts.catalogue.get("text_extractor", "v1"), costs=priced(1, "simple", {"1k_tokens": 1})
    )
    house.parts.catalogue.get = lambda *_: priced_text  # type: ignore[attr-defined]
    await house.add_collection("notes")

    batch = await house.run(await house.add_objects("a" * 6000, "b" * 2000, "bad " + "c" * 4000))

    assert batch["cost"] == {
        "credits_consumed": 2,
        "cost_usd": 0.002,
        "credit_rate_usd": 0.001,
        "metered_model_usd": None,
    }


_ENDS = {"fine": "p", "two|parts": "p", "bad": "f", "busy": "f", "blank": "s", "raise": "f", "part": "p", "none": "f"}


@pytest.mark.parametrize("seed", [11, 12])
async def test_books_and_funnels_are_right_whatever_becomes_of_the_rows(house: House, seed: int) -> None:
    rng = random.Random(seed)
    upstream = await house.add_collection("first")
    await house.add_collection("second", source=upstream)
    words = [rng.choice(list(_ENDS)) for _ in range(18)]
    ids = await house.add_objects(*(None if word == "none" else word for word in words))

    batch = await house.run(ids)
    audit = await house.call("GET", f"{at(house, batch['batch_id'])}/audit")

    ends = [_ENDS[word] for word in words]
    documents = sum(word.count("|") + 1 for word in words if _ENDS[word] == "p")
    first, second = audit["tiers"]
    assert audit["all_balanced"]
    assert not audit["has_lost_objects"]
    assert [first[name] for name in ("submitted", "processed", "failed", "skipped")] == [
        len(words),
        ends.count("p"),
        ends.count("f"),
        ends.count("s"),
    ]
    assert second["submitted"] == documents
    tiers = batch["tier_tasks"]
    assert [tier["source_documents_fetched"] for tier in tiers] == [len(words), documents]
    assert tiers[0]["documents_missing_input_fields"] == words.count("none")
    stored = await house.rows("SELECT count(*) AS n FROM documents WHERE batch_id = %(b)s", b=batch["batch_id"])
    assert sum(tier["documents_written"] for tier in tiers) == batch["documents_written"] == stored[0]["n"]
    assert sum((tiers[0]["error_summary"] or {}).values()) == ends.count("f") + 2 * words.count("part")
