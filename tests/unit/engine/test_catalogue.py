"""What the catalogue says, and which parameters it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from prismhouse import engine
from prismhouse.engine.extractors.catalogue import Catalogue, ExtractorNotFound
from prismhouse.engine.extractors.usage import extractors_of
from prismhouse.engine.inference.registry import PAGE_LAYOUT, PP_OCR, WHISPER_BASE
from prismhouse.kit.errors import Invalid

CATALOGUE = Catalogue()
IDS = [record.extractor_id for record in CATALOGUE.all()]


def checked(extractor_id: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return CATALOGUE.validate_parameters(CATALOGUE.by_id(extractor_id), parameters)


def test_close_names_are_offered_when_extractor_is_unknown() -> None:
    with pytest.raises(ExtractorNotFound, match="Did you mean text_extractor_v1") as caught:
        CATALOGUE.get("text_extractr", "v1")

    assert caught.value.wire_code == "feature_extractor_not_found"


def test_other_versions_are_unknown_when_they_do_not_exist() -> None:
    with pytest.raises(ExtractorNotFound, match="multimodal_extractor_v1"):
        CATALOGUE.get("multimodal_extractor", "v3")


@pytest.mark.parametrize("extractor_id", IDS)
def test_defaults_are_filled_in_when_no_parameters_are_given(extractor_id: str) -> None:
    record = CATALOGUE.by_id(extractor_id)

    assert CATALOGUE.validate_parameters(record, {}) == dict(record.default_parameters)


@pytest.mark.parametrize("extractor_id", IDS)
def test_resolved_parameters_are_accepted_when_given_again(extractor_id: str) -> None:
    resolved = checked(extractor_id, {})

    assert checked(extractor_id, resolved) == resolved


@pytest.mark.parametrize("extractor_id", IDS)
def test_accepted_keys_are_named_when_a_key_is_unknown(extractor_id: str) -> None:
    with pytest.raises(Invalid, match="Accepted: extractor_type") as caught:
        checked(extractor_id, {"nonsense": 1})

    (fault,) = caught.value.details["validation_errors"]
    assert fault["location"] == ["body", "feature_extractor", "parameters", "nonsense"]
    assert fault["type"] == "extra_forbidden"


@pytest.mark.parametrize("extractor_id", IDS)
def test_the_discriminator_must_be_the_name_when_it_is_sent(extractor_id: str) -> None:
    name = extractor_id.rpartition("_")[0]

    assert checked(extractor_id, {"extractor_type": name})["extractor_type"] == name
    with pytest.raises(Invalid, match="extractor_type"):
        checked(extractor_id, {"extractor_type": "another"})


@pytest.mark.parametrize(
    ("extractor_id", "parameters", "message"),
    [
        ("text_extractor_v1", {"chunk_size": 10, "chunk_overlap": 10}, "must be less than chunk_size"),
        ("text_extractor_v1", {"split_by": "time_segments", "chunk_overlap": 120}, "segment_length_seconds"),
        ("text_extractor_v1", {"chunk_size": 0}, "greater than or equal to 1"),
        ("text_extractor_v1", {"chunk_size": 10_001}, "less than or equal to 10000"),
        ("text_extractor_v1", {"split_by": "letters"}, "markdown"),
        ("text_extractor_v1", {"source_type": "youtube"}, "YouTube"),
        ("text_extractor_v1", {"response_shape": "names"}, "language model"),
        ("text_extractor_v1", {"llm_provider": "openai"}, "language model.*PRISMHOUSE_INFERENCE__MODELS_FILE"),
        ("text_extractor_v1", {"llm_model": "gpt-5"}, "no such model as gpt-5.*openai_chat"),
        ("text_extractor_v1", {"llm_api_key": "sk-1"}, "PRISMHOUSE_INFERENCE__MODELS_FILE"),
        ("document_graph_extractor_v1", {"vlm_model": "gpt-5"}, "vision = true.*PRISMHOUSE_INFERENCE__MODELS_FILE"),
        ("multimodal_extractor_v1", {"response_shape": "names"}, "describes pictures"),
        ("multimodal_extractor_v1", {"run_description_embedding": True}, "Set run_video_description to true"),
        ("text_extractor_v1", {"model": "text-embedding-3-small"}, "Available: all_minilm_l6_v2_v1"),
        ("text_extractor_v1", {"embedding_model": "conse_minilm_l6_v2_v1"}, "prismhouse.models"),
        ("image_extractor_v1", {"use_cdn": True}, "use_cdn"),
        ("multimodal_extractor_v1", {"run_transcription_embedding": True}, "Set run_transcription to true"),
        ("multimodal_extractor_v1", {"transcription_language": "english"}, "transcription_language|pattern"),
        ("multimodal_extractor_v1", {"transcription_language": "xx"}, "Whisper does not know xx"),
        ("multimodal_extractor_v2", {"split_method": "pages"}, "scene"),
        ("multimodal_extractor_v2", {"sensitivity": "huge"}, "medium"),
        ("multimodal_extractor_v2", {"scene_detection_threshold": 27}, "less than or equal to 1"),
        ("multimodal_extractor_v1", {"run_ocr_embedding": True}, "Set run_ocr to true"),
        ("multimodal_extractor_v1", {"run_video_description": True}, "describes pictures.*vision = true"),
        ("multimodal_extractor_v1", {"run_multimodal_embedding": False}, "could not be found"),
        ("passthrough_extractor_v1", {"row_format": "parquet"}, "Parquet"),
        ("text_extractor_v1", {"language": "de"}, "language: captions|captions are those of YouTube"),
        ("text_extractor_v1", {"extract_captions": False}, "captions are those of YouTube"),
        ("text_extractor_v1", {"embedding_task": "clustering"}, "Leave it out or set it to retrieval_document"),
        ("multimodal_extractor_v1", {"embedding_task": "clustering"}, "retrieval_document"),
        ("multimodal_extractor_v1", {"task_type": "CLASSIFICATION"}, "retrieval_document"),
        ("multimodal_extractor_v2", {"output_dimensionality": 768}, "conse_minilm_l6_v2_v1 makes.*384 dimensions"),
        ("face_identity_extractor_v1", {"detection_model": "scrfd_10g"}, "YuNet"),
        ("course_content_extractor_v1", {"visual_embedding_use_case": "slides"}, "in one way"),
        ("universal_extractor_v1", {"output_dimensionality": 768}, "384 dimensions"),
        ("universal_extractor_v1", {"task_type": "SEMANTIC_SIMILARITY"}, "retrieval_document"),
        ("universal_extractor_v1", {"max_concurrency": 8}, "compute processes"),
        ("course_content_extractor_v1", {"enrich_with_llm": True}, "language model"),
        ("course_content_extractor_v1", {"use_cdn": True}, "use_cdn"),
        ("course_content_extractor_v1", {"supported_languages": ["klingon"]}, "'klingon' is not read. Known: bash"),
        ("course_content_extractor_v1", {"target_segment_duration_ms": 29_999}, "greater than or equal to 30000"),
        ("course_content_extractor_v1", {"min_segment_duration_ms": 120_001}, "at most target_segment_duration_ms"),
        ("universal_extractor_v1", {"max_video_segments": 51}, "less than or equal to 50"),
        ("passthrough_extractor_v1", {"vector_fields": [{"field": "v", "name": "n", "dimensions": 0}]}, "dimensions"),
        ("passthrough_extractor_v1", {"vector_fields": [{"field": "v", "name": "n", "dimensions": 3}] * 2}, "once"),
    ],
)
def test_the_message_says_what_to_do_when_a_parameter_cannot_be_served(
    extractor_id: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        checked(extractor_id, parameters)


@pytest.mark.parametrize(
    ("extractor_id", "parameters"),
    [
        ("text_extractor_v1", {"embedding_task": "retrieval_document"}),
        ("multimodal_extractor_v2", {"output_dimensionality": 384, "task_type": "RETRIEVAL_DOCUMENT"}),
        ("universal_extractor_v1", {"output_dimensionality": 384, "task_type": "retrieval_document"}),
    ],
)
def test_what_is_done_anyway_may_be_said(extractor_id: str, parameters: dict[str, Any]) -> None:
    assert checked(extractor_id, parameters).items() >= parameters.items()


@pytest.mark.parametrize("extractor_id", IDS)
def test_every_parameter_has_an_effect_or_is_refused(extractor_id: str) -> None:
    """One that no line of the engine reads must be among those that stay at their defaults."""
    kind = CATALOGUE.definition(extractor_id).parameters
    source = "".join(path.read_text() for path in Path(engine.__path__[0]).rglob("*.py"))

    read = {name for name in kind.model_fields if re.search(rf"self\.{name}\b|\"{name}\"|}}_{name[4:]}\"", source)}

    assert set(kind.model_fields) - read - set(kind.unserved) <= {"extractor_type", "generate_code_embeddings"}


@pytest.mark.parametrize("name", ["colbert_extractor", "colqwen_extractor"])
def test_what_is_there_is_named_when_an_extractor_of_many_vectors_is_asked_for(name: str) -> None:
    with pytest.raises(ExtractorNotFound) as caught:
        CATALOGUE.get(name, "v1")

    assert f"no feature extractor {name}_v1" in caught.value.message
    assert all(extractor_id in caught.value.message for extractor_id in IDS)


def test_a_key_of_a_language_model_is_never_repeated_when_it_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        checked("text_extractor_v1", {"llm_api_key": "sk-secret"})

    assert "sk-secret" not in str(caught.value) + str(caught.value.details)


def test_older_names_are_understood_when_parameters_use_them() -> None:
    resolved = checked("text_extractor_v1", {"model": "all_minilm_l6_v2_v1", "normalize": True})

    assert resolved["embedding_model"] == "all_minilm_l6_v2_v1"
    assert "model" not in resolved


def test_feature_uris_name_the_models_that_really_run() -> None:
    uris = {
        record.extractor_id: [record.feature_uri(output) for output in record.vector_outputs]
        for record in CATALOGUE.all()
    }

    assert uris == {
        "text_extractor_v1": ["mixpeek://text_extractor@v1/all_minilm_l6_v2_v1"],
        "image_extractor_v1": [
            "mixpeek://image_extractor@v1/conse_minilm_l6_v2_v1",
            "mixpeek://image_extractor@v1/efficientnet_lite2_imagenet_v1",
        ],
        **{
            f"multimodal_extractor_{version}": [
                f"mixpeek://multimodal_extractor@{version}/conse_minilm_l6_v2_v1",
                f"mixpeek://multimodal_extractor@{version}/efficientnet_lite2_imagenet_v1",
            ]
            for version in ("v1", "v2")
        },
        "audio_fingerprint_extractor_v1": ["mixpeek://audio_fingerprint_extractor@v1/yamnet_audioset_v1"],
        "document_graph_extractor_v1": ["mixpeek://document_graph_extractor@v1/all_minilm_l6_v2_v1"],
        "face_identity_extractor_v1": ["mixpeek://face_identity_extractor@v1/face_identity_sface_v1"],
        "passthrough_extractor_v1": [],
        "course_content_extractor_v1": [
            "mixpeek://course_content_extractor@v1/all_minilm_l6_v2_v1",
            "mixpeek://course_content_extractor@v1/code_all_minilm_l6_v2_v1",
        ],
        "scrolling_text_extractor_v1": [],
        "universal_extractor_v1": ["mixpeek://universal_extractor@v1/conse_minilm_l6_v2_v1"],
        "web_scraper_v1": [
            f"mixpeek://web_scraper@v1/{model}"
            for model in ("all_minilm_l6_v2_v1", "conse_minilm_l6_v2_v1", "efficientnet_lite2_imagenet_v1")
        ],
    }


def test_vectors_follow_the_parameters_when_the_extractor_takes_them_from_there() -> None:
    record = CATALOGUE.get("passthrough_extractor", "v1")
    fields = [{"field": "e", "name": "mine", "dimensions": 3}, {"field": "f", "name": "other", "dimensions": 2}]

    configured = CATALOGUE.configured(record, CATALOGUE.validate_parameters(record, {"vector_fields": fields}))

    told = [(output.storage_name, output.dimensions, output.primary) for output in configured.vector_outputs]
    assert told == [("passthrough_extractor_v1_mine", 3, True), ("passthrough_extractor_v1_other", 2, False)]


@pytest.mark.parametrize("extractor_id", IDS)
def test_the_official_client_reads_the_entry_when_it_is_described(extractor_id: str) -> None:
    from mixpeek.models.feature_extractor_response_model import FeatureExtractorResponseModel

    entry = CATALOGUE.describe(CATALOGUE.by_id(extractor_id))

    read = FeatureExtractorResponseModel.from_dict(entry)
    assert read is not None
    assert read.feature_extractor_id == extractor_id


@pytest.mark.parametrize("extractor_id", IDS)
def test_position_fields_are_documented_or_times_when_described(extractor_id: str) -> None:
    entry = CATALOGUE.describe(CATALOGUE.by_id(extractor_id))

    known = {*entry["output_schema"]["properties"], "start_time", "end_time"}
    assert set(entry["position_fields"]) <= known
    assert entry["parameter_schema"]["additionalProperties"] is False


@pytest.mark.parametrize("model", [PP_OCR, PAGE_LAYOUT, WHISPER_BASE])
def test_course_content_is_among_those_who_use_a_model_that_it_reads_with(model: str) -> None:
    assert "course_content_extractor_v1" in extractors_of(model)
