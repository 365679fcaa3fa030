"""What a model that writes adds to documents: shapes, descriptions, corrections; and what is done when it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.films import BIKES
from tests.folders import models_of
from tests.lectures import zipped
from tests.openai_server import OpenAIServer, openai_server
from tests.pdfs import scan
from tests.photos import png

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference import loaded as cached
from prismhouse.engine.inference.configured import NO_MODELS
from prismhouse.engine.inference.errors import ModelNotFound, WriterMissing
from prismhouse.engine.inference.registry import use_models
from prismhouse.engine.web.found import Crawled, Page
from prismhouse.kit.errors import Invalid

SHAPE = {"type": "object", "properties": {"words": {"type": "integer"}, "topics": {"type": "array"}}}
_WEB = Catalogue().by_id("web_scraper_v1").default_parameters
TABLES = """
[models.far]
kind = "openai_embeddings"
url = "{url}"
model = "minilm"
dimensions = 384
attempts = 1

[models.writer]
kind = "openai_chat"
url = "{url}"
model = "writer"
attempts = 1

[models.seer]
kind = "openai_chat"
url = "{url}"
model = "seer"
vision = true
attempts = 1

[defaults]
generation = "seer"
"""


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def server(cache_dir: Path, tmp_path: Path) -> Iterator[OpenAIServer]:
    with openai_server(cache_dir) as running:
        use_models(models_of(tmp_path, TABLES.format(url=running.url)))
        try:
            yield running
        finally:
            use_models(NO_MODELS)
            for key in [key for key in cached._models if key[0] in ("far", "writer", "seer")]:
                cached._models.pop(key).close()


@pytest.fixture
def run(cache_dir: Path) -> Callable[..., list[RowResult]]:
    def extract(extractor_id: str, rows: list[Row], **parameters: Any) -> list[RowResult]:
        catalogue = Catalogue()
        valid = catalogue.validate_parameters(catalogue.by_id(extractor_id), parameters)
        catalogue.check(extractor_id, valid)
        return run_rows(extractor_id, valid, rows, 1, str(cache_dir))

    return extract


def texts(*given: str) -> list[Row]:
    return [Row(row_id=str(n), inputs={"text": Part(type="text", text=text)}) for n, text in enumerate(given)]


def images(*names: str) -> list[Row]:
    return [Row(row_id=name, inputs={"image": Part(type="image", data=png(name))}) for name in names]


def scanned() -> bytes:
    page = Image.new("RGB", (1240, 1754), "white")
    font = ImageFont.load_default(size=36)
    ImageDraw.Draw(page).text((100, 200), "The quick brown fox jumps over the lazy dog", "black", font=font)
    return scan(page)


def test_vectors_come_from_a_server_when_the_collection_names_it(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    results = run("text_extractor_v1", texts("a cat", "", "a rocket"), embedding_model="far")

    assert [len(one.documents) for one in results] == [1, 0, 1]
    assert set(results[0].documents[0].vectors) == {"far"}
    assert (
        Catalogue()
        .configured(Catalogue().by_id("text_extractor_v1"), {"embedding_model": "far"})
        .vector_outputs[0]
        .model
        == "far"
    )


def test_only_the_bad_row_fails_when_the_server_refuses_a_text(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    def picky(handler: Any, body: dict[str, Any]) -> bool:
        if any("bad" in text for text in body["input"]):
            handler.say(400, {"error": {"message": "I do not read that"}})
            return True
        return False

    server.behave = picky

    results = run("text_extractor_v1", texts("one", "two", "bad", "four", "five"), embedding_model="far")

    assert [one.failure.code if one.failure else None for one in results] == [
        None,
        None,
        "endpoint_refused",
        None,
        None,
    ]
    failure = results[2].failure
    assert failure is not None
    assert failure.error_type is ErrorType.PERMANENT
    assert "I do not read that" in failure.message


@pytest.mark.parametrize(("status", "kind"), [(503, ErrorType.TRANSIENT), (401, ErrorType.PERMANENT)])
def test_all_rows_fail_after_one_request_when_the_server_is_not_there(
    server: OpenAIServer, run: Callable[..., list[RowResult]], status: int, kind: ErrorType
) -> None:
    server.behave = lambda handler, _: handler.say(status, {}) or True

    results = run("text_extractor_v1", texts(*"abcdefgh"), embedding_model="far")

    assert {one.failure.error_type for one in results if one.failure} == {kind}
    assert all(one.failure for one in results)
    assert len(server.asked) == 1


@pytest.mark.parametrize("shape", [SHAPE, "How many words are there?"])
def test_the_keys_of_a_shape_become_fields(
    server: OpenAIServer, run: Callable[..., list[RowResult]], shape: Any
) -> None:
    results = run("text_extractor_v1", texts("one two three", "four"), response_shape=shape, llm_model="writer")

    fields = [one.documents[0].fields for one in results]
    assert [one["words" if shape == SHAPE else "word_count"] for one in fields] == [3, 1]
    assert [one["text"] for one in fields] == ["one two three", "four"]
    assert {one.body["model"] for one in server.asked} == {"writer"}
    if shape == SHAPE:
        record = Catalogue().configured(Catalogue().by_id("text_extractor_v1"), {"response_shape": shape})
        assert record.output_schema["properties"]["words"] == {"type": "integer"}


def test_no_field_is_lost_when_an_answer_names_one_that_is_there(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    told = '{"text": "mine\\u0000", "document_id": "x", "mood": "good"}'
    server.behave = lambda handler, _: handler.write(told) or True

    (result,) = run("text_extractor_v1", texts("hello"), response_shape="mood")

    fields = result.documents[0].fields
    assert fields["text"] == "hello"
    assert (fields["response_text"], fields["response_document_id"], fields["mood"]) == ("mine\ufffd", "x", "good")
    assert "document_id" not in fields


def test_the_document_is_written_and_the_row_partial_when_a_shape_cannot_be_filled(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    def moody(handler: Any, body: dict[str, Any]) -> bool:
        if "two" in body["messages"][-1]["content"]:
            handler.write("I would rather not.")
            return True
        return False

    server.behave = moody

    first, second = run("text_extractor_v1", texts("one", "two two. two two."), response_shape=SHAPE)

    assert first.documents[0].fields["words"] == 1
    assert not first.partial_failures
    assert "words" not in second.documents[0].fields
    assert [one.missing_feature for one in second.partial_failures] == ["response_shape"]
    assert second.partial_failures[0].code == "endpoint_refused"


def test_pictures_are_described_together_and_found_by_their_description(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    results = run(
        "multimodal_extractor_v1",
        images("rocket", "coffee", "chelsea", "flower"),
        run_video_description=True,
        run_description_embedding=True,
        response_shape={"type": "object", "properties": {"colourful": {"type": "boolean"}}},
        description_prompt="Name the colour.",
    )

    told = [one.documents[0].fields["description"] for one in results]
    assert told[0] == "1 picture of blue, 640x427"
    assert told[1] == "1 picture of red, 600x400"
    assert all(one.documents[0].vectors["description_embedding"].shape == (384,) for one in results)
    assert all(one.documents[0].fields["json_output"] == {"colourful": True} for one in results)
    assert server.asked[0].body["messages"][0]["content"] == "Name the colour."
    assert server.most_at_once > 1


def test_each_scene_is_described_by_its_own_pictures(server: OpenAIServer, run: Callable[..., list[RowResult]]) -> None:
    rows = [Row(row_id="bikes", inputs={"video": Part(type="video", path=BIKES)})]

    (result,) = run(
        "multimodal_extractor_v1",
        rows,
        split_method="scene",
        run_video_description=True,
        generation_config={"max_output_tokens": 50, "temperature": 0.1},
    )

    told = [one.fields["description"] for one in result.documents]
    assert len(told) == 6
    assert all("640x272" in one for one in told)
    assert {int(one.partition(" ")[0]) for one in told} <= {1, 2, 3, 4}
    assert server.asked[0].body["max_tokens"] == 50
    assert all(one.artifacts for one in result.documents)


@pytest.mark.parametrize(("status", "kind"), [(500, ErrorType.TRANSIENT), (400, ErrorType.PERMANENT)])
def test_documents_are_written_and_the_row_partial_when_descriptions_fail(
    server: OpenAIServer, run: Callable[..., list[RowResult]], status: int, kind: ErrorType
) -> None:
    server.behave = lambda handler, _: handler.say(status, {}) or True

    (result,) = run("multimodal_extractor_v2", images("rocket"), run_video_description=True)

    assert "description" not in result.documents[0].fields
    assert [(one.missing_feature, one.error_type) for one in result.partial_failures] == [("description", kind)]


def test_uncertain_text_is_corrected_and_fast_mode_leaves_it(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    pdf = Row(row_id="scan", inputs={"pdf": Part(type="pdf", data=scanned())})

    (corrected,) = run("document_graph_extractor_v1", [pdf], min_confidence_for_vlm=1.0)
    asked = len(server.asked)
    (fast,) = run("document_graph_extractor_v1", [pdf], min_confidence_for_vlm=1.0, fast_mode=True)
    (sure,) = run("document_graph_extractor_v1", [pdf], min_confidence_for_vlm=0.1)

    assert asked >= 1
    assert len(server.asked) == asked
    block = corrected.documents[0].fields
    assert "fox" in block["text_raw"]
    assert block["text_corrected"].startswith("1 picture of ")
    assert all("text_corrected" not in one.fields for one in (*fast.documents, *sure.documents))


def test_defaults_still_run_when_no_model_is_configured(run: Callable[..., list[RowResult]]) -> None:
    pdf = Row(row_id="scan", inputs={"pdf": Part(type="pdf", data=scanned())})

    (result,) = run("document_graph_extractor_v1", [pdf], min_confidence_for_vlm=1.0)

    assert result.documents
    assert not result.partial_failures
    assert "text_corrected" not in result.documents[0].fields


@pytest.mark.parametrize(
    ("extractor_id", "parameters"),
    [
        ("text_extractor_v1", {"embedding_model": "far"}),
        ("text_extractor_v1", {"response_shape": "names", "llm_model": "writer"}),
        ("multimodal_extractor_v1", {"run_video_description": True}),
        ("document_graph_extractor_v1", {"vlm_model": "seer"}),
    ],
)
def test_a_collection_is_refused_when_its_model_is_configured_no_more(
    server: OpenAIServer, extractor_id: str, parameters: dict[str, Any]
) -> None:
    catalogue = Catalogue()
    valid = catalogue.validate_parameters(catalogue.by_id(extractor_id), parameters)
    catalogue.check(extractor_id, valid)

    use_models(NO_MODELS)

    with pytest.raises((ModelNotFound, WriterMissing), match="PRISMHOUSE_INFERENCE__MODELS_FILE"):
        catalogue.check(extractor_id, valid)


@pytest.mark.parametrize(
    ("extractor_id", "parameters", "told"),
    [
        ("multimodal_extractor_v1", {"generation_config": {"temperature": 1}}, "nothing is written"),
        ("multimodal_extractor_v1", {"response_shape": {"name": "string"}}, "`properties`"),
        ("multimodal_extractor_v1", {"response_shape": "  "}, "is blank"),
        ("text_extractor_v1", {"response_shape": {"properties": {"text": {}}}}, "fields named text already"),
        ("text_extractor_v1", {"response_shape": {"properties": {"_id": {}}}}, "fields named _id already"),
        ("text_extractor_v1", {"response_shape": "x" * 20_001}, "longer than"),
        ("text_extractor_v1", {"response_shape": "x", "llm_model": "far"}, "no such model as far"),
        ("text_extractor_v1", {"response_shape": "x", "llm_provider": "anthropic"}, "protocol of openai"),
        ("document_graph_extractor_v1", {"vlm_model": "writer"}, "writer does not look at pictures.*Configured: seer"),
    ],
)
def test_a_parameter_is_refused_by_name_when_models_are_there_and_cannot_serve_it(
    server: OpenAIServer, extractor_id: str, parameters: dict[str, Any], told: str
) -> None:
    catalogue = Catalogue()

    with pytest.raises(Invalid, match=told) as refused:
        catalogue.validate_parameters(catalogue.by_id(extractor_id), parameters)

    (fault,) = refused.value.details["validation_errors"]
    assert fault["location"][-1] in parameters


def test_files_are_described_when_a_model_that_looks_at_pictures_serves(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    files = [
        Part(type="binary", data=png("chelsea")),
        Part(type="binary", path=BIKES),
        Part(type="binary", data=scanned()),
        Part(type="text", text="one two three"),
    ]
    rows = [Row(row_id=str(place), inputs={"content": part}) for place, part in enumerate(files)]

    image, video, paper, text = run("universal_extractor_v1", rows)

    assert image.documents[0].fields["description"].startswith("1 picture of red")
    assert all(one.fields["description"].startswith("4 picture") for one in video.documents)
    assert paper.documents[0].fields["description"].startswith("A text of ")
    assert text.documents[0].fields["description"] == "A text of 3 words."
    assert run("universal_extractor_v1", rows[:1], generate_description=False)[0].documents[0].fields.keys() == (
        image.documents[0].fields.keys() - {"description"}
    )


def test_files_are_written_without_a_description_when_the_model_does_not_answer_or_none_serves(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    rows = [Row(row_id="r", inputs={"content": Part(type="text", text="one two three")})]
    server.behave = lambda handler, _: handler.say(503, {"error": {"message": "busy"}}) or True

    (partial,) = run("universal_extractor_v1", rows)
    use_models(NO_MODELS)
    (alone,) = run("universal_extractor_v1", rows)

    assert [one.missing_feature for one in partial.partial_failures] == ["description"]
    assert partial.documents[0].fields == alone.documents[0].fields
    assert not alone.partial_failures


def test_units_of_a_course_are_summed_up_when_a_model_serves(
    server: OpenAIServer, run: Callable[..., list[RowResult]], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    code = zipped(tmp_path)
    rows = [Row(row_id="r", inputs={"code_archive": Part(type="binary", data=code)})]

    (result,) = run("course_content_extractor_v1", rows, enrich_with_llm=True, llm_prompt="In one word.")

    assert len(result.documents) == 2
    assert all(one.fields["summary"].startswith("A text of ") for one in result.documents)
    assert {one.body["messages"][0]["content"] for one in server.asked} == {"In one word."}
    with pytest.raises(Invalid, match="Set enrich_with_llm"):
        run("course_content_extractor_v1", rows, llm_prompt="In one word.")
    use_models(NO_MODELS)
    with pytest.raises(Invalid, match="language model"):
        run("course_content_extractor_v1", rows, enrich_with_llm=True)


def test_pages_have_the_shape_that_was_asked_for_when_a_model_serves(
    server: OpenAIServer, run: Callable[..., list[RowResult]]
) -> None:
    pages = [Page(url=f"http://a.test/{name}", title=name, content=text) for name, text in (("a", "b c"), ("d", ""))]
    rows = [Row(row_id="r", inputs={"url": Part(type="text", text="http://a.test/", value=Crawled(pages=pages))})]
    # The crawl stands where the worker puts it.
    rows = [replace(row, inputs={**row.inputs, "crawl": row.inputs["url"]}) for row in rows]

    (result,) = run("web_scraper_v1", rows, response_shape=SHAPE, llm_model="writer")

    assert [(one.fields["title"], one.fields.get("words")) for one in result.documents] == [("a", 2), ("d", None)]
    record = Catalogue().configured(Catalogue().by_id("web_scraper_v1"), {**_WEB, "response_shape": SHAPE})
    assert {"words", "topics", "content"} <= record.output_schema["properties"].keys()
    for wrong, told in (
        ({"response_shape": {"type": "object", "properties": {"title": {}}}}, "fields named title already"),
        ({"llm_api_key": "sk-1"}, "never part of a collection"),
        ({"llm_model": "gpt-5"}, "no such model as gpt-5"),
    ):
        with pytest.raises(Invalid, match=told):
            run("web_scraper_v1", rows, **wrong)
