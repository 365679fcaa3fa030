"""Videos and sounds through the real extractor: segments, their times, vectors and words; and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.films import BIKES, BUNNY, damaged, film
from tests.speech import clips

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ExtractedDocument, Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.errors import ModelMissing
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE, EFFICIENTNET, MINILM
from prismhouse.engine.media.limits import MediaLimits

_CUTS = [0.0, 1.2, 3.04, 5.48, 7.48, 9.68, 10.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def extracted(folder: str, parameters: dict[str, Any] | None = None, version: str = "v1", **inputs: Part) -> RowResult:
    record = Catalogue().get("multimodal_extractor", version)
    resolved = Catalogue().validate_parameters(record, parameters or {})
    (result,) = run_rows(record.extractor_id, resolved, [Row(row_id="r", inputs=inputs)], 1, folder)
    return result


def video(path: Path) -> Part:
    return Part(type="video", path=path, blob_id="blob_v")


def bounds(documents: Sequence[ExtractedDocument]) -> list[tuple[float, float]]:
    return [(one.fields["start_time"], one.fields["end_time"]) for one in documents]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_scenes_have_exact_times_frames_vectors_and_thumbnails(folder: str, version: str) -> None:
    result = extracted(folder, {"split_method": "scene"}, version, video=video(BIKES))

    assert result.failure is None
    assert not result.partial_failures
    assert bounds(result.documents) == list(pairwise(_CUTS))
    outputs = {one.name: one.dimensions for one in Catalogue().get("multimodal_extractor", version).vector_outputs}
    promised = Catalogue().get("multimodal_extractor", version).output_schema["properties"]
    for document in result.documents:
        fields = document.fields
        assert (fields["start_frame"], fields["end_frame"]) == tuple(
            round(fields[name] * 25) for name in ("start_time", "end_time")
        )
        assert fields["duration"] == pytest.approx(fields["end_time"] - fields["start_time"])
        assert (fields["modality"], fields["source_fps"], fields["width"], fields["height"]) == ("video", 25, 640, 272)
        assert set(fields) <= set(promised)
        assert {name: len(vector) for name, vector in document.vectors.items()} == outputs
        assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-4) for vector in document.vectors.values())
        assert [(one.field, one.data[:2]) for one in document.artifacts] == [("thumbnail_url", b"\xff\xd8")]
        assert document.sources == {"source_video_url": "blob_v"}
        assert document.position == ("video", fields["start_time"], fields["end_time"])


def test_words_find_the_scene_that_shows_it(folder: str) -> None:
    documents = extracted(folder, {"split_method": "scene"}, video=video(BIKES)).documents
    query = loaded(CONSE, threads=1, cache_dir=Path(folder)).embed(["a mountain bike"])[0]

    scores = [float(one.vectors[CONSE] @ query) for one in documents]

    assert bounds(documents)[int(np.argmax(scores))] == (9.68, 10.0)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [(0, 10)]),
        ({"time_split_interval": 4}, [(0, 4), (4, 8), (8, 10)]),
        ({"time_split_interval": 3, "max_segment_duration": 1}, [(0, 3), (3, 6), (6, 9), (9, 10)]),
        ({"time_split_interval": None}, [(0, 10)]),
        (
            {"split_method": "scene", "max_segment_duration": 2},
            [(0, 1.2), (1.2, 3.04), (3.04, 5.04), (5.04, 5.48), (5.48, 7.48), (7.48, 9.48), (9.48, 9.68), (9.68, 10)],
        ),
        (
            {"split_method": "scene", "scene_detection_threshold": 1.0},
            [(0, 1.2), (1.2, 7.48), (7.48, 9.68), (9.68, 10)],
        ),
        ({"split_method": "silence"}, [(0, 10)]),
    ],
)
def test_segments_begin_where_the_parameters_say(
    folder: str, parameters: dict[str, Any], expected: list[tuple[float, float]]
) -> None:
    result = extracted(folder, parameters, video=video(BIKES))

    assert bounds(result.documents) == [(pytest.approx(start), pytest.approx(end)) for start, end in expected]


def test_the_same_video_gives_the_same_documents_again(folder: str) -> None:
    first, again = (extracted(folder, {"split_method": "scene"}, video=video(BIKES)) for _ in range(2))

    for one, other in zip(first.documents, again.documents, strict=True):
        assert (one.position, one.fields) == (other.position, other.fields)
        assert one.vectors[EFFICIENTNET] == pytest.approx(other.vectors[EFFICIENTNET], abs=1e-5)


def test_a_video_without_sound_keeps_its_documents_and_says_what_they_lack(folder: str) -> None:
    result = extracted(folder, {"run_transcription": True, "transcription_language": "en"}, video=video(BIKES))

    (failure,) = result.partial_failures
    assert (failure.code, failure.missing_feature) == ("no_audio_stream", "transcription")
    assert "transcription" not in result.documents[0].fields


def test_music_is_no_speech(folder: str) -> None:
    result = extracted(folder, {"run_transcription": True, "transcription_language": "en"}, video=video(BUNNY))

    assert not result.partial_failures
    assert [one.fields["transcription"] for one in result.documents] == [""]


def test_speech_is_written_down_and_found(folder: str) -> None:
    clip = next(one for one in clips("en") if one.path.stem == "quick_brown_fox")
    parameters = {"run_transcription": True, "transcription_language": "en", "run_transcription_embedding": True}

    (document,) = extracted(folder, parameters, audio=Part(type="audio", path=clip.path)).documents

    assert document.fields["transcription"].lower().rstrip(".") == clip.transcript.lower().rstrip(".")
    assert (document.fields["modality"], document.fields["transcription_language"]) == ("audio", "en")
    query = loaded(MINILM, threads=1, cache_dir=Path(folder)).embed(["a fox and a dog", "the price of oil"])
    near, far = query @ document.vectors[MINILM]
    assert near > far + 0.3
    assert set(document.vectors) == {CONSE, MINILM}


def test_a_sound_has_no_vector_when_nothing_is_transcribed(folder: str) -> None:
    clip = clips("en")[0]

    result = extracted(folder, {"time_split_interval": 1}, audio=Part(type="audio", path=clip.path))

    (failure,) = result.partial_failures
    assert (failure.code, failure.missing_feature) == ("no_sound_model", "multimodal_embedding")
    assert bounds(result.documents)[0] == (0, 1)


def test_an_animation_is_split_and_a_still_one_is_an_image(folder: str, tmp_path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("RGB", (64, 48), (shade, 40, 0)) for shade in range(0, 250, 60)]
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:], duration=1000)
    pictures[0].save(tmp_path / "still.gif")

    moving = extracted(folder, {"time_split_interval": 2}, gif=Part(type="image", path=tmp_path / "moving.gif"))
    still = extracted(folder, gif=Part(type="image", path=tmp_path / "still.gif"))

    assert bounds(moving.documents) == [(0, 2), (2, 4), (4, 5)]
    assert [one.fields["modality"] for one in moving.documents] == ["gif"] * 3
    assert "start_time" not in still.documents[0].fields


def test_a_thumbnail_of_ones_own_is_shown_for_every_segment(folder: str) -> None:
    from tests.photos import png

    cover = Part(type="image", data=png("coffee"))
    result = extracted(folder, {"time_split_interval": 5}, video=video(BIKES), custom_thumbnail=cover)

    first, second = (one.artifacts[0].data for one in result.documents)
    assert first == second


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"words", "media_type_mismatch"),
        (b"\x00\x00\x00\x18ftypmp42", "media_corrupt"),
        (BIKES.read_bytes()[:5000], "media_corrupt"),
    ],
)
def test_a_bad_video_is_a_failed_row_with_a_name(folder: str, content: bytes, code: str) -> None:
    result = extracted(folder, video=Part(type="video", data=content))

    assert result.failure is not None
    assert result.failure.code == code


def test_a_video_of_sound_alone_is_a_failed_row(folder: str, tmp_path: Path) -> None:
    result = extracted(folder, video=video(film(tmp_path / "s.mp4", pictures=False, sound=True)))

    assert result.failure is not None
    assert result.failure.code == "no_video_stream"


def test_a_video_that_is_cut_off_is_partial_and_loses_input(folder: str, tmp_path: Path) -> None:
    half = damaged(film(tmp_path / "whole.mkv", seconds=6), tmp_path / "half.mkv", keep=0.5)

    result = extracted(folder, video=video(half))

    assert result.documents
    assert ("media_cut_off", None) in [(one.code, one.missing_feature) for one in result.partial_failures]


@pytest.mark.parametrize(
    ("limits", "code"),
    [(MediaLimits(seconds=5), "media_too_long"), (MediaLimits(segments=2), "too_many_segments")],
)
def test_a_limit_fails_the_row_when_it_is_set(folder: str, limits: MediaLimits, code: str) -> None:
    parameters = {"time_split_interval": 4}

    (result,) = run_rows(
        "multimodal_extractor_v1",
        parameters,
        [Row(row_id="r", inputs={"video": video(BIKES)})],
        1,
        folder,
        10**8,
        limits,
    )

    assert result.failure is not None
    assert result.failure.code == code


def test_a_missing_speech_model_is_told_before_a_file_is_read(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prismhouse.engine.inference import registry

    monkeypatch.setattr(registry, "is_installed", lambda file: False)

    with pytest.raises(ModelMissing, match="prismhouse models install whisper_base_v1"):
        extracted(folder, {"run_transcription": True}, video=Part(type="video", data=b""))
