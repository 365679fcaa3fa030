"""Sounds in windows: what is heard, which are alike, and what a file that has none says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.films import BIKES, BUNNY, film
from tests.photos import png
from tests.speech import clips

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.registry import YAMNET
from prismhouse.kit.errors import Invalid

_ID = "audio_fingerprint_extractor_v1"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def heard(folder: str, kind: str, source: Path | bytes, **parameters: Any) -> RowResult:
    resolved = Catalogue().validate_parameters(Catalogue().by_id(_ID), parameters)
    part = Part(type=kind, data=source) if isinstance(source, bytes) else Part(type=kind, path=source)
    (result,) = run_rows(_ID, resolved, [Row(row_id="r", inputs={kind: part})], 1, folder)
    return result


def test_windows_tell_what_is_heard_when_a_film_has_music(folder: str) -> None:
    result = heard(folder, "video", BUNNY)

    assert result.failure is None
    first, second = result.documents
    times = [(one.fields["start_time_sec"], one.fields["end_time_sec"]) for one in (first, second)]
    assert times == [(0.0, 5.0), (2.5, pytest.approx(5.312, abs=0.05))]
    assert [one.position for one in (first, second)] == [(0,), (1,)]
    assert second.fields["labels"][0]["label"] == "Music"
    assert (second.fields["audio_source_type"], second.fields["sample_rate"]) == ("video", 16_000)
    assert set(first.fields) == set(Catalogue().by_id(_ID).output_schema["properties"])
    vector = first.vectors[YAMNET]
    assert (vector.shape, vector.dtype) == ((1024,), np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_speech_is_like_speech_and_unlike_music_when_compared(folder: str) -> None:
    spoken = [heard(folder, "audio", clip.path).documents[0] for clip in [*clips("en"), *clips("fr")]]
    music = heard(folder, "video", BUNNY).documents[1]

    assert {one.fields["labels"][0]["label"] for one in spoken} == {"Speech"}
    assert min(one.fields["labels"][0]["confidence"] for one in spoken) > 0.95
    vectors = np.stack([one.vectors[YAMNET] for one in spoken])
    assert (vectors @ vectors.T).min() > 0.7
    assert (vectors @ music.vectors[YAMNET]).max() < 0.5


def test_windows_follow_the_parameters_when_they_are_set(folder: str, tmp_path: Path) -> None:
    tone = film(tmp_path / "tone.mp4", seconds=7, sound=True)

    result = heard(
        folder,
        "audio",
        tone,
        segment_duration_sec=2,
        segment_hop_sec=1,
        max_audio_length_sec=3,
        normalize_embeddings=False,
    )

    times = [(one.fields["start_time_sec"], one.fields["end_time_sec"]) for one in result.documents]
    assert times == [(0.0, 2.0), (1.0, 3.0), (2.0, 3.0)]
    assert result.dropped["segments"]["max_audio_length_sec"] in (3, 4)
    assert np.linalg.norm(result.documents[0].vectors[YAMNET]) > 1.5


@pytest.mark.parametrize(
    ("kind", "source", "code"),
    [
        ("video", BIKES, "no_audio_stream"),
        ("audio", b"", "empty_file"),
        ("audio", png("coffee"), "media_type_mismatch"),
    ],
)
def test_a_file_fails_with_a_name_when_it_has_no_sound(folder: str, kind: str, source: Any, code: str) -> None:
    result = heard(folder, kind, source)

    assert result.failure is not None
    assert result.failure.code == code


def test_another_sample_rate_is_refused_when_it_is_asked_for() -> None:
    with pytest.raises(Invalid, match="the model takes 16000 a second"):
        Catalogue().validate_parameters(Catalogue().by_id(_ID), {"sample_rate": 44_100})
