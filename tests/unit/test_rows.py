"""Rows: where an input comes from, what documents inherit, and ids that come again."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from prismhouse.engine.extractors.port import Part
from prismhouse.engine.pipeline.identity import document_ids
from prismhouse.engine.pipeline.rows import Source, SourceBlob, SourceMapping, build_row, projected

SOURCE = Source(
    source_id="obj_1",
    fields={"content": "field text", "views": 7, "nested": {"list": [{"name": "x"}]}, "tags": ["a"], "empty": None},
    metadata={"author": "ann"},
    blobs=[
        SourceBlob(property="content", type="text", text="blob text"),
        SourceBlob(property="photo", type="image", path=Path("/one"), url="http://x/1"),
        SourceBlob(property="photo", type="image", path=Path("/two")),
    ],
)


def part(path: str) -> Any:
    row = build_row(SOURCE, SourceMapping(inputs={"text": [path]})).row
    assert row is not None
    return row.inputs["text"]


@pytest.mark.parametrize("prefix", ["", "$.", "payload.", "$.payload."])
def test_a_blob_comes_before_a_field_of_the_same_name(prefix: str) -> None:
    assert part(f"{prefix}content").text == "blob text"


def test_fields_metadata_and_nested_values_are_reached_by_path() -> None:
    assert part("views") == Part(type="number", value=7)
    assert part("metadata.author").text == "ann"
    assert part("author").text == "ann"
    assert part("nested.list.0.name").text == "x"
    assert part("tags") == Part(type="array", value=["a"])


def test_several_files_of_one_property_are_one_input() -> None:
    assert [item.path for item in part("photo")] == [Path("/one"), Path("/two")]


@pytest.mark.parametrize(
    ("mapping", "code", "named"),
    [
        (SourceMapping(inputs={"text": ["empty"]}), "missing_input", "empty"),
        (
            SourceMapping(inputs={"text": ["content"], "image": ["none"]}, required=frozenset({"image"})),
            "missing_input",
            "none",
        ),
        (
            SourceMapping(inputs={"text": ["content"]}, passthrough=[{"source_path": "lang", "required": True}]),
            "missing_field",
            "lang",
        ),
    ],
)
def test_a_source_that_lacks_something_fails_and_says_what(mapping: SourceMapping, code: str, named: str) -> None:
    mapped = build_row(SOURCE, mapping)

    assert mapped.row is None
    assert mapped.failure is not None
    assert (mapped.failure.code, mapped.failure.error_type) == (code, "permanent")
    assert named in mapped.failure.message


def test_an_optional_input_may_be_missing() -> None:
    mapped = build_row(SOURCE, SourceMapping(inputs={"text": ["content"], "image": ["none"]}))

    assert mapped.row is not None
    assert set(mapped.row.inputs) == {"text"}


def test_documents_inherit_what_passes_through() -> None:
    entries = [
        {"source_path": "content"},
        {"source_path": "metadata.author"},
        {"source_path": "photo", "target_path": "picture"},
        {"source_path": "lang", "default": "en"},
        {"source_path": "empty"},
    ]
    mapping = SourceMapping(inputs={"text": ["content"]}, passthrough=entries)

    assert build_row(SOURCE, mapping).inherited == {
        "content": "field text",
        "author": "ann",
        "picture": "http://x/1",
        "lang": "en",
    }


def test_a_target_path_nests_beside_what_stands_there() -> None:
    entries = [
        {"source_path": "views", "target_path": "stats.views"},
        {"source_path": "author", "target_path": "stats.by.name"},
        {"source_path": "content", "target_path": "nested.content"},
        {"source_path": "author", "target_path": "views.author"},
    ]
    mapping = SourceMapping(inputs={"text": ["content"]}, passthrough=entries, include_all_source_fields=True)
    before = deepcopy(SOURCE.fields)

    inherited = build_row(SOURCE, mapping).inherited

    assert inherited["stats"] == {"views": 7, "by": {"name": "ann"}}
    assert inherited["nested"] == {"list": [{"name": "x"}], "content": "field text"}
    assert inherited["views"] == {"author": "ann"}
    assert before == SOURCE.fields


def test_all_fields_are_inherited_when_asked() -> None:
    mapping = SourceMapping(inputs={"text": ["content"]}, include_all_source_fields=True)

    assert build_row(SOURCE, mapping).inherited == SOURCE.fields


def test_a_field_map_gives_fields_the_names_a_collection_uses() -> None:
    assert projected(SOURCE, [{"source_path": "views", "target_path": "count"}]).fields["count"] == 7
    assert projected(SOURCE, []) is SOURCE


def test_ids_come_again_for_the_same_place_and_never_twice() -> None:
    def ids(**more: str) -> list[str]:
        given = {"collection_id": "col_1", "extractor_id": "text_v1", **more}
        return [*document_ids("obj_1", [(0,), (1,), (1,), ("1",)], **given)]

    assert ids() == ids()
    assert len(set(ids())) == 4
    assert not set(ids()) & set(ids(collection_id="col_2"))
    assert not set(ids()) & set(ids(salt="btch_1"))
