"""What is lost of a video or a sound is told in the same words by every extractor that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.films import BIKES, damaged, film

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.run import run_rows

CUT_OFF, DAMAGED, SOUND = "media_cut_off", "media_damaged", "sound_damaged"
QUIET: dict[str, dict[str, Any]] = {
    "multimodal_extractor_v1": {"enable_thumbnails": False},
    "universal_extractor_v1": {"extract_text": False},
    "course_content_extractor_v1": {"use_whisper_asr": False, "extract_screen_text": False},
    "scrolling_text_extractor_v1": {"static_ocr": False, "fps": 1.0},
    "face_identity_extractor_v1": {},
}
"""Each extractor of videos, told to do as little as it can."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = tmp_path_factory.mktemp("films")
    return damaged(film(files / "whole.mkv", seconds=6), files / "half.mkv", keep=0.5)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with sound; of both, some packets are noise."""
    return noise_in(BIKES, tmp_path_factory.mktemp("films") / "noise.mp4", start=200_000, size=60_000)


@pytest.fixture(scope="module")
def crackling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound of which some packets are noise."""
    files = tmp_path_factory.mktemp("sounds")
    whole = film(files / "whole.mp4", seconds=6, pictures=False, sound=True)
    return noise_in(whole, files / "noise.mp4", start=whole.stat().st_size // 2, size=2_000)


def noise_in(path: Path, into: Path, *, start: int, size: int) -> Path:
    data = bytearray(path.read_bytes())
    data[start : start + size] = b"\xa5" * size
    into.write_bytes(data)
    return into


def extracted(folder: str, extractor_id: str, kind: str, path: Path, **parameters: Any) -> RowResult:
    resolved = Catalogue().validate_parameters(Catalogue().by_id(extractor_id), parameters)
    name = "content" if extractor_id == "universal_extractor_v1" else kind
    rows = [Row(row_id="r", inputs={name: Part(type=kind, path=path)})]
    (result,) = run_rows(extractor_id, resolved, rows, 1, folder)
    return result


def told(result: RowResult, code: str) -> RowFailure:
    """Return how a loss is told: among others where there are documents, as the failure where there are none."""
    given = [result.failure] if result.failure is not None else result.partial_failures
    (failure,) = [one for one in given if one.code == code]
    return failure


def check_told(failure: RowFailure, words: str) -> None:
    """Input is lost, and the batch ends with errors: no feature is missing from documents that are whole."""
    assert (failure.stage, failure.error_type, failure.missing_feature) == ("decode", ErrorType.PERMANENT, None)
    assert words in failure.message
    assert failure.message.endswith(" Upload it again.")


@pytest.mark.parametrize("extractor_id", QUIET)
def test_a_video_that_is_cut_off_is_told_by_every_extractor_of_videos(
    folder: str, half: Path, extractor_id: str
) -> None:
    result = extracted(folder, extractor_id, "video", half, **QUIET[extractor_id])

    check_told(told(result, CUT_OFF), "before its header says.")


@pytest.mark.parametrize("extractor_id", QUIET)
def test_noise_in_a_video_is_told_by_every_extractor_of_videos(folder: str, noisy: Path, extractor_id: str) -> None:
    result = extracted(folder, extractor_id, "video", noisy, **QUIET[extractor_id])

    check_told(told(result, DAMAGED), "parts of the video could not be decoded.")


@pytest.mark.parametrize(
    ("extractor_id", "parameters"),
    [
        ("audio_fingerprint_extractor_v1", {}),
        ("multimodal_extractor_v1", {}),
        ("universal_extractor_v1", {"extract_text": False}),
    ],
)
def test_noise_in_a_sound_is_told_by_every_extractor_of_sounds(
    folder: str, crackling: Path, extractor_id: str, parameters: dict[str, Any]
) -> None:
    result = extracted(folder, extractor_id, "audio", crackling, **parameters)

    check_told(told(result, SOUND), "parts of the sound could not be decoded.")


@pytest.mark.parametrize(
    ("extractor_id", "parameters"),
    [
        ("multimodal_extractor_v1", {"run_transcription": True, "transcription_language": "en"}),
        ("course_content_extractor_v1", {"extract_screen_text": False}),
        ("universal_extractor_v1", {}),
    ],
)
def test_noise_in_the_sound_of_a_video_is_told_by_every_extractor_that_listens(
    folder: str, tmp_path: Path, extractor_id: str, parameters: dict[str, Any]
) -> None:
    whole = film(tmp_path / "whole.mp4", seconds=6, sound=True)
    loud = noise_in(whole, tmp_path / "loud.mp4", start=whole.stat().st_size // 2, size=2_000)

    result = extracted(folder, extractor_id, "video", loud, **parameters)

    check_told(told(result, SOUND), "parts of the sound could not be decoded.")
