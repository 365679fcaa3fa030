"""Documents over HTTP, on a real database."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from mixpeek.models import (
    BatchGetDocumentsResponse,
    BatchListDocumentsResponse,
    DocumentCountResponse,
    DocumentResponse,
    GenericDeleteResponse,
    ListDocumentsResponse,
)
from tests.documents import ONE, URI, House, decode

from prismhouse.kit.cursors import encode_cursor
from prismhouse.kit.ids import CollectionId, ObjectId
from prismhouse.storage.postgres import vectors


async def test_a_document_is_flat_with_its_lineage_inside(house: House) -> None:
    await house.add(
        "articles",
        {"a": {"title": "Tides", "tags": ["sea"], "n": 1}},
        root_object_id=ObjectId("obj_1"),
        source_object_id=ObjectId("obj_1"),
        root_bucket_id="bkt_posts",
        lineage_path="bkt_posts/col_x",
        lineage_chain=[{"collection_id": "col_x"}],
        internal={"modality": "text", "mime_type": "text/plain"},
    )

    answer = await house.client.get("/v1/collections/articles/documents/doc_a")

    found = answer.json()
    DocumentResponse.from_dict(found)
    internal = found.pop("_internal")
    searchable_at = found.pop("searchable_at")
    assert found == {
        "document_id": "doc_a",
        "collection_id": house.ids["articles"],
        "title": "Tides",
        "tags": ["sea"],
        "n": 1,
        "document_blobs": [],
    }
    assert internal["lineage"]["root_object_id"] == "obj_1"
    assert internal["lineage"]["path"] == "bkt_posts/col_x"
    assert internal["lineage"]["chain"] == [{"collection_id": "col_x"}]
    assert (internal["modality"], internal["mime_type"]) == ("text", "text/plain")
    assert internal["namespace_id"] == "ns_one"
    assert internal["updated_at"] == searchable_at
    assert (await house.client.get("/v1/documents/doc_a")).json()["title"] == "Tides"


async def test_a_document_without_fields_is_valid_json(house: House) -> None:
    await house.add("articles", {"a": {}})

    assert (await house.client.get("/v1/documents/doc_a")).json()["document_id"] == "doc_a"


async def test_pages_hold_every_document_once_when_documents_are_inserted_meanwhile(house: House) -> None:
    await house.add("articles", {f"{n:02}": {"n": n} for n in range(10)})
    first = await house.list("articles", limit=4)
    await house.add("articles", {"00a": {"n": 0}, "05a": {"n": 5}})

    rest = await house.names("articles", limit=4, cursor=first["pagination"]["next_cursor"])

    assert rest == ["04", "05", "05a", "06", "07", "08", "09"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({"field": "n"}, ["b", "d", "a", "c", "e"]),
        ({"field": "n", "direction": "desc"}, ["a", "d", "b", "e", "c"]),
        ({"field": "deep.name", "direction": "desc"}, ["c", "a", "e", "d", "b"]),
        ({"field": "metadata.n"}, ["b", "d", "a", "c", "e"]),
        ({"field": "document_id", "direction": "desc"}, ["e", "d", "c", "b", "a"]),
        ({"field": "_internal.created_at"}, ["a", "b", "c", "d", "e"]),
    ],
)
async def test_a_sorted_list_puts_absent_values_last_and_ties_in_order_of_ids(
    house: House, sort: dict[str, Any], expected: list[str]
) -> None:
    payloads = {"a": {"n": 10, "deep": {"name": "x"}}, "b": {"n": 9}, "c": {"deep": {"name": "y"}}, "d": {"n": 9}}
    await house.add("articles", {**payloads, "e": {"n": None}})

    assert await house.names("articles", limit=2, sort=sort) == expected
    assert await house.names("articles", limit=1, sort=sort) == expected


async def test_search_finds_text_anywhere_without_letter_case(house: House) -> None:
    payloads = {"a": {"title": "The (Sea)"}, "b": {"metadata": {"x": ["the (sea) again"]}}, "c": {"sea": "land"}}
    await house.add("articles", payloads)

    assert await house.names("articles", search="(SEA)") == ["a", "b"]
    assert await house.names("articles", search='"') == []


@pytest.mark.parametrize("call", ["GET", "POST"])
async def test_a_search_too_long_to_run_in_time_is_refused(house: House, call: str) -> None:
    text = "x" * 501
    path = f"/v1/collections/articles/documents?search={text}" if call == "GET" else "/v1/documents/list"

    answer = await house.client.request(call, path, json={"search": text} if call == "POST" else None)

    assert answer.status_code == 422
    assert "500 characters" in answer.text


async def test_filters_choose_by_fields_metadata_and_lineage(house: House) -> None:
    await house.add("articles", {"a": {"n": 1, "author": "Ada"}, "b": {"n": 5}}, root_object_id=ObjectId("obj_1"))
    await house.add("articles", {"c": {"n": 9, "metadata": {"author": "ada"}}}, root_object_id=ObjectId("obj_2"))

    both = {"AND": [{"field": "n", "operator": "gte", "value": 2}], "NOT": [{"field": "root_object_id", "value": "x"}]}
    assert await house.names("articles", filters=both, limit=1) == ["b", "c"]
    assert await house.names("articles", filters={"author": "ADA"}) == ["a"]
    assert await house.names("articles", filters={"metadata.author": "ada"}) == ["a", "c"]
    assert await house.names("articles", filters={"_internal.lineage.root_object_id": "obj_2"}) == ["c"]
    assert (await house.list("articles", filters=both, include_total=True))["total_documents"] == 2
    path = "/v1/collections/articles/documents"
    got = await house.client.get(path, params={"filters": '{"n": {"lt": 3}}'})
    assert [one["n"] for one in got.json()["results"]] == [1]
    for bad in ({"must": [{"key": "n"}]}, {"field": "n", "operator": "near", "value": 1}):
        refused = await house.client.post(f"{path}/list", json={"filters": bad})
        assert refused.status_code == 422, refused.text


async def test_totals_are_given_when_asked_for(house: House) -> None:
    await house.add("articles", {f"{n}": {"n": n} for n in range(5)})

    counted = await house.list("articles", limit=2, include_total=True)
    plain = await house.list("articles", page_size=2, page=2)

    assert counted["pagination"]["total"] == counted["pagination"]["total_count"] == 5
    assert (counted["total_documents"], counted["stats"]["total_documents"]) == (5, 5)
    assert counted["pagination"]["total_pages"] == 3
    assert plain["pagination"]["total_count"] is None
    assert (plain["pagination"]["limit"], plain["pagination"]["offset"]) == (2, 2)
    assert [one["n"] for one in plain["results"]] == [2, 3]


async def test_partitions_are_disjoint_and_complete(house: House) -> None:
    everything = {f"{n:02}" for n in range(30)}
    await house.add("articles", {name: {} for name in everything})

    shares = [await house.names("articles", limit=3, partition={"index": n, "count": 3}) for n in range(3)]

    assert sum(map(len, shares)) == 30
    assert set().union(*shares) == everything
    assert all(share == sorted(share) for share in shares)
    first = await house.list("articles", limit=1, partition={"index": 1, "count": 3})
    rest = await house.names("articles", limit=5, cursor=first["pagination"]["next_cursor"])
    assert rest == shares[1][1:]


async def test_select_keeps_the_ids_and_what_was_named(house: House) -> None:
    await house.add("articles", {"a": {"t": 1, "m": {"x": 1, "y": 2}, "l": [{"p": 1, "q": 2}, 3], "z": 9}})

    page = await house.list("articles", select=["m.x", "l.p", "_internal.lineage.source_type", "none"])

    assert page["results"] == [
        {
            "document_id": "doc_a",
            "collection_id": house.ids["articles"],
            "m": {"x": 1},
            "l": [{"p": 1}, {}],
            "_internal": {"lineage": {"source_type": "bucket"}},
        }
    ]


async def test_stored_files_have_an_address_and_a_link_when_asked_for(house: House) -> None:
    blob = {"field": "thumbnail_url", "role": "thumbnail", "type": "image", "url": None, "checksum": "ab12"}
    await house.add("articles", {"a": {"n": 1}}, document_blobs=[blob])

    plain = (await house.list("articles"))["results"][0]
    signed = (await house.list("articles", return_presigned_urls=True))["results"][0]
    fetched = (await house.client.post("/v1/documents/batch-get", json={"document_ids": ["doc_a"]})).json()

    assert plain["document_blobs"][0]["url"] == "prismhouse://blobs/ab12"
    assert "presigned_url" not in plain["document_blobs"][0]
    assert signed["document_blobs"][0]["presigned_url"] == "http://house/signed/ab12"
    assert signed["thumbnail_url"] == "http://house/signed/ab12"
    assert fetched["documents"][0]["document_blobs"][0]["presigned_url"] == "http://house/signed/ab12"


async def test_vectors_come_by_name_when_asked_for_and_go_with_the_document(house: House) -> None:
    await house.add("articles", {"a": {"n": 1}, "b": {"n": 2}})
    async with house.db.write() as unit:
        tx = unit.within(ONE)
        index = (await vectors.load(tx, [URI]))[URI]
        await vectors.write(
            tx,
            index,
            collection_id=CollectionId(house.ids["articles"]),
            document_ids=["doc_a"],
            vectors=np.full((1, 384), 0.5, dtype=np.float32),
        )

    everything = (await house.list("articles", return_vectors=True))["results"]
    names = (await house.list("articles", return_vector_names=True, select=["n"]))["results"]
    named = (await house.list("articles", return_vector_names=["all_minilm_l6_v2_v1"]))["results"]
    one = (await house.client.get("/v1/documents/doc_a", params={"return_vector_names": "true"})).json()
    await house.client.delete("/v1/collections/articles/documents/doc_a")

    assert everything[0]["text_extractor_v1_embedding"] == [0.5] * 384
    assert everything[0]["vector_hydration_incomplete"] is False
    assert "text_extractor_v1_embedding" not in everything[1]
    assert [one["_vectors"] for one in names] == [["text_extractor_v1_embedding"], []]
    assert len(named[0]["all_minilm_l6_v2_v1"]) == 384
    assert one["_vectors"] == ["text_extractor_v1_embedding"]
    async with house.db.read() as tx:
        assert await tx.fetch_value(f"SELECT count(*) FROM {index.table_name}") == 0


async def test_a_query_string_lists_as_a_body_does(house: House) -> None:
    await house.add("articles", {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})
    path = "/v1/collections/articles/documents"

    found = await house.client.get(path, params={"sort": "n:desc", "limit": 2, "search": ""})
    as_json = await house.client.get(path, params={"sort": '{"field": "n", "direction": "desc"}', "page_size": 1})
    bad = [
        await house.client.get(path, params={"filters": "{n"}),
        await house.client.get(path, params={"sort": "{n"}),
        await house.client.get(path, params={"sort": "n:up"}),
        await house.client.get(path, params={"limit": 1001}),
    ]

    assert [one["n"] for one in found.json()["results"]] == [3, 2]
    assert [one["n"] for one in as_json.json()["results"]] == [3]
    assert [one.status_code for one in bad] == [422] * 4


async def test_a_cursor_of_another_query_is_refused(house: House) -> None:
    await house.add("articles", {"a": {}, "b": {}})
    cursor = (await house.list("articles", limit=1))["pagination"]["next_cursor"]

    body = {"cursor": cursor, "sort": {"field": "n"}}
    answer = await house.client.post("/v1/collections/articles/documents/list", json=body)

    assert answer.status_code == 400


async def test_a_cursor_of_another_partition_or_namespace_is_refused(house: House) -> None:
    await house.add("articles", {str(n): {} for n in range(8)})
    body = {"limit": 1, "partition": {"index": 0, "count": 2}}
    first = (await house.client.post("/v1/documents/list", json=body)).json()
    cursor = {"cursor": first["pagination"]["next_cursor"]}
    whole = (await house.client.post("/v1/documents/list", json={"limit": 1})).json()["pagination"]["next_cursor"]

    same = await house.client.post("/v1/documents/list", json={**body, **cursor})
    other = await house.client.post("/v1/documents/list", json={"partition": {"index": 1, "count": 2}, **cursor})
    begun = await house.client.post("/v1/documents/list", json={**body, "cursor": whole})
    stranger = {"Authorization": "Bearer sk_two", "X-Namespace": "ns_two"}
    foreign = await house.client.post("/v1/documents/list", json={"cursor": whole}, headers=stranger)

    assert same.status_code == 200
    assert [one.status_code for one in (other, begun, foreign)] == [400] * 3, foreign.text


async def test_the_namespace_lists_all_collections_or_those_named(house: House) -> None:
    await house.add_collection("notes")
    await house.add("articles", {"a": {}})
    await house.add("notes", {"b": {}})

    async def names(**body: Any) -> list[str]:
        answer = (await house.client.post("/v1/documents/list", json=body)).json()
        ListDocumentsResponse.from_dict(answer)
        return [one["document_id"] for one in answer["results"]]

    assert await names() == ["doc_a", "doc_b"]
    assert await names(collection_ids=["notes"]) == ["doc_b"]
    assert await names(collections=[house.ids["articles"]]) == ["doc_a"]
    some = await house.client.post("/v1/documents/list", json={"collection_ids": ["notes", "col_none"]})
    assert some.json()["unknown_collection_ids"] == ["col_none"]
    none = await house.client.post("/v1/documents/list", json={"collection_id": "col_none"})
    assert none.status_code == 404
    unknown = await house.client.post("/v1/documents/list", json={"colour": 1})
    assert unknown.status_code == 422
    assert "collection_ids" in unknown.json()["error"]["message"]


async def test_several_queries_answer_in_order_and_a_failing_one_alone_fails(house: House) -> None:
    await house.add("articles", {"a": {}, "b": {}})
    queries = [
        {"key": "some", "request": {"limit": 1, "include_total": True}},
        {"key": 'no"ne', "request": {"collection_ids": ["col_none"]}},
    ]

    answer = await house.client.post("/v1/documents/list/batch", json={"queries": queries})
    twice = await house.client.post("/v1/documents/list/batch", json={"queries": [queries[0], queries[0]]})
    empty = await house.client.post("/v1/documents/list/batch", json={"queries": []})
    many = [{"key": str(n), "request": {}} for n in range(11)]
    eleven = await house.client.post("/v1/documents/list/batch", json={"queries": many})

    BatchListDocumentsResponse.from_dict(answer.json())
    some, none = answer.json()["results"]
    assert (some["key"], some["error"], some["response"]["total_documents"]) == ("some", None, 2)
    assert (none["key"], none["response"]) == ('no"ne', None)
    assert "col_none" in none["error"]
    assert [one.status_code for one in (twice, empty, eleven)] == [422] * 3


async def test_a_batch_get_keeps_the_order_and_names_what_is_missing(house: House) -> None:
    await house.add("articles", {"a": {}, "b": {}})

    body = {"document_ids": ["doc_b", "doc_x", "doc_a", "doc_b"]}
    answer = (await house.client.post("/v1/documents/batch-get", json=body)).json()
    many = await house.client.post("/v1/documents/batch-get", json={"document_ids": ["doc"] * 1001})

    BatchGetDocumentsResponse.from_dict(answer)
    assert [one["document_id"] for one in answer["documents"]] == ["doc_b", "doc_a"]
    assert answer["not_found"] == ["doc_x"]
    assert many.status_code == 422


async def test_counting_and_deleting_one_document(house: House) -> None:
    await house.add("articles", {"a": {}, "b": {}})
    path = "/v1/collections/articles/documents"

    before = (await house.client.get(f"{path}/count")).json()
    deleted = (await house.client.delete(f"{path}/doc_a")).json()
    again = await house.client.delete(f"{path}/doc_a")
    after = (await house.client.get(f"{path}/count")).json()

    DocumentCountResponse.from_dict(before)
    GenericDeleteResponse.from_dict(deleted)
    assert before == {"collection_id": house.ids["articles"], "count": 2}
    assert deleted["success"] is True
    assert again.status_code == 404
    assert after["count"] == 1


async def test_the_documents_of_an_object_are_listed_and_counted(house: House) -> None:
    await house.add_collection("notes")
    await house.add("articles", {"a": {}, "b": {}}, root_object_id=ObjectId("obj_1"))
    await house.add("notes", {"c": {}}, root_object_id=ObjectId("obj_1"))

    found = (await house.client.get("/v1/objects/obj_1/documents")).json()
    some = await house.client.get("/v1/objects/obj_1/documents", params={"collection_ids": ["notes"]})
    none = (await house.client.get("/v1/objects/obj_2/documents")).json()
    missing = await house.client.get("/v1/objects/obj_3/documents")

    assert found["total_documents"] == 3
    assert [one["document_id"] for one in found["documents"]] == ["doc_a", "doc_b", "doc_c"]
    assert some.json()["total_documents"] == 1
    assert (none["total_documents"], none["documents"]) == (0, [])
    assert missing.status_code == 404


async def test_another_tenants_documents_do_not_exist(house: House) -> None:
    await house.add("articles", {"a": {}}, root_object_id=ObjectId("obj_1"))
    stranger = {"Authorization": "Bearer sk_two"}
    collection = f"/v1/collections/{house.ids['articles']}/documents"

    answers = [
        await house.client.get("/v1/documents/doc_a", headers=stranger),
        await house.client.get(f"{collection}/doc_a", headers=stranger),
        await house.client.delete(f"{collection}/doc_a", headers=stranger),
        await house.client.get(collection, headers=stranger),
        await house.client.get(f"{collection}/count", headers=stranger),
        await house.client.post(f"{collection}/list", json={}, headers=stranger),
    ]
    listed = await house.client.post("/v1/documents/list", json={}, headers=stranger)
    got = await house.client.post("/v1/documents/batch-get", json={"document_ids": ["doc_a"]}, headers=stranger)
    of_object = await house.client.get("/v1/objects/obj_1/documents", headers=stranger)

    assert [one.status_code for one in answers] == [404] * 6
    assert listed.json()["results"] == []
    assert got.json() == {"documents": [], "not_found": ["doc_a"]}
    assert of_object.json()["total_documents"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/documents/doc%00", None),
        ("GET", "/v1/collections/articles%00/documents", None),
        ("DELETE", "/v1/collections/articles/documents/doc%00", None),
        ("GET", "/v1/objects/obj%00/documents", None),
        ("GET", "/v1/objects/obj_1/documents?collection_ids=%00", None),
        ("GET", "/v1/collections/articles/documents?search=%00", None),
        ("GET", "/v1/collections/articles/documents?sort=%00", None),
        ("POST", "/v1/documents/list", {"collection_ids": ["\x00"]}),
        ("POST", "/v1/documents/list", {"search": "\x00"}),
        ("POST", "/v1/documents/list", {"filters": {"a": "\x00"}}),
        ("POST", "/v1/documents/list", {"sort": {"field": "\x00"}}),
        ("POST", "/v1/documents/list/batch", {"queries": [{"key": "\x00", "request": {"search": "\x00"}}]}),
        ("POST", "/v1/documents/batch-get", {"document_ids": ["\x00"]}),
        ("POST", "/v1/documents/list", {"cursor": encode_cursor([None, "\x00", None, None, 1], "x")}),
    ],
)
async def test_a_zero_character_is_refused_and_never_a_fault_of_ours(
    house: House, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = await house.client.request(method, path, json=body)

    assert answer.status_code in {400, 404, 422}, answer.text


async def test_walks_meet_every_standing_document_while_others_write(house: House) -> None:
    standing = {f"doc_s{number:03}": number for number in range(60)}
    values: list[Any] = [1, "1", None, True, [1, 2], 0.5, "x"]
    await house.add("articles", {name[4:]: {"n": values[number % 7]} for name, number in standing.items()})
    written, done = 0, asyncio.Event()

    async def write(writer: int) -> None:
        nonlocal written
        while not done.is_set():
            names = [f"{letter}{writer}_{written}_{number}" for number, letter in enumerate("atz")]
            await house.add("articles", {name: {"n": values[written % 7]} for name in names})
            async with house.db.write() as unit:
                await unit.execute("DELETE FROM documents WHERE document_id = %(id)s", {"id": f"doc_{names[0]}"})
            written += 1

    async def walk(**order: Any) -> list[str]:
        seen: list[str] = []
        cursor = {}
        while True:
            page = await house.list("articles", limit=7, **order, **cursor)
            seen += [one["document_id"] for one in page["results"]]
            cursor = {"cursor": page["pagination"]["next_cursor"]}
            if cursor["cursor"] is None:
                return seen

    writers = [asyncio.create_task(write(number)) for number in range(2)]
    orders = [{}, *({"sort": {"field": "n", "direction": way}} for way in ("asc", "desc"))]
    walks = await asyncio.gather(*(walk(**order) for order in orders))
    done.set()
    await asyncio.gather(*writers)

    assert written > 4
    for seen, order in zip(walks, orders, strict=True):
        assert len(seen) == len(set(seen))
        after = [name for name in await walk(**order) if name in standing]
        assert [name for name in seen if name in standing] == after
        assert len(after) == 60


@pytest.mark.parametrize(
    "values",
    [
        ["\x00", "d", None, None],
        ["{", "d", None, None],
        ["[" * 100_000, "d", None, None],
        [3, "d", None, None],
        ["1", "\x00", None, None],
        ["1", ["d"], None, None],
        ["1", "d", True, 2],
        ["1", "d", 3, 2],
        ["1", "d", 0, 257],
        ["1", "d", 0, None],
    ],
)
async def test_a_forged_cursor_is_refused(house: House, values: list[Any]) -> None:
    await house.add("articles", {"a": {"n": 1}, "b": {"n": 2}})
    page = await house.list("articles", limit=1, sort={"field": "n"})
    real = decode(page["pagination"]["next_cursor"])
    forged = encode_cursor([*values, real[-1]], real[0])

    body = {"sort": {"field": "n"}, "cursor": forged}
    answer = await house.client.post("/v1/collections/articles/documents/list", json=body)

    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("issued_at", [None, True, "1", 1.5, 10**12, -1])
async def test_a_cursor_from_no_time_is_refused(house: House, issued_at: Any) -> None:
    await house.add("articles", {"a": {}, "b": {}})
    *real, _ = decode((await house.list("articles", limit=1))["pagination"]["next_cursor"])

    body = {"cursor": encode_cursor([*real[1:], issued_at], real[0])}
    answer = await house.client.post("/v1/collections/articles/documents/list", json=body)

    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(("age_seconds", "status"), [(6 * 86_400, 200), (7 * 86_400 + 5, 400)])
@pytest.mark.parametrize("path", ["/v1/collections/articles/documents/list", "/v1/documents/list"])
async def test_a_cursor_says_that_it_expired_when_it_is_older_than_the_limit(
    house: House, path: str, age_seconds: int, status: int
) -> None:
    await house.add("articles", {"a": {}, "b": {}})
    page = (await house.client.post(path, json={"limit": 1})).json()
    *place, issued_at = decode(page["pagination"]["next_cursor"])

    old = encode_cursor([*place[1:], issued_at - age_seconds], place[0])
    answer = await house.client.post(path, json={"limit": 1, "cursor": old})

    assert answer.status_code == status, answer.text
    if status == 400:
        message = answer.json()["error"]["message"]
        assert "7 days ago" in message
        assert "Start again without a cursor" in message
