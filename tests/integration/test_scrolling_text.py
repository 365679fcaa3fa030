"""Tickers through the real extractor: what they say, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.films import BIKES, BUNNY, film
from tests.photos import photos
from tests.tickers import Ticker, broadcast, credits_of, panned
from tests.written import error_rate, filmed, slide

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.errors import ModelMissing
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.kit.errors import Invalid

NEWS = "BREAKING: The warehouse opened in Lisbon with 4,200 shelves."
WEATHER = "Weather: sunny in Porto, rain in Oslo tomorrow"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def extracted(folder: str, path: Path, limits: MediaLimits | None = None, **parameters: Any) -> RowResult:
    record = Catalogue().get("scrolling_text_extractor", "v1")
    resolved = Catalogue().validate_parameters(record, parameters)
    rows = [Row(row_id="r", inputs={"video": Part(type="video", path=path, blob_id="blob_v")})]
    (result,) = run_rows(record.extractor_id, resolved, rows, 1, folder, media=limits)
    return result


def fields(folder: str, path: Path, **parameters: Any) -> Any:
    result = extracted(folder, path, **parameters)
    assert result.failure is None, result.failure
    assert not result.partial_failures
    (document,) = result.documents
    return document.fields


@pytest.mark.parametrize(
    ("ticker", "scene", "parameters"),
    [
        (Ticker(words=NEWS, speed=60), {}, {}),
        (Ticker(words=NEWS, speed=120), {}, {}),
        (Ticker(words=NEWS, speed=300), {}, {}),
        (Ticker(words=NEWS, speed=700), {}, {"fps": 25}),
        (Ticker(words=NEWS, is_rightward=True), {}, {}),
        (Ticker(words=NEWS, speed=150), {"fps": 24}, {}),
        (Ticker(words=NEWS), {"noise": 8, "back": "coffee"}, {}),
        (Ticker(words=NEWS), {"logo": "TV1", "back": "china"}, {}),
        (Ticker(words=NEWS, starts=4.0), {"back": "flower"}, {}),
        (Ticker(words=NEWS, top=3, ground="black"), {}, {"pad": 0}),
    ],
    ids=["slow", "usual", "fast", "very-fast", "rightward", "24-fps", "noise", "logo", "late", "top-without-pad"],
)
def test_a_ticker_is_read_letter_by_letter(
    folder: str, tmp_path: Path, ticker: Ticker, scene: dict[str, Any], parameters: dict[str, Any]
) -> None:
    if "back" in scene:
        scene = scene | {"back": photos()[scene["back"]]}

    told = fields(folder, broadcast(tmp_path / "news.mp4", ticker, **scene), static_ocr=False, **parameters)

    assert error_rate(told["scrolling_text"], NEWS) <= 0.02, told["scrolling_text"]
    assert told["bands_detected"] == len(told["scroll_bands"]) == 1
    (band,) = told["scroll_bands"]
    assert band["text"] == told["scrolling_text"]
    assert band["direction"] == ("right" if ticker.is_rightward else "left")
    assert band["speed_px_per_second"] == pytest.approx(ticker.speed, rel=0.05)
    assert band["y"] - 12 <= ticker.top <= band["y"] + band["height"] - 20
    assert band["start_time"] <= ticker.starts + 0.5
    assert "static_text" not in told


def test_two_tickers_are_two_bands_joined_by_a_bar_and_a_caption_stands(folder: str, tmp_path: Path) -> None:
    back = slide("", "", "Evening edition", size=(480, 270), letters=34, ground="lightgrey")
    video = broadcast(
        tmp_path / "two.mp4",
        Ticker(words=NEWS),
        Ticker(words=WEATHER, speed=90, top=10, ground="darkred"),
        back=back,
    )

    told = fields(folder, video)

    assert told["bands_detected"] == 2
    assert error_rate(told["scrolling_text"], f"{WEATHER} | {NEWS}") <= 0.02, told["scrolling_text"]
    assert told["static_text"] == "Evening edition"
    record = Catalogue().get("scrolling_text_extractor", "v1")
    assert set(told) <= set(record.output_schema["properties"])
    band = record.output_schema["properties"]["scroll_bands"]["items"]["properties"]
    assert all(set(one) == set(band) for one in told["scroll_bands"])


def test_what_a_ticker_says_again_is_told_once(folder: str, tmp_path: Path) -> None:
    video = broadcast(tmp_path / "round.mp4", Ticker(words=WEATHER, rounds=3, speed=200))

    assert error_rate(fields(folder, video, static_ocr=False)["scrolling_text"], WEATHER) <= 0.05


@pytest.mark.parametrize("path", [BIKES, BUNNY], ids=["bikes", "bunny"])
def test_a_real_video_without_a_ticker_has_no_band(folder: str, path: Path) -> None:
    told = fields(folder, path, static_ocr=False)

    assert (told["scrolling_text"], told["scroll_bands"], told["bands_detected"]) == ("", [], 0)


def test_a_camera_that_turns_and_lines_that_run_upwards_are_no_ticker(folder: str, tmp_path: Path) -> None:
    turning = panned(tmp_path / "turning.mp4", photos()["motorcycle"])
    upwards = credits_of(tmp_path / "credits.mp4", ["Directed by Ada", "Music by Bo", "Camera by Cy"])

    assert fields(folder, turning, static_ocr=False)["bands_detected"] == 0
    told = fields(folder, upwards)
    assert told["bands_detected"] == 0
    assert "Music by Bo" in told["static_text"]


def test_a_still_picture_with_noise_has_no_band(folder: str, tmp_path: Path) -> None:
    still = broadcast(tmp_path / "still.mp4", back=slide("Standing words", size=(480, 270)), noise=15, seconds=4)

    told = fields(folder, still)

    assert (told["bands_detected"], told["static_text"]) == (0, "Standing words")


def test_a_strip_over_the_limit_is_cut_and_told(folder: str, tmp_path: Path) -> None:
    video = broadcast(tmp_path / "long.mp4", Ticker(words=NEWS, rounds=2, speed=200))

    result = extracted(folder, video, MediaLimits(scroll_width=1000), static_ocr=False)

    (failure,) = result.partial_failures
    assert (failure.code, failure.missing_feature) == ("scroll_too_long", "scrolling_text")
    assert "PRISMHOUSE_MEDIA__SCROLL_WIDTH" in failure.message
    assert result.documents[0].fields["scrolling_text"].startswith("BREAKING")


def test_a_video_of_two_pictures_is_no_fault(folder: str, tmp_path: Path) -> None:
    tiny = filmed(tmp_path / "tiny.mp4", lambda number: slide("x", size=(16, 16), letters=8), count=2)

    assert fields(folder, tiny)["bands_detected"] == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty_file"), (b"words", "media_type_mismatch"), (BIKES.read_bytes()[:5000], "media_corrupt")],
)
def test_a_bad_video_is_a_failed_row_with_a_name(folder: str, tmp_path: Path, content: bytes, code: str) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)

    failure = extracted(folder, bad).failure

    assert failure is not None
    assert failure.code == code


def test_sound_alone_and_a_limit_fail_by_name(folder: str, tmp_path: Path) -> None:
    sound = extracted(folder, film(tmp_path / "s.mp4", pictures=False, sound=True)).failure
    long = extracted(folder, BIKES, MediaLimits(seconds=5)).failure

    assert sound is not None
    assert long is not None
    assert (sound.code, long.code) == ("no_video_stream", "media_too_long")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fps": 0.5}, "greater than or equal to 1"),
        ({"fps": 31}, "less than or equal to 30"),
        ({"strip_height": 9}, "10"),
        ({"min_shift_px": 0.1}, "0.5"),
        ({"consistency_ratio": 0.2}, "0.3"),
        ({"pad": 51}, "50"),
        ({"max_static_frames": 13}, "12"),
        ({"vertical": True}, "Accepted: extractor_type"),
    ],
)
def test_a_parameter_out_of_range_is_refused(parameters: dict[str, Any], message: str) -> None:
    record = Catalogue().get("scrolling_text_extractor", "v1")

    with pytest.raises(Invalid, match=message):
        Catalogue().validate_parameters(record, parameters)


def test_a_missing_model_is_told_before_a_file_is_read(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prismhouse.engine.inference import registry

    monkeypatch.setattr(registry, "is_installed", lambda file: False)

    with pytest.raises(ModelMissing, match="rapidocr_ppocr_v6_small_v1"):
        extracted(folder, tmp_path / "none.mp4")
