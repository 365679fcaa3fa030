"""A collection is listed by its id as by its name, whether it holds documents or not."""

from __future__ import annotations

from tests.shelf import Shelf


async def test_id_and_name_give_the_same_list_when_the_collection_has_documents(shelf: Shelf) -> None:
    document_id = await shelf.add(kind="shoe")
    by_id = f"/v1/collections/{shelf.collection_id}/documents/list"

    found = await shelf.send("POST", by_id, {})

    assert [one["document_id"] for one in found["results"]] == [document_id]
    assert found == await shelf.send("POST", "/list", {})


async def test_list_is_empty_when_nothing_matches_and_404_when_the_id_is_unknown(shelf: Shelf) -> None:
    await shelf.add(kind="shoe")
    nothing = {"filters": {"field": "kind", "operator": "eq", "value": "hat"}}

    found = await shelf.send("POST", f"/v1/collections/{shelf.collection_id}/documents/list", nothing)

    assert found["results"] == []
    await shelf.send("POST", "/v1/collections/col_0123456789/documents/list", {}, 404)
    await shelf.send("POST", "/v1/collections/col_0123456789/documents/list", nothing, 404)
