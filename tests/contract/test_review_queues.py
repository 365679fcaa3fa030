"""Review queues: documents listed by what people decided about them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.opened import Open, assert_envelope

USER = "/v1/organizations/users/admin@localhost"
SCHEMA = {"properties": {"text": {"type": "text"}}}


class Desk:
    """A collection of documents d0, d1 ... and reviewers who judge them."""

    def __init__(self, client: httpx2.AsyncClient, opened: Open) -> None:
        self.client = client
        self.opened = opened
        self.names: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.actors: dict[str, str] = {}
        self.reviewers: dict[str, httpx2.AsyncClient] = {}
        self.collection = ""

    async def furnish(self, documents: int) -> None:
        """Make the collection and its documents."""
        space = (await self.client.post("/v1/namespaces", json={"namespace_name": "reviews"})).json()["namespace_id"]
        self.client.headers["X-Namespace"] = space
        bucket = (await self.client.post("/v1/buckets", json={"bucket_name": "bucket", "bucket_schema": SCHEMA})).json()
        extractor = {"feature_extractor_name": "text_extractor", "version": "v1", "input_mappings": {"text": "text"}}
        source = {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
        body = {"collection_name": "cards", "source": source, "feature_extractor": extractor}
        self.collection = (await self.client.post("/v1/collections", json=body)).json()["collection_id"]
        for n in range(documents):
            made = await self.client.post(f"/v1/collections/{self.collection}/documents", json={"name": f"d{n}"})
            assert made.status_code == 200, made.text
            self.ids[f"d{n}"] = made.json()["document_id"]
        self.names = {one: name for name, one in self.ids.items()}
        for name in ("ann", "bob"):
            key = (await self.client.post(f"{USER}/api-keys", json={"name": name, "permissions": ["write"]})).json()
            self.actors[name] = key["key_id"]
            self.reviewers[name] = self.opened.client(key["key"], **{"X-Namespace": space})

    async def judge(self, who: str, document: str, label: str, **more: Any) -> str:
        """Annotate a document and return the annotation's id."""
        body = {"document_id": self.ids[document], "label": label, **more}
        made = await self.reviewers[who].post("/v1/annotations", json=body)
        assert made.status_code == 200, made.text
        return str(made.json()["annotation_id"])

    async def listed(self, filters: Any, *, everywhere: bool = False) -> list[str]:
        """Return the names of the documents that pass, in order; the total must agree."""
        path = "/v1/documents/list" if everywhere else f"/v1/collections/{self.collection}/documents/list"
        answer = await self.client.post(path, json={"filters": filters, "limit": 100, "include_total": True})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["pagination"]["total"] == len(found["results"])
        return sorted(self.names[one["document_id"]] for one in found["results"])


@pytest.fixture
async def desk(opened: Open) -> Desk:
    """Six documents: d0 rejected, d1 approved by both, d2 disputed, d3 settled after a dispute, d4 and d5 untouched."""
    desk = Desk(opened.client(), opened)
    await desk.furnish(6)
    await desk.judge("ann", "d0", "rejected", confidence=0.4)
    await desk.judge("ann", "d1", "approved", confidence=0.9)
    await desk.judge("bob", "d1", "approved")
    await desk.judge("ann", "d2", "rejected", confidence=0.8)
    await desk.judge("bob", "d2", "approved")
    await desk.judge("ann", "d3", "rejected")
    await desk.judge("ann", "d3", "approved")
    await desk.judge("bob", "d3", "approved")
    return desk


def field(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": f"_annotations{name}", "operator": operator, "value": value}


async def test_documents_are_found_by_how_many_annotations_they_have(desk: Desk) -> None:
    untouched, touched = ["d4", "d5"], ["d0", "d1", "d2", "d3"]
    for filters in (
        field(".count", "eq", 0),
        field(".count", "lt", 1),
        field("", "exists", False),
        {"NOT": [field("", "exists", True)]},
        {"NOT": [field(".count", "gte", 1)]},
        field(".count", "nin", [1, 2, 3]),
    ):
        assert await desk.listed(filters) == untouched, filters
    for filters in (field(".count", "gt", 0), field(".count", "ne", 0), field("", "exists", True)):
        assert await desk.listed(filters) == touched, filters
    assert await desk.listed(field(".count", "gte", 3)) == ["d3"]
    assert await desk.listed(field(".count", "in", [0, 3])) == ["d3", "d4", "d5"]
    assert await desk.listed(field(".count", "lte", 1)) == ["d0", "d4", "d5"]


async def test_documents_are_found_by_labels_and_who_gave_them(desk: Desk) -> None:
    ann, bob = desk.actors["ann"], desk.actors["bob"]

    assert await desk.listed(field(".label", "eq", "rejected")) == ["d0", "d2", "d3"]
    assert await desk.listed(field(".label", "eq", "rejected"), everywhere=True) == ["d0", "d2", "d3"]
    assert await desk.listed({"_annotations.label": "rejected"}) == ["d0", "d2", "d3"]
    assert await desk.listed(field(".label", "eq", "REJECTED")) == []
    assert await desk.listed(field(".label", "ne", "rejected")) == ["d1", "d4", "d5"]
    assert await desk.listed(field(".label", "in", ["rejected", "approved"])) == ["d0", "d1", "d2", "d3"]
    assert await desk.listed(field(".actor_id", "eq", bob)) == ["d1", "d2", "d3"]
    assert await desk.listed(field(".actor_id", "ne", ann)) == ["d4", "d5"]
    assert await desk.listed(field(".label", "starts_with", "rej")) == ["d0", "d2", "d3"]
    assert await desk.listed(field(".confidence", "lt", 0.5)) == ["d0"]
    assert await desk.listed(field(".created_at", "lt", "2020-01-01")) == []
    assert await desk.listed(field(".created_at", "gte", "2020-01-01")) == ["d0", "d1", "d2", "d3"]
    assert await desk.listed(field(".actor_type", "eq", "user")) == []


async def test_conditions_side_by_side_concern_one_annotation(desk: Desk) -> None:
    bob = desk.actors["bob"]
    rejected, by_bob = field(".label", "eq", "rejected"), field(".actor_id", "eq", bob)

    assert await desk.listed({"AND": [rejected, by_bob]}) == []
    assert await desk.listed({"AND": [rejected, {"AND": [by_bob]}]}) == ["d2", "d3"]
    assert await desk.listed({"AND": [rejected, field(".confidence", "gt", 0.5)]}) == ["d2"]
    assert await desk.listed({"OR": [rejected, by_bob]}) == ["d0", "d1", "d2", "d3"]
    assert await desk.listed({"AND": [field(".label", "ne", "rejected"), by_bob]}) == ["d1"]
    name = {"field": "name", "operator": "eq", "value": "d2"}
    assert await desk.listed({"AND": [rejected, name, field(".count", "eq", 2)]}) == ["d2"]
    assert await desk.listed({"NOT": [{"AND": [rejected, name]}]}) == ["d0", "d1", "d3", "d4", "d5"]


async def test_disagreement_is_between_the_latest_words_of_two(desk: Desk) -> None:
    assert await desk.listed(field(".disagreement", "eq", True)) == ["d2"]
    assert await desk.listed(field(".disagreement", "ne", False)) == ["d2"]
    assert await desk.listed(field(".disagreement", "eq", False)) == ["d0", "d1", "d3", "d4", "d5"]

    await desk.judge("bob", "d3", "rejected")

    assert await desk.listed({"NOT": [field(".disagreement", "eq", False)]}) == ["d2", "d3"]


async def test_the_last_of_two_words_in_one_call_counts(desk: Desk) -> None:
    words = [{"document_id": desk.ids["d4"], "label": label} for label in ("rejected", "approved")]
    made = await desk.reviewers["ann"].post("/v1/annotations/bulk", json={"create": words})
    assert made.json()["created_count"] == 2
    await desk.judge("bob", "d4", "approved")

    assert await desk.listed(field(".disagreement", "eq", True)) == ["d2"]


async def test_the_queue_moves_when_decisions_change(desk: Desk) -> None:
    made = await desk.judge("ann", "d4", "rejected")
    assert "d4" in await desk.listed(field(".label", "eq", "rejected"))

    await desk.reviewers["ann"].patch(f"/v1/annotations/{made}", json={"label": "approved"})
    assert "d4" not in await desk.listed(field(".label", "eq", "rejected"))

    assert (await desk.client.delete(f"/v1/annotations/{made}")).status_code in {200, 204}
    assert await desk.listed(field(".count", "eq", 0)) == ["d4", "d5"]


async def test_another_namespaces_annotations_do_not_count(desk: Desk) -> None:
    space = (await desk.client.post("/v1/namespaces", json={"namespace_name": "elsewhere"})).json()["namespace_id"]
    body = {"document_id": desk.ids["d5"], "label": "rejected"}
    made = await desk.opened.client(**{"X-Namespace": space}).post("/v1/annotations", json=body)
    assert made.status_code == 200

    assert await desk.listed(field(".count", "eq", 0)) == ["d4", "d5"]
    assert await desk.listed(field(".label", "eq", "rejected")) == ["d0", "d2", "d3"]


@pytest.mark.parametrize(
    "filters",
    [
        field(".colour", "eq", "red"),
        field(".count", "eq", "many"),
        field(".count", "contains", 1),
        field(".count", "eq", True),
        field(".disagreement", "eq", "yes"),
        field(".disagreement", "gt", 1),
        field(".label", "text", "rejected"),
        field(".label", "is_null", True),
        field("", "eq", 1),
    ],
)
async def test_a_question_that_annotations_cannot_answer_names_the_field(opened: Open, filters: dict[str, Any]) -> None:
    desk = Desk(opened.client(), opened)
    await desk.furnish(0)

    answer = await desk.client.post(f"/v1/collections/{desk.collection}/documents/list", json={"filters": filters})

    assert filters["field"] in str(assert_envelope(answer, 422)["message"])


async def test_annotations_are_refused_where_rows_are_filtered_in_memory(desk: Desk) -> None:
    source = {
        "type": "collection",
        "collection_id": desk.collection,
        "source_filters": {"filters": field(".count", "gt", 0)},
    }
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1", "input_mappings": {"text": "name"}}
    body = {"collection_name": "second", "source": source, "feature_extractor": extractor}
    created = await desk.client.post("/v1/collections", json=body)
    triggered = await desk.client.post(
        f"/v1/collections/{desk.collection}/trigger", json={"source_filters": field(".count", "gt", 0)}
    )

    for answer in (created, triggered):
        assert "_annotations.count" in str(assert_envelope(answer, 422)["message"])


async def test_a_retriever_reads_a_queue_as_its_first_stage(desk: Desk) -> None:
    parameters = {"conditions": field(".disagreement", "eq", True)}
    config = {"stage_id": "attribute_filter", "parameters": parameters}
    stage = {"stage_name": "disputed", "stage_type": "filter", "config": config}

    answer = await desk.client.post(
        "/v1/retrievers/execute", json={"stages": [stage], "collection_identifiers": [desk.collection]}
    )

    assert answer.status_code == 200, answer.text
    assert [desk.names[one["document_id"]] for one in answer.json()["documents"]] == ["d2"]


async def test_annotations_stand_beside_documents_when_they_are_asked_for(desk: Desk) -> None:
    lists = f"/v1/collections/{desk.collection}/documents/list"
    wanted = {
        "d0": {"count": 1, "labels": {"rejected": 1}},
        "d1": {"count": 2, "labels": {"approved": 2}},
        "d2": {"count": 2, "labels": {"approved": 1, "rejected": 1}},
        "d3": {"count": 3, "labels": {"approved": 2, "rejected": 1}},
        "d4": {"count": 0, "labels": {}},
        "d5": {"count": 0, "labels": {}},
    }

    page = (await desk.client.post(lists, json={"expand": ["_annotations"], "select": ["name"]})).json()
    one = (await desk.client.get(f"/v1/documents/{desk.ids['d2']}", params={"expand": "_annotations"})).json()
    bare = (await desk.client.post(lists, json={})).json()

    found = {desk.names[row["document_id"]]: row["_expanded"]["_annotations"] for row in page["results"]}
    assert found == wanted
    assert one["_expanded"]["_annotations"] == wanted["d2"]
    assert not [row for row in bare["results"] if "_expanded" in row]


async def test_a_queue_needs_no_payload_index(desk: Desk) -> None:
    path = f"/v1/collections/{desk.collection}/documents/list"

    answer = (await desk.client.post(path, json={"filters": field(".count", "eq", 0)})).json()

    assert answer["warnings"] is None


async def test_a_whole_queue_is_deleted_by_its_filter(desk: Desk) -> None:
    body = {"filters": {"AND": [field(".label", "eq", "rejected"), field(".actor_id", "eq", desk.actors["ann"])]}}

    answer = await desk.client.request("DELETE", f"/v1/collections/{desk.collection}/documents/batch", json=body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["deleted_count"] == 3
    assert await desk.listed(field(".count", "gte", 0)) == ["d1", "d4", "d5"]
