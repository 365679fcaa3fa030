"""Rows through the real extractors: documents, failures that spare their neighbours, and the same again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pdfs import locked, raw_pdf, report, slow_in_the_middle
from tests.photos import photos, png

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.face.views import Reading, of_pdf
from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowResult
from prismhouse.engine.extractors.rows import guarded
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE, EFFICIENTNET, MINILM
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.web.found import Crawled, Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def row(row_id: str, **inputs: Part | Sequence[Part]) -> Row:
    return Row(row_id=row_id, inputs=inputs)


def words(text: str) -> Part:
    return Part(type="text", text=text)


def photo(name: str) -> Part:
    return Part(type="image", data=png(name))


def codes(results: Sequence[RowResult]) -> list[str | None]:
    return [result.failure.code if result.failure else None for result in results]


@pytest.mark.parametrize("record", Catalogue().all(), ids=lambda record: record.extractor_id)
def test_documents_hold_what_the_record_promises_when_extracted(record: Any, folder: str) -> None:
    given = {"text": words("A cat. A dog."), "image": photo("chelsea"), "content": words("anything")}
    inputs = {name: part for name, part in given.items() if name in record.input_types}
    if record.gatherer is not None:
        found = Page(url="http://x.test/", title="Cats", content="A cat. A dog.")
        inputs = {"crawl": Part(type="json", value=Crawled(pages=[found]))}

    (result,) = run_rows(record.extractor_id, {}, [row("r", **inputs)], 1, folder)

    outputs = {output.name: output for output in record.vector_outputs}
    assert result.failure is None
    for document in result.documents:
        assert set(document.fields) <= set(record.output_schema["properties"])
        assert all(vector.shape == (outputs[name].dimensions,) for name, vector in document.vectors.items())
        assert all(vector.dtype == np.float32 for vector in document.vectors.values())
        assert all(name in document.fields for name in record.position_fields if name not in ("start_time", "end_time"))


def test_chunks_are_documents_with_vectors_of_their_words_when_text_is_split(folder: str) -> None:
    text = "Cats purr. Dogs bark. Rockets fly."
    parameters = {"split_by": "sentences", "chunk_size": 1}

    (result,) = run_rows("text_extractor_v1", parameters, [row("r", text=words(text))], 1, folder)

    assert [document.fields["text"] for document in result.documents] == ["Cats purr.", "Dogs bark.", "Rockets fly."]
    assert [document.position for document in result.documents] == [(0,), (1,), (2,)]
    assert all(text[d.fields["start_char"] : d.fields["end_char"]] == d.fields["text"] for d in result.documents)
    alone = loaded(MINILM, threads=1, cache_dir=Path(folder)).embed(["Dogs bark."])[0]
    assert result.documents[1].vectors[MINILM] == pytest.approx(alone, abs=1e-5)


def test_chunks_are_what_is_shown_when_a_file_of_html_is_split(folder: str) -> None:
    markup = "<!doctype html><title>x</title>\n<h1>Cats</h1><p>They <b>purr</b> &amp; sleep.<p>Dogs bark."
    parameters = {"split_by": "sentences", "chunk_size": 1}

    (of_file,) = run_rows(
        "text_extractor_v1", parameters, [row("r", text=Part(type="text", data=markup.encode()))], 1, folder
    )
    (of_words,) = run_rows("text_extractor_v1", {}, [row("r", text=words(markup))], 1, folder)

    assert [one.fields["text"] for one in of_file.documents] == ["Cats", "They purr & sleep.", "Dogs bark."]
    assert markup[of_file.documents[1].fields["start_char"] :].startswith("They <b>purr")
    assert markup[: of_file.documents[1].fields["end_char"]].endswith("sleep.")
    assert [one.fields["text"] for one in of_words.documents] == [markup], "what is given as words stays as it is"


def test_results_keep_the_order_of_rows_when_some_are_blank_or_bad(folder: str) -> None:
    rows = [
        row("1", text=words("first")),
        row("2", text=words(" \n\t ")),
        row("3", text=photo("coffee")),
        row("4"),
        row("5", text=Part(type="text", data="wörter".encode("latin-1"))),
        row("6", text=Part(type="text", path=Path("/nonexistent/file"))),
        row("7", text=Part(type="json", value={"a": 1})),
        row("8", text=Part(type="number", value=42)),
    ]

    results = run_rows("text_extractor_v1", {}, rows, 1, folder)

    assert [result.row_id for result in results] == [item.row_id for item in rows]
    assert [result.skipped for result in results] == [None, "The text is blank.", None, "The text is blank."] + [
        None
    ] * 4
    assert codes(results) == [
        None,
        None,
        "media_type_mismatch",
        None,
        "text_encoding",
        "file_unreadable",
        "media_type_mismatch",
        None,
    ]
    assert results[5].failure is not None
    assert results[5].failure.error_type is ErrorType.TRANSIENT


def test_each_text_gives_its_chunks_when_an_object_has_several(folder: str) -> None:
    (result,) = run_rows("text_extractor_v1", {}, [row("r", text=[words("one"), words(""), words("two")])], 1, folder)

    assert [(d.fields["text"], d.fields["input_index"]) for d in result.documents] == [("one", 0), ("two", 2)]


def test_a_row_fails_before_its_documents_travel_when_it_gives_too_many(folder: str) -> None:
    rows = [row("many", text=[words("one"), words("two"), words("three")]), row("few", text=words("one"))]

    many, few = run_rows("text_extractor_v1", {}, rows, 1, folder, most_documents=2)

    assert codes([many, few]) == ["too_many_documents", None]
    assert not many.documents
    assert len(few.documents) == 1


def test_nul_and_surrogates_cannot_reach_the_store_when_text_has_them(folder: str) -> None:
    (result,) = run_rows("text_extractor_v1", {}, [row("r", text=words("a\x00b\ud800"))], 1, folder)

    assert result.documents[0].fields["text"] == "a\ufffdb\ufffd"


def test_bad_images_are_named_and_spare_the_others_when_extracted(folder: str) -> None:
    dot = io.BytesIO()
    Image.new("RGB", (1, 1)).save(dot, "PNG")
    rows = [
        row("chelsea", image=photo("chelsea")),
        row("cut", image=Part(type="image", data=png("coffee")[:9000])),
        row("pdf", image=Part(type="image", data=b"%PDF-1.7 ...")),
        row("words", image=Part(type="image", data=b"hello")),
        row("dot", image=Part(type="image", data=dot.getvalue())),
        row("unfetched", image=Part(type="image", url="https://example.com/a.png")),
        row("address", image=words("https://example.com/a.png")),
        row("none"),
        row("rocket", image=photo("rocket")),
    ]

    results = run_rows("image_extractor_v1", {}, rows, 1, folder)

    assert codes(results) == [
        None,
        "image_corrupt",
        "pdf_corrupt",
        "media_type_mismatch",
        "image_too_small",
        "no_file",
        "no_file",
        None,
        None,
    ]
    assert [len(result.documents) for result in results] == [1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert results[7].skipped == "There is no image."


def test_thumbnail_and_labels_come_along_when_an_image_is_extracted(folder: str) -> None:
    (result,) = run_rows("image_extractor_v1", {}, [row("r", image=photo("china"))], 1, folder)

    (document,) = result.documents
    (thumbnail,) = document.artifacts
    small = Image.open(io.BytesIO(thumbnail.data))
    assert (thumbnail.field, thumbnail.content_type, small.format) == ("thumbnail_url", "image/jpeg", "JPEG")
    assert max(small.size) == 640 == document.fields["width"]
    assert [set(label) for label in document.fields["labels"]] == [{"label", "confidence"}] * 5


def test_no_thumbnail_is_made_when_not_wanted(folder: str) -> None:
    (result,) = run_rows(
        "image_extractor_v1", {"enable_thumbnails": False}, [row("r", image=photo("china"))], 1, folder
    )

    assert result.documents[0].artifacts == ()


def test_each_image_is_a_document_and_a_bad_one_partial_when_an_object_has_several(folder: str) -> None:
    several = [photo("chelsea"), Part(type="image", data=png("coffee")[:9000]), photo("rocket")]

    (result,) = run_rows("image_extractor_v1", {}, [row("r", image=several)], 1, folder)

    assert len(result.documents) == 2
    assert [failure.code for failure in result.partial_failures] == ["image_corrupt"]


def test_pixels_over_the_limit_fail_when_the_limit_is_given(folder: str) -> None:
    (result,) = run_rows("image_extractor_v1", {}, [row("r", image=photo("china"))], 1, folder, 1000)

    assert codes([result]) == ["image_too_large"]


def test_words_find_the_photo_in_one_space_when_multimodal(folder: str) -> None:
    rows = [row(name, image=photo(name)) for name in photos()]
    results = run_rows("multimodal_extractor_v1", {}, [*rows, row("words", text=words("a cat"))], 1, folder)

    vectors = np.stack([result.documents[0].vectors[CONSE] for result in results])

    assert list(photos())[int((vectors[:-1] @ vectors[-1]).argmax())] == "chelsea"
    assert EFFICIENTNET not in results[-1].documents[0].vectors


def test_a_bad_video_spares_the_other_inputs_of_its_row(folder: str) -> None:
    clip = Part(type="video", data=b"\x00\x00\x00\x18ftypmp42")

    result, mixed = run_rows(
        "multimodal_extractor_v1",
        {},
        [row("r", video=clip), row("m", video=clip, image=photo("coffee"), text=words("coffee"))],
        1,
        folder,
    )

    assert codes([result]) == ["media_corrupt"]
    assert [document.fields["modality"] for document in mixed.documents] == ["image", "text"]
    assert [failure.code for failure in mixed.partial_failures] == ["media_corrupt"]


def test_one_file_counts_once_when_mapped_to_two_inputs(folder: str) -> None:
    same = photo("chelsea")

    (result,) = run_rows(
        "multimodal_extractor_v1", {}, [row("r", image=same, gif=same, custom_thumbnail=same)], 1, folder
    )

    assert len(result.documents) == 1


def test_documents_are_the_same_when_rows_are_extracted_again(folder: str) -> None:
    rows = [row(name, image=photo(name)) for name in ("chelsea", "coffee", "rocket")]

    first = run_rows("multimodal_extractor_v1", {}, rows, 1, folder)
    again = run_rows("multimodal_extractor_v1", {}, rows[::-1], 1, folder)[::-1]

    for one, other in zip(first, again, strict=True):
        assert one.documents[0].fields == other.documents[0].fields
        assert one.documents[0].vectors[CONSE] == pytest.approx(other.documents[0].vectors[CONSE], abs=1e-5)


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (ValueError("odd"), "unexpected_error", ErrorType.PERMANENT),
        (MemoryError(), "out_of_memory", ErrorType.RESOURCE),
        (OSError("gone"), "file_unreadable", ErrorType.TRANSIENT),
    ],
)
def test_only_the_row_that_raises_fails_when_a_batch_raises(error: Exception, code: str, kind: ErrorType) -> None:
    def run(rows: Sequence[Row]) -> list[RowResult]:
        if any(item.row_id == "bad" for item in rows):
            raise error
        return [RowResult(row_id=item.row_id) for item in rows]

    good, bad, other = guarded([row("good"), row("bad"), row("other")], run)

    assert (good.failure, other.failure) == (None, None)
    assert bad.failure is not None
    assert (bad.failure.code, bad.failure.error_type) == (code, kind)


def test_each_page_is_a_document_when_an_image_is_a_pdf(folder: str) -> None:
    rows = [
        row("locked", image=Part(type="pdf", data=locked())),
        row("report", image=Part(type="pdf", data=report())),
        row("mixed", image=[photo("coffee"), Part(type="pdf", data=report())]),
    ]

    results = run_rows("image_extractor_v1", {}, rows, 1, folder, media=MediaLimits(pdf_pages=2))

    assert codes(results) == ["pdf_encrypted", None, None]
    assert [document.position for document in results[1].documents] == [(1,), (2,)]
    assert [document.position for document in results[2].documents] == [(1,), (1,), (2,)]
    for result in results[1:]:
        assert result.dropped == {"pages": {"max_document_pages_cap": 1}}
        assert result.units == {"image": len(result.documents)}
    for document in results[1].documents:
        assert document.fields["total_pages"] == 3
        assert (document.fields["format"], document.fields["width"]) == ("PDF", 793)
        assert set(document.vectors) == {CONSE, EFFICIENTNET}
        assert [one.field for one in document.artifacts] == ["thumbnail_url"]


@pytest.mark.parametrize(
    ("extractor_id", "name", "parameters"),
    [
        ("image_extractor_v1", "image", {}),
        ("document_graph_extractor_v1", "pdf", {"use_layout_detection": False}),
        ("course_content_extractor_v1", "pdf", {}),
    ],
)
def test_pages_after_one_that_takes_too_long_are_counted(
    folder: str, extractor_id: str, name: str, parameters: dict[str, Any]
) -> None:
    catalogue = Catalogue()
    resolved = catalogue.validate_parameters(catalogue.by_id(extractor_id), parameters)
    rows = [row("slow", **{name: Part(type="pdf", data=slow_in_the_middle())})]

    (result,) = run_rows(extractor_id, resolved, rows, 1, folder, media=MediaLimits(pdf_seconds=0.5))

    assert [one.code for one in result.partial_failures] == ["pdf_too_slow"]
    assert result.dropped == {"pages": {"page_processing_failure": 2}}


def test_pages_without_a_view_are_counted_after_one_that_takes_too_long() -> None:
    resources = Resources(threads=1, cache_dir=Path(), image_pixels=10**8, media=MediaLimits(pdf_seconds=0.5))
    reading = Reading()

    views = list(of_pdf(Part(type="pdf", data=slow_in_the_middle()), resources, reading))

    assert [view.page for view in views] == [0]
    assert reading.dropped == {"pages": {"page_processing_failure": 2}}


def test_the_other_pages_are_documents_when_one_cannot_be_drawn(folder: str) -> None:
    pages = [b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d 200]>>" % side for side in (200, 9_000_000, 200)]
    tree = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R 4 0 R 5 0 R]/Count 3>>"]
    part = Part(type="pdf", data=raw_pdf([*tree, *pages]))

    (result,) = run_rows("image_extractor_v1", {}, [row("r", image=part)], 1, folder)

    assert [document.fields["page_number"] for document in result.documents] == [1, 3]
    assert [failure.code for failure in result.partial_failures] == ["pdf_page_too_large"]
    assert "Page 2 " in result.partial_failures[0].message
