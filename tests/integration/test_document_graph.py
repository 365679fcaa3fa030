"""Blocks of real pages through the real extractor: reading order, kinds, tables, scans, thumbnails and vectors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.pdfs import PARAGRAPHS, locked, report, scan, text_pages, two_columns
from tests.photos import photos

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM, PP_OCR
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.pdf import opened_pdf
from prismhouse.kit.errors import Invalid

_RECORD = Catalogue().get("document_graph_extractor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def extracted(folder: str, content: bytes, limits: MediaLimits | None = None, **parameters: Any) -> RowResult:
    resolved = Catalogue().validate_parameters(_RECORD, parameters)
    part = Part(type="pdf", data=content, filename="report.pdf")
    rows = [Row(row_id="r", inputs={"pdf": part})]
    (result,) = run_rows(_RECORD.extractor_id, resolved, rows, 1, folder, media=limits)
    return result


def told(result: RowResult) -> list[tuple[Any, ...]]:
    names = ("page_number", "block_index", "object_type", "text_raw")
    return [tuple(document.fields[name] for name in names) for document in result.documents]


def drawn(content: bytes, folder: Path, number: int = 1) -> Image.Image:
    path = folder / "drawn.pdf"
    path.write_bytes(content)
    with opened_pdf(path, MediaLimits()) as pdf, pdf.page(number) as page:
        return page.render(150)


@pytest.mark.parametrize("layout", [True, False])
def test_columns_are_read_one_after_the_other_when_a_page_has_two(folder: str, layout: bool) -> None:
    left, right = " ".join(PARAGRAPHS), " ".join(reversed(PARAGRAPHS))

    result = extracted(folder, two_columns(left, right), use_layout_detection=layout)

    assert [one.fields["text_raw"] for one in result.documents] == [
        "A heading that stands across both columns of the page",
        left,
        right,
    ]


def test_blocks_come_in_reading_order_with_their_kinds_when_a_report_is_taken_apart(folder: str) -> None:
    result = extracted(folder, report(photos()["coffee"]), min_text_length=5)

    assert result.failure is None
    assert not result.partial_failures
    assert result.units == {"page": 3, "extraction": 1}
    assert told(result) == [
        (1, 0, "header", "Prismhouse yearly figures"),
        (1, 1, "header", "Annual Warehouse Report"),
        (1, 2, "header", "1. Introduction"),
        (1, 3, "paragraph", PARAGRAPHS[0]),
        (1, 4, "paragraph", PARAGRAPHS[1]),
        (1, 5, "header", "2. Results"),
        (1, 6, "paragraph", PARAGRAPHS[0]),
        (1, 7, "paragraph", PARAGRAPHS[1]),
        (1, 8, "footer", "Page 1"),
        (2, 0, "header", "Prismhouse yearly figures"),
        (2, 1, "table", "Modality | Objects | Size GB\ntext | 12000 | 3.1\nimage | 5400 | 22.8"),
        (2, 2, "figure", ""),
        (2, 3, "paragraph", "Figure 1: what was found in the photograph."),
        (2, 4, "footer", "Page 2"),
        (3, 0, "header", "Prismhouse yearly figures"),
        (3, 1, "paragraph", PARAGRAPHS[1]),
        (3, 2, "footer", "Page 3"),
    ]
    for document in result.documents:
        fields = document.fields
        assert set(fields) <= set(_RECORD.output_schema["properties"])
        assert document.position == (fields["page_number"], fields["block_index"])
        assert (fields["total_pages"], fields["source_file"]) == (3, "report.pdf")
        box = fields["bbox"]
        assert 0 <= box["x1"] < box["x2"] <= fields["page_width"] == pytest.approx(595.28)
        assert 0 <= box["y1"] < box["y2"] <= fields["page_height"] == pytest.approx(841.89)
        assert [one.field for one in document.artifacts] == ["thumbnail_url", "segment_thumbnail_url"]
        assert set(document.vectors) == ({MINILM} if fields["text_raw"] else set())
    assert Image.open(io.BytesIO(result.documents[0].artifacts[0].data)).size == (595, 842)


def test_words_of_a_scan_are_read_when_it_has_no_text_layer(folder: str, tmp_path: Path) -> None:
    page = drawn(text_pages([PARAGRAPHS[0]]), tmp_path).crop((0, 0, 1240, 360))

    result = extracted(folder, scan(page), thumbnail_mode="segment", use_layout_detection=False)

    ((_, _, kind, text),) = told(result)
    assert (kind, text) == ("paragraph", PARAGRAPHS[0])
    (document,) = result.documents
    assert 0.9 < document.fields["overall_confidence"] <= 1
    assert document.fields["confidence_tag"] == "A"
    assert [one.field for one in document.artifacts] == ["segment_thumbnail_url"]


def test_photographed_page_is_read_without_a_wrong_letter_in_its_printed_lines(folder: str) -> None:
    from skimage import data

    model = loaded(PP_OCR, threads=1, cache_dir=Path(folder))
    lines = [line.text for line in model.read(Image.fromarray(data.page()).convert("RGB"))]

    assert lines[:6] == [
        "Region-based segmentation",
        "Let us first determine markers of the coins and the",
        "background. These markers are pixels that we can label",
        "unambiguously as either object or background. Here,",
        "the markers are found at the two extreme parts of the",
        "histogram of grey values:",
    ]


def test_short_blocks_thumbnails_and_vectors_are_left_out_when_so_set(folder: str) -> None:
    settings = {"use_layout_detection": False, "generate_thumbnails": False, "run_text_embedding": False}

    result = extracted(folder, report(), min_text_length=100, **settings)

    assert {text for *_, text in told(result)} == set(PARAGRAPHS)
    assert all(not document.artifacts and not document.vectors for document in result.documents)
    assert not Catalogue().configured(_RECORD, settings).vector_outputs


def test_paragraphs_are_one_block_when_the_gap_between_them_is_within_the_threshold(folder: str) -> None:
    settings = {"use_layout_detection": False, "generate_thumbnails": False}
    content = text_pages(["one line of words here\nand another line below it"])

    near = extracted(folder, content, vertical_threshold=15, **settings)
    far = extracted(folder, content, vertical_threshold=1, **settings)

    assert [len(near.documents), len(far.documents)] == [1, 2]


def test_pages_over_the_limit_are_told_and_bad_files_fail_by_name(folder: str) -> None:
    settings = {"use_layout_detection": False, "generate_thumbnails": False}

    short = extracted(folder, report(), MediaLimits(pdf_pages=1), **settings)
    bad = extracted(folder, locked(), **settings)

    assert {document.fields["page_number"] for document in short.documents} == {1}
    assert short.dropped == {"pages": {"max_document_pages_cap": 2}}
    assert bad.failure is not None
    assert bad.failure.code == "pdf_encrypted"


@pytest.mark.parametrize(
    ("name", "value"),
    [("vlm_model", "gpt-5"), ("vlm_provider", "anthropic"), ("llm_api_key", "k"), ("layout_detector", "docling")],
)
def test_what_no_model_here_can_do_is_refused_by_name_before_a_batch(name: str, value: str) -> None:
    with pytest.raises(Invalid, match=name):
        Catalogue().validate_parameters(_RECORD, {name: value})


def test_parameters_that_clients_send_by_default_are_taken() -> None:
    assert Catalogue().validate_parameters(_RECORD, {"use_vlm_correction": True, "vlm_model": "gemini-2.5-flash"})


def test_blocks_over_the_limit_are_left_out_and_told(folder: str) -> None:
    settings = {"min_text_length": 5, "use_layout_detection": False, "generate_thumbnails": False}
    whole = extracted(folder, report(), **settings)
    of_two = sum(one.fields["page_number"] < 3 for one in whole.documents)

    cut = extracted(folder, report(), MediaLimits(pdf_blocks=3), **settings)
    exact = extracted(folder, report(), MediaLimits(pdf_blocks=len(whole.documents)), **settings)
    full = extracted(folder, report(), MediaLimits(pdf_blocks=of_two), **settings)

    assert told(cut) == told(whole)[:3]
    (failure,) = cut.partial_failures
    assert (failure.code, failure.missing_feature) == ("too_many_blocks", None)
    assert "PRISMHOUSE_MEDIA__PDF_BLOCKS" in failure.message
    assert cut.dropped == {"pages": {"max_document_blocks_cap": 2}}
    assert (told(exact), list(exact.partial_failures), exact.dropped) == (told(whole), [], {})
    assert (told(full), full.partial_failures[0].code) == (told(whole)[:of_two], "too_many_blocks")
