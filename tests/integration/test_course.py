"""Lectures, papers and source code through the real extractor: their units, times, lines and vectors."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tree_sitter
from tests.films import BIKES, BUNNY
from tests.lectures import CODE, SLIDES, SUBTITLES, lecture, paper, zipped
from tests.pdfs import locked, report

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM
from prismhouse.engine.media.limits import MediaLimits

_RECORD = Catalogue().get("course_content_extractor")
_CODED = f"code_{MINILM}"
_SHORT = {"target_segment_duration_ms": 30_000, "min_segment_duration_ms": 10_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lecture(tmp_path_factory.mktemp("lecture") / "lecture.mp4")


def extracted(
    folder: str, parameters: dict[str, Any] | None = None, limits: MediaLimits | None = None, **inputs: bytes | Path
) -> RowResult:
    resolved = Catalogue().validate_parameters(_RECORD, parameters or {})
    parts = {
        name: Part(type=name, path=content, blob_id="blob")
        if isinstance(content, Path)
        else Part(type=name, data=content)
        for name, content in inputs.items()
    }
    (result,) = run_rows(_RECORD.extractor_id, resolved, [Row(row_id="r", inputs=parts)], 1, folder, media=limits)
    return result


def of(result: RowResult, unit_type: str) -> list[dict[str, Any]]:
    return [dict(one.fields) for one in result.documents if one.fields["unit_type"] == unit_type]


def best(folder: str, words: str, result: RowResult, name: str) -> dict[str, Any]:
    query = loaded(MINILM, threads=1, cache_dir=Path(folder)).embed([words])[0]
    having = [one for one in result.documents if name in one.vectors]
    return dict(max(having, key=lambda one: float(one.vectors[name] @ query)).fields)


def test_a_lecture_becomes_segments_with_speech_screens_and_code(folder: str, slides: Path) -> None:
    result = extracted(
        folder, {**_SHORT, "run_visual_embedding": True}, video=slides, srt=b"\xef\xbb\xbf" + SUBTITLES.encode()
    )

    assert result.failure is None
    assert not result.partial_failures
    segments = of(result, "segment")
    assert [(one["start_time"], one["end_time"]) for one in segments] == [(0.0, 30.0), (30.0, 45.0)]
    assert segments[0]["text_content"] == "Welcome to a lecture about learning rates. Plants make their own food."
    assert "Gradient descent" in segments[0]["screen_text"]
    assert "Photosynthesis" in segments[0]["screen_text"]
    screens = of(result, "screen")
    assert [one["title"] for one in screens] == [words.split("\n", 1)[0] for words in SLIDES]
    assert [one["element_index"] for one in screens] == [1, 2, 1]
    assert screens[0]["end_time"] == screens[1]["start_time"]
    assert screens[2]["code_language"] == "python"
    assert screens[2]["code_content"].split("\n")[1].startswith("  ")
    assert result.units == {"minute": pytest.approx(0.75), "extraction": 1.0}
    assert best(folder, "how do plants get sugar", result, MINILM)["title"] == "Photosynthesis"
    promised = _RECORD.output_schema["properties"]
    for one in result.documents:
        assert set(one.fields) <= set(promised)
        assert [artifact.field for artifact in one.artifacts] == ["thumbnail"]
        assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-4) for vector in one.vectors.values())
    positions = [one.position for one in result.documents]
    assert len(set(positions)) == len(positions)


def test_segments_end_where_subtitles_begin_when_they_are_split_so(folder: str, slides: Path) -> None:
    chosen = {**_SHORT, "segmentation_method": "srt", "expand_to_granular_docs": False, "extract_screen_text": False}

    result = extracted(folder, chosen, video=slides, srt=SUBTITLES.encode())

    assert [(one["start_time"], one["end_time"]) for one in of(result, "segment")] == [(0.0, 16.0), (16.0, 45.0)]
    assert len(result.documents) == 2
    assert "screen_text" not in result.documents[0].fields


def test_scenes_are_joined_up_to_the_target_and_cover_the_whole_film(folder: str) -> None:
    result = extracted(
        folder,
        {
            "target_segment_duration_ms": 30_000,
            "min_segment_duration_ms": 1_000,
            "use_whisper_asr": False,
            "extract_screen_text": False,
            "generate_thumbnails": False,
        },
        video=BIKES,
    )

    assert [(one["start_time"], one["end_time"]) for one in of(result, "segment")] == [(0.0, 10.0)]
    assert not result.documents[0].artifacts
    assert not result.documents[0].vectors
    assert not result.partial_failures


def test_speech_is_written_down_where_there_are_no_subtitles(folder: str) -> None:
    heard = extracted(folder, {"extract_screen_text": False}, video=BUNNY)
    silent = extracted(folder, {"extract_screen_text": False}, video=BIKES)

    assert heard.documents
    assert not heard.partial_failures
    assert [one.missing_feature for one in silent.partial_failures] == ["transcription"]
    assert silent.documents


def test_subtitles_that_cannot_be_read_are_lost_and_told(folder: str, slides: Path) -> None:
    bare = {**_SHORT, "extract_screen_text": False, "use_whisper_asr": False}

    bad = extracted(folder, bare, video=slides, srt=b"no times")
    late = extracted(folder, bare, video=slides, srt=b"1\n00:00:50,000 --> 00:00:51,000\nAfter the end\n")

    assert [(one.code, one.missing_feature) for one in bad.partial_failures] == [("no_time_stamps", None)]
    assert [one.code for one in late.partial_failures] == ["subtitles_too_late"]
    assert of(late, "segment")[-1]["text_content"] == "After the end"


def test_elements_of_a_paper_tell_code_from_prose(folder: str) -> None:
    result = extracted(folder, pdf=paper())

    assert result.failure is None
    elements = of(result, "element")
    assert [(one["page_number"], one["element_index"], one["element_type"]) for one in elements] == [
        (0, 0, "heading"),
        (0, 1, "paragraph"),
        (0, 2, "code"),
        (1, 0, "heading"),
        (1, 1, "paragraph"),
    ]
    assert elements[2]["code_content"] == CODE.replace("\n\n", "\n")
    assert elements[2]["code_language"] == "python"
    assert [one["title"] for one in elements] == ["Sorting in Python"] * 3 + ["What it costs"] * 2
    assert elements[2]["bbox"]["x1"] < elements[2]["bbox"]["x2"]
    assert result.units == {"page": 2.0, "extraction": 1.0}
    assert best(folder, "the smallest items of a list", result, _CODED)["element_type"] == "code"


def test_a_page_is_one_unit_when_pages_are_asked_for(folder: str) -> None:
    result = extracted(folder, {"pdf_extraction_mode": "per_page"}, pdf=paper())
    unasked = extracted(folder, {"detect_code_in_pdf": False}, pdf=paper())

    first, second = of(result, "page")
    assert (first["page_number"], first["title"]) == (0, "Sorting in Python")
    assert first["code_content"].startswith("def smallest")
    assert "code_content" not in second
    assert not any("code_content" in one.fields for one in unasked.documents)


def test_a_real_report_holds_no_code(folder: str) -> None:
    result = extracted(folder, {"generate_thumbnails": False}, pdf=report())

    assert {one.fields["element_type"] for one in result.documents} >= {"heading", "paragraph", "table"}
    assert not any("code_content" in one.fields for one in result.documents)


def test_functions_of_a_real_package_are_found_by_what_they_do(folder: str) -> None:
    package = Path(json.__file__).parent

    result = extracted(folder, code_archive=zipped(package))

    assert result.failure is None
    functions = of(result, "function")
    assert {"decoder.py: JSONDecoder.raw_decode", "encoder.py: JSONEncoder.iterencode"} <= {
        one["title"] for one in functions
    }
    for one in functions:
        lines = (package / one["file_path"]).read_text().split("\n")
        assert one["code_content"] == "\n".join(lines[one["start_line"] - 1 : one["end_line"]])
        assert one["code_language"] == "python"
    found = best(folder, "decode a JSON document that starts at an index of a string", result, _CODED)
    assert found["title"] == "decoder.py: JSONDecoder.raw_decode"
    found = best(folder, "yield pieces of the encoded object one after the other", result, MINILM)
    assert found["title"] == "encoder.py: JSONEncoder.iterencode"
    for path in {one["file_path"] for one in functions}:
        held = [one.fields for one in result.documents if one.fields["file_path"] == path]
        assert all(one["end_line"] < other["start_line"] for one, other in pairwise(held))


def test_files_of_other_kinds_give_texts_cells_and_blocks_or_are_named(folder: str) -> None:
    book = {
        "metadata": {"language_info": {"name": "python"}},
        "cells": [
            {"cell_type": "markdown", "source": ["# Trees\n", "They grow."]},
            {"cell_type": "code", "source": "x = 1"},
        ],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README.md", "# Setup\n\nInstall it.\n\n```bash\npip install it\n```\n")
        archive.writestr("book.ipynb", json.dumps(book))
        archive.writestr("bad.ipynb", "{}")
        archive.writestr("latin.py", "x = 'é'".encode("latin-1"))
        archive.writestr("schema.sql", "SELECT 1;\n")
        archive.writestr("logo.png", b"\x89PNG")
        archive.writestr("lib.min.js", "var a=1;" * 500)
        archive.writestr("../out.py", "x = 1")

    result = extracted(folder, code_archive=buffer.getvalue())
    some = extracted(folder, {"supported_languages": ["SQL"]}, code_archive=buffer.getvalue())
    whole = extracted(folder, {"segment_functions": False}, code_archive=zipped(Path(json.__file__).parent, "tool.py"))

    assert [(one.fields["file_path"], one.fields["unit_type"]) for one in result.documents] == [
        ("README.md", "text"),
        ("README.md", "block"),
        ("book.ipynb", "text"),
        ("book.ipynb", "block"),
        ("schema.sql", "block"),
    ]
    (failure,) = result.partial_failures
    assert failure.code == "files_left_out"
    assert all(words in failure.message for words in ("3 files", "not UTF-8", "no notebooks", "leads out"))
    assert [one.fields["file_path"] for one in some.documents] == ["README.md", "README.md", "schema.sql"]
    assert [(one.fields["unit_type"], one.fields["start_line"]) for one in whole.documents] == [("file", 1)]


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"video": b"", "pdf": b""}, "several_inputs"),
        ({"srt": b"00:00:01,000 --> 00:00:02,000\nx"}, "no_video"),
        ({"video": b""}, "empty_file"),
        ({"video": BIKES.read_bytes()[:4000]}, "media_corrupt"),
        ({"pdf": b"no pdf"}, "media_type_mismatch"),
        ({"pdf": locked()}, "pdf_encrypted"),
        ({"code_archive": b"%PDF-1.7"}, "media_type_mismatch"),
        ({"code_archive": b"PK\x03\x04" + bytes(50)}, "archive_corrupt"),
    ],
)
def test_a_bad_row_fails_by_name(folder: str, inputs: dict[str, bytes], code: str) -> None:
    result = extracted(folder, **inputs)

    assert result.failure is not None
    assert result.failure.code == code


def test_a_row_that_would_become_too_many_units_fails_before_they_are_embedded(folder: str) -> None:
    archive = zipped(Path(json.__file__).parent)

    result = extracted(folder, limits=MediaLimits(segments=5), code_archive=archive)

    assert result.failure is not None
    assert result.failure.code == "too_many_units"


def test_an_archive_without_source_code_and_an_empty_row_are_skipped(folder: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("logo.png", b"\x89PNG")

    assert extracted(folder, code_archive=buffer.getvalue()).skipped
    assert extracted(folder).skipped


def test_the_grammars_are_of_a_version_that_the_parser_reads() -> None:
    from prismhouse.engine.extractors.course.languages import LANGUAGES, grammar_of, parser_of

    read = [grammar for name in LANGUAGES if (grammar := grammar_of(name)) is not None]

    assert len(read) == 12
    assert all(isinstance(parser_of(grammar), tree_sitter.Parser) for grammar in read)
