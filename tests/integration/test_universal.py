"""Files of every kind through the universal extractor: what they are, what is read in them, which words find them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from tests.films import BIKES, BUNNY, film
from tests.pdfs import PARAGRAPHS, locked, report, scan, text_pages
from tests.photos import png
from tests.speech import clips

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ExtractedDocument, Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE

_RECORD = Catalogue().get("universal_extractor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def extracted(folder: str, content: bytes | Path | str, **parameters: Any) -> RowResult:
    resolved = Catalogue().validate_parameters(_RECORD, parameters)
    if isinstance(content, str):
        part = Part(type="text", text=content)
    elif isinstance(content, Path):
        part = Part(type="binary", path=content)
    else:
        part = Part(type="binary", data=content)
    (result,) = run_rows(_RECORD.extractor_id, resolved, [Row(row_id="r", inputs={"content": part})], 1, folder)
    return result


def best(folder: str, words: str, documents: dict[str, ExtractedDocument]) -> str:
    model = loaded(CONSE, threads=1, cache_dir=Path(folder))
    query = model.embed([words])[0]
    return max(documents, key=lambda name: float(documents[name].vectors[CONSE] @ query))


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_words_find_a_file_of_each_kind_when_all_lie_in_one_space(folder: str) -> None:
    contents: dict[str, bytes | Path | str] = {
        "cat": png("chelsea"),
        "video": BUNNY,
        "speech": next(one.path for one in clips("en") if "fox" in one.transcript),
        "pdf": report(),
        "text": "Mix flour and water, let the dough rest, and bake the bread.",
    }

    made = {name: extracted(folder, content, max_document_pages=1) for name, content in contents.items()}

    assert not {name: result.failure for name, result in made.items() if result.failure}
    documents = {name: result.documents[0] for name, result in made.items()}
    assert {name: one.fields["modality"] for name, one in documents.items()} == {
        "cat": "image",
        "video": "video",
        "speech": "audio",
        "pdf": "document",
        "text": "document",
    }
    for words, name in {
        "a cat": "cat",
        "a rabbit": "video",
        "an animal leaps over a dog": "speech",
        "lexical and vector search": "pdf",
        "how do I bake": "text",
    }.items():
        assert best(folder, words, documents) == name
    promised = _RECORD.output_schema["properties"]
    for one in documents.values():
        assert set(one.fields) <= set(promised)
        assert one.position == (one.fields["segment_index"], one.fields["page_number"])
        assert np.linalg.norm(one.vectors[CONSE]) == pytest.approx(1, abs=1e-4)


def test_segments_beyond_the_cap_are_counted_when_a_video_is_longer(folder: str, tmp_path: Path) -> None:
    long = film(tmp_path / "long.mp4", seconds=95, fps=2, sound=True)

    capped = extracted(folder, long, max_video_segments=2, extract_text=False)
    whole = extracted(folder, long, max_video_segments=4, extract_text=False)

    times = [(one.fields["start_time_s"], one.fields["end_time_s"]) for one in whole.documents]
    assert times == [(0.0, 30.0), (30.0, 60.0), (60.0, 90.0), (90.0, 95.0)]
    assert capped.dropped == {"segments": {"config_cap_max_video_segments": 2}}
    assert [one.fields["end_time_s"] for one in capped.documents] == [30.0, 60.0]
    assert not whole.dropped
    assert not capped.partial_failures
    assert capped.units == {"image": 2.0}


def test_a_sound_is_cut_off_at_the_cap_and_told_to_be_silent_when_nothing_is_said(folder: str, tmp_path: Path) -> None:
    sound = film(tmp_path / "tone.m4a", seconds=65, pictures=False, sound=True)

    result = extracted(folder, sound, max_video_segments=1)

    (document,) = result.documents
    assert document.fields["modality"] == "audio"
    assert (document.fields["start_time_s"], document.fields["end_time_s"]) == (0.0, 30.0)
    assert result.dropped == {"segments": {"config_cap_max_video_segments": 2}}
    assert "text" not in document.fields
    assert [one.missing_feature for one in result.partial_failures] == ["embedding"]


def test_a_film_without_pictures_is_a_sound_whatever_its_container_is(folder: str, tmp_path: Path) -> None:
    result = extracted(folder, film(tmp_path / "sound.mp4", pictures=False, sound=True), extract_text=False)

    assert [one.fields["modality"] for one in result.documents] == ["audio"]


def test_pages_beyond_the_cap_are_counted_and_scans_are_read(folder: str) -> None:
    page = Image.fromarray(data.page()).convert("RGB").resize((1152, 573))

    written = extracted(folder, text_pages(list(PARAGRAPHS) * 2), max_document_pages=3)
    scanned = extracted(folder, scan(page))
    unread = extracted(folder, scan(page), extract_text=False)

    assert [one.position for one in written.documents] == [(0, 1), (0, 2), (0, 3)]
    assert written.dropped == {"pages": {"max_document_pages_cap": 1}}
    assert "warehouse stores raw objects" in written.documents[0].fields["text"]
    assert "segmentation" in scanned.documents[0].fields["text"].lower()
    assert "text" not in unread.documents[0].fields
    assert CONSE in unread.documents[0].vectors


def test_a_long_text_becomes_pages_and_markup_is_left_out(folder: str) -> None:
    long = extracted(folder, " ".join(f"word{number}" for number in range(700)), max_document_pages=2)
    page = extracted(
        folder,
        b"<!DOCTYPE html><html><head><title>t</title><style>p{}</style></head>"
        b"<body><h1>Rockets</h1><p>fly &amp; land</p><script>x<y</script></body></html>",
    )

    assert [one.fields["page_number"] for one in long.documents] == [1, 2]
    assert long.documents[0].fields["segment_total"] == 3
    assert long.dropped == {"pages": {"max_document_pages_cap": 1}}
    assert page.documents[0].fields["text"].split() == ["Rockets", "fly", "&", "land"]


def test_a_page_whose_head_has_no_end_keeps_its_text(folder: str) -> None:
    page = extracted(folder, b"<!DOCTYPE html><html><head><meta charset=utf-8><title>t</title><body><p>Rockets fly")

    assert [one.fields["text"].split() for one in page.documents] == [["Rockets", "fly"]]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"PK\x03\x04" + bytes(60), "unsupported_file"),
        (b"PK\x03\x04" + bytes(26) + b"word/document.xml", "unsupported_file"),
        (bytes(range(256)) * 40, "unsupported_file"),
        (b"\xff\xfe\xfa broken \x80\x81", "unsupported_file"),
        (locked(), "pdf_encrypted"),
        (BIKES.read_bytes()[:4000], "media_corrupt"),
        (encoded(Image.new("RGB", (1, 1))), "image_too_small"),
        (encoded(Image.new("RGB", (64, 64)))[:60], "image_corrupt"),
        ("s3://bucket/never-fetched.mp4", "no_file"),
    ],
)
def test_a_bad_file_fails_by_name(folder: str, content: bytes | str, code: str) -> None:
    result = extracted(folder, content)

    assert result.failure is not None
    assert result.failure.code == code
    assert not result.documents


def test_a_file_over_the_limit_fails_before_it_is_read(folder: str, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(2**20 + 1)

    result = extracted(folder, large, max_file_download_mb=1)

    assert result.failure is not None
    assert result.failure.code == "file_too_large"
    assert "max_file_download_mb" in result.failure.message


def test_a_blank_text_is_skipped(folder: str) -> None:
    assert extracted(folder, " \n\t ").skipped
