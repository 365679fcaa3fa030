"""Where documents come from, what was made of them, and what is known about their failures."""

from __future__ import annotations

from typing import Any

import pytest
from mixpeek.models import DocumentDiagnosticsResponse, DocumentLineageResponse, DocumentResponse
from tests.shelf import Shelf

STORED = "text_extractor_v1_embedding"


@pytest.fixture
async def family(shelf: Shelf) -> dict[str, str]:
    """An object, a document made of it, one made of that, and two made of that one."""
    blobs = [{"property": "text", "type": "text", "data": "tides"}]
    path = f"/v1/buckets/{shelf.bucket_id}/objects"
    ids = {"object": (await shelf.send("POST", path, {"blobs": blobs}))["object_id"]}
    rooted = {"root_object_id": ids["object"], "root_bucket_id": shelf.bucket_id}
    ids["first"] = await shelf.add(**rooted, source_type="bucket", source_object_id=ids["object"])
    chain: list[dict[str, Any]] = []
    for child, parent in (("second", "first"), ("third", "second"), ("fourth", "second")):
        step = {"collection_id": shelf.collection_id, "feature_extractor_id": "e", "document_id": ids[parent]}
        chain = [*chain, step] if parent == "second" and child == "third" else chain or [step]
        ids[child] = await shelf.add(
            **rooted,
            source_type="collection",
            source_document_id=ids[parent],
            source_collection_id=shelf.collection_id,
            lineage_chain=chain,
        )
    return ids


async def test_ancestors_come_root_first_and_descendants_are_direct(shelf: Shelf, family: dict[str, str]) -> None:
    up = await shelf.send("GET", f"/{family['third']}/ancestors")
    down = await shelf.send("GET", f"/{family['second']}/descendants")

    assert all(DocumentResponse.from_dict(one) for one in [*up, *down])
    assert [one["document_id"] for one in up] == [family["first"], family["second"]]
    assert [one["document_id"] for one in down] == sorted([family["third"], family["fourth"]])
    assert await shelf.send("GET", f"/{family['first']}/ancestors") == []
    assert await shelf.send("GET", f"/{family['third']}/descendants") == []


async def test_a_hundred_descendants_are_shown(shelf: Shelf) -> None:
    parent = await shelf.add()
    for _ in range(101):
        await shelf.add(source_document_id=parent)

    assert len(await shelf.send("GET", f"/{parent}/descendants")) == 100


async def test_a_circle_of_sources_ends(shelf: Shelf) -> None:
    one = await shelf.add()
    other = await shelf.add(source_document_id=one)
    async with shelf.opened.house.db.write() as tx:
        await tx.execute(
            "UPDATE documents SET source_document_id = %(other)s WHERE document_id = %(one)s",
            {"one": one, "other": other},
        )

    assert [d["document_id"] for d in await shelf.send("GET", f"/{one}/ancestors")] == [other]


async def test_lineage_tells_sources_steps_and_depth(shelf: Shelf, family: dict[str, str]) -> None:
    first = await shelf.send("GET", f"/{family['first']}/lineage")
    third = await shelf.send("GET", f"/{family['third']}/lineage")
    alone = await shelf.send("GET", f"/{await shelf.add()}/lineage")

    assert all(DocumentLineageResponse.from_dict(one) for one in (first, third, alone))
    assert (first["depth"], first["total_steps"]) == (1, 0)
    assert first["lineage"]["root_object_id"] == family["object"]
    assert (third["depth"], third["total_steps"]) == (3, 2)
    assert [step["document_id"] for step in third["lineage"]["lineage_chain"]] == [family["first"], family["second"]]
    assert (alone["lineage"], alone["depth"]) == (None, 0)
    assert alone["message"]


async def test_an_object_has_a_tree_of_collections(shelf: Shelf, family: dict[str, str]) -> None:
    path = f"/v1/objects/{family['object']}/decomposition-tree"

    tree = await shelf.send("GET", path)
    with_ids = await shelf.send("GET", f"{path}?include_document_ids=true")

    assert (tree["root_object_id"], tree["root_bucket_id"]) == (family["object"], shelf.bucket_id)
    assert (tree["total_documents"], tree["max_depth"]) == (4, 1)
    assert {branch["collection_name"] for branch in tree["tree"]} == {"articles"}
    assert "document_ids" not in tree["tree"][0]
    found = [one for branch in with_ids["tree"] for one in branch["document_ids"]]
    assert sorted(found) == sorted(value for name, value in family.items() if name != "object")


async def test_the_tree_branches_where_collections_feed_others(shelf: Shelf) -> None:
    blobs = [{"property": "text", "type": "text", "data": "tides"}]
    found = await shelf.send("POST", f"/v1/buckets/{shelf.bucket_id}/objects", {"blobs": blobs})
    empty = await shelf.send("GET", f"/v1/objects/{found['object_id']}/decomposition-tree")
    rest = {"feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1"}}
    source = {"type": "collection", "collection_id": shelf.collection_id}
    made = await shelf.send("POST", "/v1/collections", {"collection_name": "below", "source": source, **rest})
    await shelf.add(root_object_id=found["object_id"])
    below = {"root_object_id": found["object_id"], "source_collection_id": shelf.collection_id}
    await shelf.send("POST", "/v1/collections/below/documents", below)

    tree = await shelf.send("GET", f"/v1/objects/{found['object_id']}/decomposition-tree")

    assert (empty["tree"], empty["max_depth"], empty["total_documents"]) == ([], 0, 0)
    assert (len(tree["tree"]), tree["max_depth"]) == (1, 2)
    assert [child["collection_id"] for child in tree["tree"][0]["children"]] == [made["collection_id"]]


async def test_diagnostics_give_a_value_or_a_reason_for_each_facet(shelf: Shelf, family: dict[str, str]) -> None:
    bare = await shelf.send("GET", f"/{family['first']}/diagnostics")
    whole = await shelf.send("GET", f"/{await shelf.add(vectors={STORED: [1.0] * 384})}/diagnostics")

    assert all(DocumentDiagnosticsResponse.from_dict(one) for one in (bare, whole))
    assert bare["source_object_id"] == family["object"]
    assert bare["visibility_reason"]["searchable"] is False
    assert STORED in bare["visibility_reason"]["reason"]
    assert (whole["visibility_reason"]["searchable"], whole["recent_failures"]["failures"]) == (True, [])
    assert whole["recent_failures"]["reason"]
    assert [entry["source"] for entry in bare["diagnostic_history"]["entries"]] == ["created"]


async def test_diagnostics_name_the_failures_of_the_object(shelf: Shelf, family: dict[str, str]) -> None:
    batch = await shelf.send("POST", f"/v1/buckets/{shelf.bucket_id}/batches", {"object_ids": [family["object"]]})
    async with shelf.opened.house.db.write() as tx:
        await tx.execute(
            """INSERT INTO row_failures (namespace_id, batch_id, tier, collection_id, source_id, object_id, stage, code,
                 message, error_type)
               SELECT namespace_id, batch_id, 0, %(collection)s, %(object)s, %(object)s, 'extract', 'c', 'too dark', 't'
               FROM batches WHERE batch_id = %(batch)s""",
            {"batch": batch["batch_id"], "object": family["object"], "collection": shelf.collection_id},
        )

    found = await shelf.send("GET", f"/{family['first']}/diagnostics")

    failures = found["recent_failures"]["failures"]
    assert [(one["source"], one["error"]) for one in failures] == [(f"batch {batch['batch_id']}, extract", "too dark")]


async def test_only_scenes_are_cut(shelf: Shelf) -> None:
    plain = await shelf.add(title="x")
    scene = await shelf.add(start_time=1.0, end_time=2.5)
    async with shelf.opened.house.db.write() as tx:
        await tx.execute(
            """UPDATE documents SET source_blobs = '[{"field": "v", "type": "video"}]' WHERE document_id = %(scene)s""",
            {"scene": scene},
        )

    assert "is no scene" in (await shelf.send("GET", f"/{plain}/download", None, 422))["error"]["message"]
    assert "not stored here" in (await shelf.send("GET", f"/{scene}/download", None, 422))["error"]["message"]


@pytest.mark.parametrize("verb", ["ancestors", "descendants", "lineage", "diagnostics", "download"])
async def test_what_is_not_there_has_no_lineage(shelf: Shelf, verb: str) -> None:
    await shelf.send("GET", f"/doc_none/{verb}", None, 404)
    await shelf.send("GET", "/v1/objects/obj_none/decomposition-tree", None, 404)
