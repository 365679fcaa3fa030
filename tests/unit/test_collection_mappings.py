"""Paths, bindings, schemas and feature URIs of collections, without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.extractors import MULTIMODAL, TEXT

from prismhouse.api.collections.model import (
    AmbiguousFeatureURI,
    UnknownFeatureURI,
    describe_vector_indexes,
    merge_schemas,
    normalize_passthrough,
    output_schema,
    resolve_feature_uri,
    resolve_input_mappings,
)
from prismhouse.kit.errors import Invalid

SCHEMA: dict[str, Any] = {
    "properties": {
        "content": {"type": "text"},
        "title": {"type": "string"},
        "picture": {"type": "image"},
        "views": {"type": "integer"},
        "details": {"type": "object", "properties": {"summary": {"type": "string"}}},
        "extra": {"type": "object"},
    }
}


@pytest.mark.parametrize("path", ["content", "$.content", "payload.content", "$.payload.content"])
def test_a_path_is_found_when_written_in_an_older_form(path: str) -> None:
    assert resolve_input_mappings(TEXT, {"text": path}, schema=SCHEMA) == {"text": "content"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("details.summary", "details.summary"),
        ("extra.anything.deep", "extra.anything.deep"),
        ("metadata.title", "title"),
        ("metadata.undeclared", "metadata.undeclared"),
    ],
)
def test_a_dotted_path_leads_into_objects_and_metadata(path: str, expected: str) -> None:
    assert resolve_input_mappings(TEXT, {"text": path}, schema=SCHEMA) == {"text": expected}


def test_a_field_declared_under_metadata_is_found_by_its_own_name() -> None:
    schema = {"properties": {"metadata": {"type": "object", "properties": {"body": {"type": "string"}}}}}

    assert resolve_input_mappings(TEXT, {"text": "body"}, schema=schema) == {"text": "metadata.body"}


def test_a_list_of_paths_stays_a_list() -> None:
    assert resolve_input_mappings(TEXT, {"text": ["title", "$.content"]}, schema=SCHEMA) == {
        "text": ["title", "content"]
    }


def test_a_list_of_mapping_objects_is_accepted_and_repeats_join() -> None:
    given = [{"input_key": "text", "source_type": "blob", "path": "content"}, {"input_key": "text", "path": "title"}]

    assert resolve_input_mappings(TEXT, given, schema=SCHEMA) == {"text": ["content", "title"]}


@pytest.mark.parametrize(
    ("given", "needle"),
    [
        ({"words": "content"}, "Inputs: text"),
        ({"text": "contents"}, "content (text), title (string)"),
        ({"text": "picture"}, "is of type image"),
        ({"text": "views.count"}, "has no field"),
        ({"text": 3}, "must be a path"),
        ({"text": ["content", None]}, "must be a path"),
        ([{"path": "content"}], "input_key"),
        ([{"input_key": "text", "path": "content", "source_type": "vector"}], "payload and blob"),
        ("content", "must be an object"),
    ],
)
def test_a_mapping_that_leads_nowhere_names_the_choices(given: Any, needle: str) -> None:
    with pytest.raises(Invalid, match=needle.replace("(", r"\(").replace(")", r"\)")):
        resolve_input_mappings(TEXT, given, schema=SCHEMA)


def test_a_required_input_may_not_be_left_out() -> None:
    record = replace(
        MULTIMODAL, input_schema={"properties": {}, "required": ["image", "text"]}, input_types=MULTIMODAL.input_types
    )

    with pytest.raises(Invalid, match="needs the input text"):
        resolve_input_mappings(record, {"image": "picture"}, schema=SCHEMA)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"text": {"type": "string"}, "content": {"type": "text"}}, "text"),
        ({"content": {"type": "text"}, "title": {"type": "string"}}, "content"),
        ({"title": {"type": "string"}, "views": {"type": "integer"}}, "title"),
    ],
)
@pytest.mark.parametrize("given", [None, {}, []])
def test_without_mappings_an_input_is_bound_by_name_then_by_type(
    properties: dict[str, Any], expected: str, given: Any
) -> None:
    assert resolve_input_mappings(TEXT, given, schema={"properties": properties}) == {"text": expected}


@pytest.mark.parametrize(
    ("properties", "needle"),
    [
        ({"a": {"type": "text"}, "b": {"type": "text"}}, "Several fields fit the input 'text': a, b"),
        ({"a": {"type": "image"}}, "No field of the source fits the input 'text'"),
        ({}, "The source has: no fields"),
    ],
)
def test_without_mappings_a_guess_is_refused(properties: dict[str, Any], needle: str) -> None:
    with pytest.raises(Invalid, match=needle):
        resolve_input_mappings(TEXT, None, schema={"properties": properties})


def test_an_extractor_of_alternatives_binds_those_that_fit_and_leaves_the_rest() -> None:
    two_texts = {"properties": {"shot": {"type": "image"}, "a": {"type": "text"}, "b": {"type": "text"}}}

    assert resolve_input_mappings(MULTIMODAL, None, schema=two_texts) == {"image": "shot"}
    assert resolve_input_mappings(MULTIMODAL, None, schema={"properties": {"a": {"type": "text"}}}) == {"text": "a"}


def test_a_passthrough_takes_texts_and_objects() -> None:
    entries = normalize_passthrough(["metadata.author", {"source_path": "$.views", "default": 0, "required": True}])

    assert entries == [
        {"source_path": "metadata.author", "target_path": "author", "default": None, "required": False},
        {"source_path": "views", "target_path": "views", "default": 0, "required": True},
    ]


@pytest.mark.parametrize(
    ("given", "needle"),
    [
        (["a.x", "b.x"], "Two entries write 'x'"),
        ([{"source_path": "a", "target_path": "_internal.x"}], "reserved"),
        ([{"source_path": ""}], "needs a `source_path`"),
    ],
)
def test_a_passthrough_that_would_overwrite_is_refused(given: list[Any], needle: str) -> None:
    with pytest.raises(Invalid, match=needle):
        normalize_passthrough(given)


def test_the_output_is_known_before_any_document() -> None:
    passthrough = normalize_passthrough(
        ["title", {"source_path": "views", "target_path": "stats.views"}, {"source_path": "none", "default": 1.5}]
    )

    made = output_schema(TEXT, passthrough, source=SCHEMA)

    assert made == {
        "properties": {
            "title": {"type": "string"},
            "stats": {"type": "object", "properties": {"views": {"type": "integer"}}},
            "none": {"type": "number"},
            "text": {"type": "string"},
            "chunk_index": {"type": "integer"},
        }
    }


def test_all_source_fields_are_root_fields_but_not_files() -> None:
    made = output_schema(TEXT, [], source=SCHEMA, include_all=True)

    assert {"content", "title", "views", "details", "text"} <= made["properties"].keys()
    assert "picture" not in made["properties"]


def test_sources_join_when_their_types_agree() -> None:
    merged = merge_schemas(
        {"bkt_1": {"properties": {"a": {"type": "text"}}}, "bkt_2": {"properties": {"a": {"type": "text"}, "b": {}}}},
        {},
    )

    assert list(merged["properties"]) == ["a", "b"]


def test_sources_that_disagree_are_refused_unless_a_field_map_projects_them() -> None:
    schemas = {"bkt_1": {"properties": {"a": {"type": "text"}}}, "bkt_2": {"properties": {"a": {"type": "image"}}}}

    with pytest.raises(Invalid, match="'a' is text in bkt_1 and image in bkt_2"):
        merge_schemas(schemas, {})
    with pytest.raises(Invalid, match="not a source"):
        merge_schemas(schemas, {"bkt_3": []})
    with pytest.raises(Invalid, match="no field 'z'"):
        merge_schemas(schemas, {"bkt_2": ["z"]})
    merged = merge_schemas(schemas, {"bkt_2": [{"source_path": "a", "target_path": "picture"}]})
    assert merged["properties"] == {"a": {"type": "text"}, "picture": {"type": "image"}}


TEXT_URI = "mixpeek://text_extractor@v1/all_minilm_l6_v2_v1"
JOINT_URI = "mixpeek://multimodal_extractor@v1/joint"
E5_URI = "mixpeek://multimodal_extractor@v1/e5"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (TEXT_URI, TEXT_URI),
        ("text_extractor@v1/all_minilm_l6_v2_v1", TEXT_URI),
        ("mixpeek://text_extractor@v1", TEXT_URI),
        ("mixpeek://text_extractor/embedding", TEXT_URI),
        ("mixpeek://text_extractor@v1/text_embedding", TEXT_URI),
        ("mixpeek://text_extractor@v1/multilingual_e5_large_instruct_v1", TEXT_URI),
        ("text_extractor_v1_embedding", TEXT_URI),
        ("mixpeek://multimodal_extractor@v1/embedding", JOINT_URI),
        ("mixpeek://multimodal_extractor@v1", JOINT_URI),
        ("mixpeek://multimodal_extractor@v1/multimodal_embedding", JOINT_URI),
        ("mixpeek://multimodal_extractor@v1/transcription_embedding", E5_URI),
        ("mixpeek://multimodal_extractor@v1/multimodal_extractor_v1_transcription_embedding", E5_URI),
        ("mine", E5_URI),
    ],
)
def test_a_feature_uri_is_found_in_all_forms_people_write(uri: str, expected: str) -> None:
    indexes = [*describe_vector_indexes(TEXT), *describe_vector_indexes(MULTIMODAL)]

    assert resolve_feature_uri(indexes, uri, index_map={"mine": E5_URI}) == expected


def test_the_primary_feature_comes_first() -> None:
    assert [index["feature_uri"] for index in describe_vector_indexes(MULTIMODAL)] == [JOINT_URI, E5_URI]


@pytest.mark.parametrize(
    "uri",
    [
        "mixpeek://image_extractor@v1/embedding",
        "mixpeek://text_extractor@v2/embedding",
        "mixpeek://multimodal_extractor@v1/clip",
        "",
    ],
)
def test_an_unknown_feature_names_those_there_are(uri: str) -> None:
    indexes = [*describe_vector_indexes(TEXT), *describe_vector_indexes(MULTIMODAL)]

    with pytest.raises(UnknownFeatureURI, match=E5_URI):
        resolve_feature_uri(indexes, uri)


def test_an_extractor_in_two_versions_is_ambiguous_without_one() -> None:
    indexes = [*describe_vector_indexes(TEXT), *describe_vector_indexes(replace(TEXT, version="v2"))]

    with pytest.raises(AmbiguousFeatureURI, match="text_extractor@v2"):
        resolve_feature_uri(indexes, "mixpeek://text_extractor/embedding")
