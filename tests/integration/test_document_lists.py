"""What lists of documents can do beyond pages: groups, references, advice, and bodies that mean harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mixpeek.models import (
    BatchListDocumentsResponse,
    DocumentResponse,
    FieldUsageResponse,
    IndexSuggestionsResponse,
    ListDocumentsResponse,
)
from tests.documents import House, published_list


async def groups(house: House, **body: Any) -> dict[str, Any]:
    answer = await house.client.post("/v1/documents/list", json=body)
    assert answer.status_code == 200, answer.text
    ListDocumentsResponse.from_dict(answer.json())
    assert "results" not in answer.json()
    return answer.json()  # type: ignore[no-any-return]


async def test_groups_are_counted_paged_and_hold_their_documents(house: House) -> None:
    await house.declare(colour="keyword")
    colours = ["red", "blue", "red", None, "green", "red", 7, ["red", "blue"]]
    await house.add("articles", {f"{n}": {"colour": colour, "n": -n} for n, colour in enumerate(colours)})
    await house.add("articles", {"x": {"n": 1}})

    first = await groups(house, group_by="colour", limit=2, include_total=True, sort={"field": "n"})
    seen = first["groups"]
    cursor = first["pagination"]["next_cursor"]
    while cursor:
        page = await groups(house, group_by="colour", limit=2, sort={"field": "n"}, cursor=cursor)
        seen += page["groups"]
        cursor = page["pagination"]["next_cursor"]

    assert [(one["group_key"], one["count"]) for one in seen] == [
        ("blue", 1),
        ("green", 1),
        ("red", 3),
        (7, 1),
        (["red", "blue"], 1),
    ]
    assert [one["document_id"] for one in seen[2]["documents"]] == ["doc_5", "doc_2", "doc_0"]
    assert first["group_by_field"] == "colour"
    assert (first["pagination"]["total"], first["stats"]["total_groups"], first["total_documents"]) == (5, 5, 9)
    offset = await groups(house, group_by="colour", limit=2, offset=3)
    assert [one["group_key"] for one in offset["groups"]] == [7, ["red", "blue"]]


async def test_system_fields_group_without_an_index_and_others_say_how_to_get_one(house: House) -> None:
    await house.add("articles", {"a": {"n": 1}, "b": {"n": 1}}, source_object_id="obj_1")
    await house.add("articles", {"c": {"n": 1}})

    found = await groups(house, group_by={"field": "source_object_id"})
    refused = await house.client.post("/v1/documents/list", json={"group_by": "n"})

    assert [(one["group_key"], one["count"]) for one in found["groups"]] == [("obj_1", 2)]
    assert refused.status_code == 422
    fault = refused.json()["error"]["details"]["validation_errors"][0]
    assert fault["location"] == ["body", "group_by"]
    assert "PATCH /v1/namespaces/ns_one" in fault["message"]


async def test_a_group_shows_a_share_of_a_thousand_documents_and_counts_all(house: House) -> None:
    await house.add("articles", {f"{n:03}": {} for n in range(30)}, source_object_id="obj_1")

    found = await groups(house, group_by="source_object_id", limit=100)

    assert [(len(one["documents"]), one["count"]) for one in found["groups"]] == [(10, 30)]


async def test_references_are_resolved_by_one_query_and_survive_select(house: House) -> None:
    await house.add("articles", {"x": {"name": "X"}, "y": {"name": "Y"}})
    refer = {"customer_id": "doc_x", "deep": [{"ids": ["doc_y", "doc_none"]}, {"ids": ["doc_x"]}], "gone": "doc_none"}
    await house.add("articles", {"a": refer, "b": {"customer_id": 5}})

    page = await house.list("articles", expand=["customer_id", "deep.ids", "gone"], select=["customer_id"])
    one = await house.client.get("/v1/documents/doc_a", params={"expand": "customer_id"})

    found = {one["document_id"]: one for one in page["results"]}["doc_a"]
    expanded = found["_expanded"]
    assert expanded["customer_id"]["name"] == "X"
    assert [one["name"] for one in expanded["deep.ids"]] == ["Y", "X"]
    assert expanded["gone"] is None
    assert "deep" not in found
    DocumentResponse.from_dict(one.json())
    assert one.json()["_expanded"]["customer_id"]["document_id"] == "doc_x"


async def test_more_than_fifty_references_are_refused(house: House) -> None:
    await house.add("articles", {"a": {"ids": [f"doc_{n}" for n in range(51)]}, "b": {"ids": ["doc_a"] * 60}})
    path = "/v1/collections/articles/documents/list"

    refused = await house.client.post(path, json={"expand": ["ids"]})
    taken = await house.client.post(path, json={"expand": ["ids"], "filters": {"document_id": "doc_b"}})

    assert refused.status_code == 422
    assert "52" in refused.json()["error"]["message"]
    assert taken.status_code == 200


async def test_one_document_comes_with_its_relatives(house: House) -> None:
    await house.add("articles", {"root": {"n": 0}})
    await house.add("articles", {"middle": {"n": 1}}, source_document_id="doc_root")
    await house.add("articles", {"leaf1": {"n": 2}, "leaf2": {"n": 3}}, source_document_id="doc_middle")

    async def relatives(name: str, wanted: str) -> dict[str, Any]:
        answer = await house.client.get(f"/v1/documents/doc_{name}", params={"expand": wanted})
        return answer.json()["_expanded"]  # type: ignore[no-any-return]

    leaf = await relatives("leaf1", "parent,ancestors,root_object,children")
    middle = await relatives("middle", "children")
    assert leaf["parent"]["n"] == 1
    assert [one["n"] for one in leaf["ancestors"]] == [0, 1]
    assert (leaf["root_object"], leaf["children"]) == (None, [])
    assert [one["n"] for one in middle["children"]] == [2, 3]
    assert (await relatives("root", "parent"))["parent"] is None


async def test_fields_without_an_index_are_named_with_the_call_that_adds_one(house: House) -> None:
    await house.add("articles", {"a": {"n": 1, "m": 2}})
    await house.declare(n="integer")

    filters = {"AND": [{"n": {"gte": 1}}, {"m": 2}, {"_internal.created_at": {"gt": "2000-01-01"}}]}
    page = await house.list("articles", filters=filters, sort={"field": "source_object_id"})
    quiet = await house.list("articles", filters={"n": {"gte": 1}}, sort={"field": "n"})

    assert len(page["warnings"]) == 1
    assert "`m`" in page["warnings"][0]
    assert "PATCH /v1/namespaces/ns_one" in page["warnings"][0]
    assert quiet["warnings"] is None


async def test_every_key_of_the_published_example_is_understood(house: House) -> None:
    await house.add("articles", {"c": {"name": "customer"}})
    matching = {"name": "John", "age": 30, "status": "active", "customer_id": "doc_c", "metadata": {"title": "Quick"}}
    await house.add("articles", {"a": matching, "b": {**matching, "location": "remote"}}, source_object_id="obj_1")
    request = published_list("articles", search="quick", limit=10)
    queries = [
        {"key": "grouped", "request": request},
        {"key": "plain", "request": {**request, "group_by": None}},
        {"key": "bad", "request": {"filters": {"field": "name", "operator": "near", "value": 1}}},
        {"key": "slow", "request": {"filters": {"field": "name", "operator": "regex", "value": "(?P<n>J)"}}},
    ]

    answer = await house.client.post("/v1/documents/list/batch", json={"queries": queries})

    assert answer.status_code == 200, answer.text
    BatchListDocumentsResponse.from_dict(answer.json())
    grouped, plain, bad, slow = answer.json()["results"]
    group = grouped["response"]["groups"][0]
    assert (group["group_key"], group["count"]) == ("obj_1", 1)
    document = group["documents"][0]
    assert document["metadata"] == {"title": "Quick"}
    assert document["_expanded"]["customer_id"]["name"] == "customer"
    assert [one["document_id"] for one in plain["response"]["results"]] == ["doc_a"]
    assert set(plain["response"]["pagination"]) >= {"has_more", "limit", "offset", "total_count", "total", "page_size"}
    assert "operator" in bad["error"]
    assert "name regex" in slow["error"]


def nested(levels: int) -> str:
    return '{"filters":' + '{"AND":[' * levels + '{"a":1}' + "]}" * levels + "}"


def condition(operator: str, value: Any, **more: Any) -> str:
    return json.dumps({"filters": {"field": "a", "operator": operator, "value": value, **more}})


MEGABYTE = "z " * 500_000
HOSTILE = {
    "10,000 levels": nested(10_000),
    "100 levels": nested(100),
    "1 MB to equal": condition("eq", MEGABYTE),
    "1 MB of words": condition("words", MEGABYTE),
    "one word of 1 MB": condition("words", "x" * 1_000_000),
    "1 MB phrase": condition("phrase", MEGABYTE),
    "1 MB to contain": condition("contains", MEGABYTE),
    "1 MB to exceed": condition("gt", MEGABYTE),
    "10,000 numbers": condition("in", list(range(10, 10_010))),
    "10,000 strings": condition("in", [f"s{n}" for n in range(10_000)]),
    "a number of 4,000 digits": '{"filters":{"a":%s}}' % ("9" * 4_000),
    "1e309": '{"filters":{"a":{"gt":1e309}}}',
    "100,000 steps": json.dumps({"filters": {"field": ".".join("a" * 100_000), "value": 1}}),
    "100,000 steps to sort by": json.dumps({"sort": {"field": ".".join("a" * 100_000)}}),
    "1 MB name": json.dumps({"filters": {"f" * 1_000_000: 1}}),
    "1,000 conditions": json.dumps({"filters": {"OR": [{f"metadata.a{n}": "Tx"} for n in range(1_000)]}}),
    "half a surrogate": '{"filters":{"a":"\\ud800"}}',
    "U+0000 in a name": '{"filters":{"a\\u0000":"x"}}',
    "U+0000 in JSON text": json.dumps({"filters": json.dumps({"a": "\0"})}),
    "quotes": json.dumps({"filters": {"a' OR ''='": "'; DROP TABLE documents; --"}, "sort": {"field": "a')"}}),
    "percent": json.dumps({"filters": {"%(namespace_id)s": "%s"}, "sort": {"field": '%s"\\'}}),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_filter_is_refused_or_answered(house: House, name: str) -> None:
    await house.add("articles", {"a": {"a": "y"}})

    answer = await house.client.post("/v1/collections/articles/documents/list", content=HOSTILE[name])

    assert answer.status_code in {200, 422}, answer.text[:300]
    if answer.status_code == 200:
        assert [one["document_id"] for one in answer.json()["results"]] == (
            ["doc_a"] if "sort" in HOSTILE[name] and "filters" not in HOSTILE[name] else []
        )


async def test_filters_as_json_text_are_read(house: House) -> None:
    await house.add("articles", {"a": {"n": 1}, "b": {"n": 2}})

    assert await house.names("articles", filters='{"n": {"$gte": 2}}') == ["b"]


@pytest.mark.parametrize("pattern", ["(?P<n>a)", r"\p{L}", "((((a{0,255}){0,255}){0,255}))"])
async def test_a_pattern_that_the_database_does_not_know_is_named(house: House, pattern: str) -> None:
    await house.add("articles", {"a": {"a": "y"}})

    answer = await house.client.post("/v1/documents/list", content=condition("regex", pattern))

    assert answer.status_code == 422
    assert f"a regex {pattern}" in answer.json()["error"]["message"]


async def test_a_catastrophic_pattern_is_stopped_in_time_and_named(house: House) -> None:
    await house.add("articles", {"a": {"a": "ab" * 500 + "c"}})

    answer = await house.client.post("/v1/documents/list", content=condition("regex", r"^(.*)(.*)(.*)(.*)\4\3\2\1$"))

    assert answer.status_code == 422, answer.text[:200]
    assert "took more than 5.0 s" in answer.json()["error"]["message"]
    assert await house.names("articles") == ["a"]


async def test_how_often_fields_are_used_is_kept(house: House) -> None:
    await house.add("articles", {"a": {"n": 1}})
    for _ in range(3):
        await house.list("articles", filters={"n": 1}, sort={"field": "m"})

    answer = await house.client.get("/v1/analytics/indexes/usage")
    offered = await house.client.get("/v1/analytics/indexes/suggestions", params={"min_count": 2})
    rare = await house.client.get("/v1/analytics/indexes/suggestions")

    FieldUsageResponse.from_dict(answer.json())
    IndexSuggestionsResponse.from_dict(offered.json())
    assert [(one["field_name"], one["query_count"]) for one in answer.json()["fields"]] == [("m", 3), ("n", 3)]
    suggestions = [(one["field_name"], one["suggested_type"]) for one in offered.json()["suggestions"]]
    assert suggestions == [("m", "keyword"), ("n", "float")]
    assert rare.json()["suggestions"] == []


@pytest.mark.parametrize(("offset", "expected"), [(0, "bdac"), (2, "ace"), (3, "ce"), (4, "e"), (9, "")])
async def test_an_offset_goes_on_where_values_end(house: House, offset: int, expected: str) -> None:
    await house.add("articles", {"a": {"n": 10}, "b": {"n": 9}, "c": {}, "d": {"n": 9}, "e": {"n": None}})

    page = await house.list("articles", sort={"field": "n"}, limit=4, offset=offset)

    assert "".join(one["document_id"].removeprefix("doc_") for one in page["results"]) == expected


async def test_values_of_different_types_stand_in_one_order(house: House) -> None:
    values = {"a": True, "b": "text", "c": 2, "d": {"x": 1}, "e": [1, 2], "f": None, "g": "Text", "h": 1.5}
    await house.add("articles", {name: {"n": value} for name, value in values.items()})

    upwards = await house.names("articles", sort={"field": "n"}, limit=2)

    assert upwards == ["g", "b", "h", "c", "a", "d", "e", "f"]
    downwards = await house.names("articles", sort={"field": "n", "direction": "desc"}, limit=3)
    assert downwards == [*reversed(upwards[:-1]), "f"]
