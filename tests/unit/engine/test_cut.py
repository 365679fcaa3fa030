"""Parts of videos: exactly the pictures that were asked for."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.films import BIKES, BUNNY, film, pictures_of, turned

from prismhouse.engine.media.cut import cut_video
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.film import upright
from prismhouse.engine.media.limits import MediaLimits

_EARLY = 1e-4


@pytest.mark.parametrize(
    ("start", "end", "farthest"),
    [(0, 1.2, 0), (1.2, 3.04, 0), (7.48, 99, 0), (1, 2, 3), (2.52, 3.0, 3), (9.9, 10, 3), (4.333333, 4.51, 3)],
)
def test_a_part_has_the_pictures_of_its_time_and_no_other(start: float, end: float, farthest: float) -> None:
    wanted = [one for one in pictures_of(BIKES) if start - _EARLY <= one[0] < end - _EARLY]

    got = pictures_of(cut_video(BIKES, start, end))

    assert [round(time, 2) for time, _ in got] == [round(time - wanted[0][0], 2) for time, _ in wanted]
    differences = [np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(got, wanted, strict=True)]
    assert max(differences) <= farthest


@pytest.mark.parametrize(("start", "end"), [(0, 2), (1.5, 3.25)])
def test_sound_comes_along_and_stays_with_the_pictures(start: float, end: float) -> None:
    with av.open(io.BytesIO(cut_video(BUNNY, start, end))) as clip:
        lengths = {one.type: float(one.duration * one.time_base) for one in clip.streams}

    assert lengths["video"] == pytest.approx(end - start, abs=0.04)
    assert lengths["audio"] == pytest.approx(end - start, abs=0.03)


@pytest.mark.parametrize("encoder", ["libx264", "libvpx-vp9", "mpeg4"])
def test_a_video_of_another_codec_is_encoded_again(tmp_path: Path, encoder: str) -> None:
    source = film(tmp_path / "old.avi", encoder="mjpeg", seconds=2, fps=10)

    clip = cut_video(source, 0.5, 1.5, encoder=encoder)

    assert [time for time, _ in pictures_of(clip)] == pytest.approx([number / 10 for number in range(10)], abs=0.002)


@pytest.mark.parametrize(
    ("start", "end", "given", "code"),
    [
        (11, 12, {}, "scene_empty"),
        (1, 9, {"max_bytes": 2_000}, "clip_too_large"),
        (0, 1, {"limits": MediaLimits(seconds=5)}, "media_too_long"),
        (0, 1, {"limits": MediaLimits(pixels=1000)}, "video_too_large"),
        (1, 2, {"encoder": "none_such"}, "no_encoder"),
    ],
)
def test_what_cannot_be_cut_says_why(start: float, end: float, given: dict[str, object], code: str) -> None:
    with pytest.raises(MediaFault) as caught:
        cut_video(BIKES, start, end, **given)  # type: ignore[arg-type]

    assert caught.value.code == code


def test_a_container_without_an_index_gives_the_right_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "film.ts", seconds=5)
    whole = pictures_of(path)
    first = whole[0][0]

    for start, end in ((0.0, 0.04), (1.03, 2.51), (2.0, 4.0), (3.95, 99.0)):
        got = pictures_of(cut_video(path, start, end))
        assert len(got) == sum(start - _EARLY <= time - first < end - _EARLY for time, _ in whole)


def test_finer_sound_than_aac_has_is_made_coarser(tmp_path: Path) -> None:
    path = tmp_path / "fine.mkv"
    with av.open(str(path), "w") as out:
        shown = out.add_stream("libx264", rate=10)
        shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
        heard = out.add_stream("pcm_s16le", rate=192_000, layout="stereo")
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 9, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(shown.encode(frame))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 19_200), np.int16), format="s16", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = 192_000, number * 19_200, Fraction(1, 192_000)
            out.mux(heard.encode(sound))
        for stream in (shown, heard):
            out.mux(stream.encode(None))

    with av.open(io.BytesIO(cut_video(path, 0.5, 1.5))) as clip:
        sound_of_clip = clip.streams.audio[0]
        assert sound_of_clip.codec_context.sample_rate == 48_000
        assert float(sound_of_clip.duration * sound_of_clip.time_base) == pytest.approx(1, abs=0.03)


def test_scenes_of_a_damaged_video_hold_what_can_be_read(tmp_path: Path) -> None:
    data = bytearray(film(tmp_path / "whole.mp4", seconds=6, size=(320, 240), sound=True).read_bytes())
    middle = len(data) // 3
    data[middle : middle + 300] = b"\xa5" * 300
    path = tmp_path / "noise.mp4"
    path.write_bytes(data)

    assert len(pictures_of(cut_video(path, 4, 6))) > 0
    assert len(pictures_of(cut_video(path, 0, 1.05))) > 5


def test_a_turned_video_stays_turned(tmp_path: Path) -> None:
    path = turned(film(tmp_path / "phone.mp4", seconds=2))

    shapes = set()
    for start, end in ((0.0, 99.0), (0.3, 1.2)):
        with av.open(io.BytesIO(cut_video(path, start, end))) as clip:
            for frame in clip.decode(video=0):
                shapes.add(upright(frame).to_ndarray(format="gray").shape)

    assert shapes == {(64, 48)}
