"""Links in documents as retrievers and lists show them."""

from __future__ import annotations

from typing import Any

from prismhouse.api.documents.links import link_document, linked


def link(reference: Any) -> str:
    return f"http://house/{reference['checksum']}"


def test_a_reference_gets_a_link_or_the_reason_for_none() -> None:
    stored = {"field": "a", "url": "prismhouse://blobs/ab", "checksum": "ab"}
    text = {"field": "t", "checksum": "cd", "unavailable_reason": "Short text."}
    elsewhere = {"field": "e", "url": "https://x.example/a.png"}
    unknown = {"field": "u", "url": "prismhouse://blobs/unknown"}

    assert linked(stored, link) == {**stored, "presigned_url": "http://house/ab"}
    assert linked(text, link) == text
    assert linked(elsewhere, link)["presigned_url"] == "https://x.example/a.png"
    assert linked(stored, None)["unavailable_reason"]
    assert linked(unknown, link)["unavailable_reason"]


def test_links_stand_in_blobs_in_sources_and_at_the_root() -> None:
    document: dict[str, Any] = {
        "thumbnail_url": "prismhouse://blobs/ab",
        "kept": "a field of the user's own",
        "document_blobs": [
            {"field": "thumbnail_url", "role": "thumbnail", "url": "prismhouse://blobs/ab", "checksum": "ab"},
            {"field": "kept", "role": "artifact", "url": "prismhouse://blobs/ef", "checksum": "ef"},
        ],
        "_internal": {"source_blobs": [{"field": "photo", "role": "source", "url": None, "checksum": "cd"}]},
    }

    link_document(document, link)

    assert document["thumbnail_url"] == "http://house/ab"
    assert document["kept"] == "a field of the user's own"
    assert [blob["presigned_url"] for blob in document["document_blobs"]] == ["http://house/ab", "http://house/ef"]
    assert document["_internal"]["source_blobs"][0]["presigned_url"] == "http://house/cd"


def test_a_document_that_a_stage_has_cut_down_stays_as_it_is() -> None:
    document: dict[str, Any] = {"document_id": "doc_1"}

    link_document(document, link)

    assert document == {"document_id": "doc_1"}
