"""Parts of videos: exactly the pictures that were asked for."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from tests.films import BIKES, BUNNY, film, pictures_of

from prismhouse.engine.media.cut import cut_video
from prismhouse.engine.media.errors import MediaFault
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
