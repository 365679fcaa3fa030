"""Writing in images, animations and videos through the real multimodal extractor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.films import BIKES
from tests.written import error_rate, filmed, jpeg, slide

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.errors import ModelMissing
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM, PP_OCR
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.kit.errors import Invalid

READ = {"run_ocr": True, "run_ocr_embedding": True}
SLIDES = (
    ("Quarterly results", "Revenue grew by 14 percent"),
    ("Quarterly results", "The warehouse opened in Lisbon"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [slide(*lines) for lines in SLIDES]
    path = tmp_path_factory.mktemp("films") / "talk.mp4"
    return filmed(path, lambda number: pictures[number // 40], count=80, fps=10)


def extracted(
    folder: str,
    parameters: dict[str, Any],
    version: str = "v1",
    limits: MediaLimits | None = None,
    **inputs: Part,
) -> RowResult:
    record = Catalogue().get("multimodal_extractor", version)
    resolved = Catalogue().validate_parameters(record, parameters)
    rows = [Row(row_id="r", inputs=inputs)]
    (result,) = run_rows(record.extractor_id, resolved, rows, 1, folder, media=limits)
    return result


def video(path: Path) -> Part:
    return Part(type="video", path=path)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_image_says_what_is_written_in_it_and_is_found_by_it(folder: str, version: str) -> None:
    said = ["Fresh bread every morning", "Open from 7 to 12"]

    (document,) = extracted(folder, READ, version, image=Part(type="image", data=jpeg(slide(*said)))).documents

    assert document.fields["ocr_text"] == "\n".join(said)
    query = loaded(MINILM, threads=1, cache_dir=Path(folder)).embed(["a bakery", "football scores"])
    near, far = query @ document.vectors["ocr_embedding"]
    assert near > far + 0.2
    record = Catalogue().get("multimodal_extractor", version)
    outputs = Catalogue().configured(record, Catalogue().validate_parameters(record, READ)).vector_outputs
    assert outputs[-1].storage_name == f"multimodal_extractor_{version}_ocr_embedding"
    assert set(document.vectors) == {one.name for one in outputs}
    assert set(document.fields) <= set(record.output_schema["properties"])


def test_a_photographed_page_is_read(folder: str) -> None:
    from PIL import Image
    from skimage import data

    page = Image.fromarray(data.page()).convert("RGB").resize((768, 382))

    (document,) = extracted(folder, {"run_ocr": True}, image=Part(type="image", data=jpeg(page, 95))).documents

    said = "Let us first determine markers of the coins and the background."
    read = document.fields["ocr_text"].replace("\n", " ")
    start = read.index("Let us first")
    assert error_rate(read[start : start + len(said)], said) < 0.05


def test_an_image_without_writing_says_so_and_has_no_vector_of_it(folder: str) -> None:
    from PIL import Image

    plain = jpeg(Image.new("RGB", (300, 200), "teal"))

    (document,) = extracted(folder, READ, image=Part(type="image", data=plain)).documents

    assert document.fields["ocr_text"] == ""
    assert "ocr_embedding" not in document.vectors


def test_each_segment_of_a_video_says_what_is_written_in_it(folder: str, talk: Path) -> None:
    result = extracted(folder, READ | {"time_split_interval": 4}, video=video(talk))

    assert not result.partial_failures
    assert [one.fields["ocr_text"].split("\n") for one in result.documents] == [list(lines) for lines in SLIDES]
    query = loaded(MINILM, threads=1, cache_dir=Path(folder)).embed(["a city in Portugal"])[0]
    scores = [float(one.vectors["ocr_embedding"] @ query) for one in result.documents]
    assert int(np.argmax(scores)) == 1


def test_lines_of_a_segment_stand_once_when_its_pictures_share_them(folder: str, talk: Path) -> None:
    (document,) = extracted(folder, {"run_ocr": True, "time_split_interval": None}, video=video(talk)).documents

    assert document.fields["ocr_text"].split("\n") == [SLIDES[0][0], SLIDES[1][1], SLIDES[0][1]]


def test_an_animation_is_read(folder: str, tmp_path: Path) -> None:
    pictures = [slide(*lines) for lines in SLIDES]
    pictures[0].save(tmp_path / "talk.gif", save_all=True, append_images=pictures[1:], duration=2000)

    result = extracted(
        folder, {"run_ocr": True, "time_split_interval": 2}, gif=Part(type="image", path=tmp_path / "talk.gif")
    )

    assert [one.fields["ocr_text"].split("\n") for one in result.documents] == [list(lines) for lines in SLIDES]


def test_few_pictures_are_read_and_each_is_decoded_once(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prismhouse.engine.extractors.multimodal import ocr
    from prismhouse.engine.media.film import Film

    read, decoded = [], []
    real, frames = ocr.read_lines, Film._decoded
    monkeypatch.setattr(ocr, "read_lines", lambda image, resources: read.append(image.size) or real(image, resources))

    def counted(self: Film) -> Any:
        for frame in frames(self):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(Film, "_decoded", counted)
    limits = MediaLimits(ocr_segment_frames=2)

    result = extracted(folder, {"run_ocr": True, "time_split_interval": 5}, limits=limits, video=video(BIKES))

    assert [len(one.fields["ocr_text"]) < 10 for one in result.documents] == [True, True]
    assert len(read) <= 4
    assert len(decoded) == len(set(decoded)) == 250


def test_documents_are_written_and_told_to_lack_writing_when_reading_fails(
    folder: str, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prismhouse.engine.inference.ocr import PpOcr

    def broken(self: PpOcr, image: Any) -> Any:
        raise RuntimeError("the graph is broken")

    monkeypatch.setattr(PpOcr, "read", broken)

    for inputs in ({"video": video(talk)}, {"image": Part(type="image", data=jpeg(slide("words")))}):
        result = extracted(folder, READ, **inputs)

        (failure,) = result.partial_failures
        assert (failure.code, failure.missing_feature) == ("ocr_failed", "ocr")
        assert "the graph is broken" in failure.message
        (document,) = result.documents
        assert "ocr_text" not in document.fields


def test_later_segments_lack_writing_when_the_limit_of_pictures_is_reached(folder: str, talk: Path) -> None:
    limits = MediaLimits(ocr_frames=1)

    result = extracted(folder, READ | {"time_split_interval": 4}, limits=limits, video=video(talk))

    assert ["ocr_text" in one.fields for one in result.documents] == [True, False]
    (failure,) = result.partial_failures
    assert (failure.code, failure.missing_feature) == ("too_many_ocr_frames", "ocr")
    assert "PRISMHOUSE_MEDIA__OCR_FRAMES" in failure.message


def test_the_vector_needs_the_reading() -> None:
    record = Catalogue().get("multimodal_extractor", "v1")

    with pytest.raises(Invalid, match="Set run_ocr to true"):
        Catalogue().validate_parameters(record, {"run_ocr_embedding": True})


def test_a_missing_model_is_told_before_a_file_is_read(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prismhouse.engine.inference import registry

    monkeypatch.setattr(registry, "is_installed", lambda file: False)

    with pytest.raises(ModelMissing, match=PP_OCR):
        extracted(folder, {"run_ocr": True}, video=Part(type="video", data=b""))
