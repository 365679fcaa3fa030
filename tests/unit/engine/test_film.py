"""Videos and sounds, whole and broken."""

from __future__ import annotations

import io
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.films import BIKES, BUNNY, damaged, film, tone, turned

from prismhouse.engine.media.container import opened
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.film import Film
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.shots import ShotDetector
from prismhouse.engine.media.sound import pauses, read_sound


def frames(path: Path, kind: str = "video", **limits: Any) -> tuple[Film, list[tuple[int, float]]]:
    with opened(path, kind, MediaLimits(**limits)) as media:
        read = Film(media)
        return read, [(one.number, one.time) for one in read]


def fault(path: Path, kind: str = "video", **limits: Any) -> str:
    with pytest.raises(MediaFault) as caught:
        frames(path, kind, **limits)
    return caught.value.code


def test_every_picture_has_its_number_and_its_time() -> None:
    read, seen = frames(BIKES)

    assert [number for number, _ in seen] == list(range(250))
    assert [time for _, time in seen] == pytest.approx([number / 25 for number in range(250)])
    assert (read.count, read.end, read.damaged, read.cut_off) == (250, pytest.approx(10.0), 0, False)


@pytest.mark.parametrize(("path", "cuts"), [(BIKES, [1.2, 3.04, 5.48, 7.48, 9.68]), (BUNNY, [])])
def test_shots_begin_where_a_person_sees_them_begin(path: Path, cuts: list[float]) -> None:
    detector = ShotDetector(0.5)

    with opened(path, "video", MediaLimits()) as media:
        found = [one.time for one in Film(media) if detector.begins(one)]

    assert found == cuts


def test_an_animation_is_read_as_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    pictures = [Image.new("RGB", (40, 30), (shade, 0, 0)) for shade in (0, 120, 240)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500)

    read, seen = frames(path, "gif")

    assert [time for _, time in seen] == [0.0, 0.5, 1.0]
    assert read.end == pytest.approx(1.5)


def test_sound_is_one_channel_at_the_rate_that_was_asked_for() -> None:
    with opened(BUNNY, "audio", MediaLimits()) as media:
        sound = read_sound(media)

    assert sound.rate == 16_000
    assert sound.seconds == pytest.approx(5.3, abs=0.1)
    samples = sound.samples(1, 2)
    assert samples.dtype == np.float32
    assert len(samples) == 16_000
    assert 0.001 < np.abs(samples).max() <= 1


def test_pauses_are_found_where_they_are(tmp_path: Path) -> None:
    import av
    from tests.films import tone

    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for frame in tone(6, silent=(2, 3.5)):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    with opened(path, "audio", MediaLimits()) as media:
        found = pauses(read_sound(media), threshold_db=-40, shortest=0.5)

    assert found == [(pytest.approx(2, abs=0.05), pytest.approx(3.5, abs=0.05))]


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"", "video", "empty_file"),
        (b"", "audio", "empty_file"),
        (b"plain text", "video", "media_type_mismatch"),
        (b"%PDF-1.7 ...", "audio", "media_type_mismatch"),
        (b"PK\x03\x04" + b"0" * 99, "video", "media_type_mismatch"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 99, "video", "media_type_mismatch"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 99, "gif", "media_type_mismatch"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://10.0.0.1/x.ts\n", "video", "media_type_mismatch"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "video", "media_type_mismatch"),
        (b"\x00\x00\x00\x18ftypisom" + b"\x7f" * 5000, "video", "media_corrupt"),
        (b"\x1aE\xdf\xa3" + b"\x00" * 5000, "video", "media_corrupt"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio", "media_corrupt"),
        (b"GIF89a" + b"\xff" * 40, "gif", "media_corrupt"),
        (bytes(range(256)) * 40, "video", "media_corrupt"),
    ],
)
def test_bytes_that_are_no_media_say_what_they_are(tmp_path: Path, content: bytes, kind: str, code: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)

    assert fault(path, kind) == code


def test_a_file_without_the_stream_that_is_meant_says_so(tmp_path: Path) -> None:
    assert fault(BIKES, "audio") == "no_audio_stream"
    assert fault(film(tmp_path / "s.mp4", pictures=False, sound=True)) == "no_video_stream"


def test_a_video_that_is_cut_off_gives_what_it_has_or_says_that_it_is_damaged(tmp_path: Path) -> None:
    assert fault(damaged(BIKES, tmp_path / "b.mp4", keep=0.01)) == "media_corrupt"

    source = film(tmp_path / "whole.mkv", seconds=6)
    read, seen = frames(damaged(source, tmp_path / "half.mkv", keep=0.5))

    assert 10 < len(seen) < 50
    assert read.cut_off


def test_noise_in_the_middle_is_counted(tmp_path: Path) -> None:
    data = bytearray(BIKES.read_bytes())
    data[200_000:260_000] = b"\xa5" * 60_000
    path = tmp_path / "noise.mp4"
    path.write_bytes(data)

    read, seen = frames(path)

    assert seen
    assert read.damaged > 0


def test_sound_that_seems_to_change_its_channels_is_counted_when_packets_are_noise(tmp_path: Path) -> None:
    data = bytearray(BUNNY.read_bytes())
    data[500_000:560_000] = b"\xa5" * 60_000
    path = tmp_path / "noise.mp4"
    path.write_bytes(data)

    with opened(path, "video", MediaLimits(), threads=1) as media:
        sound = read_sound(media)

    assert sound.damaged > 0
    assert sound.seconds > 3


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"seconds": 9}, "media_too_long"),
        ({"pixels": 10_000}, "video_too_large"),
        ({"frames": 100}, "too_many_frames"),
        ({"streams": 0}, "too_many_streams"),
    ],
)
def test_limits_hold(limits: dict[str, Any], code: str) -> None:
    assert fault(BIKES, **limits) == code


def test_a_header_that_claims_a_huge_picture_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "GIF")
    huge = bytearray(buffer.getvalue())
    huge[6:10] = (16_000).to_bytes(2, "little") * 2
    path = tmp_path / "bomb.gif"
    path.write_bytes(huge)

    assert fault(path, "gif") == "video_too_large"


def shown_at(path: Path, times: list[float]) -> Path:
    """Write a video whose pictures are shown at these times, in seconds."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 4, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["film.mkv", "film.ts", "film.mp4"])
def test_a_video_whose_clock_begins_late_is_whole(tmp_path: Path, name: str) -> None:
    read, seen = frames(shown_at(tmp_path / name, [30 + number / 10 for number in range(50)]))

    assert (seen[0], seen[-1]) == ((0, 0.0), (49, pytest.approx(4.9)))
    assert read.end == pytest.approx(5, abs=0.01)
    assert not read.cut_off


def test_longer_sound_does_not_make_a_video_seem_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as out, av.open(str(film(tmp_path / "pictures.mp4"))) as source:
        shown = out.add_stream_from_template(source.streams.video[0])
        heard = out.add_stream("aac", rate=16_000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = shown
                out.mux(packet)
        for frame in tone(20):
            out.mux(heard.encode(frame))
        out.mux(heard.encode(None))

    read, _ = frames(path)

    assert read.end == pytest.approx(2, abs=0.01)
    assert not read.cut_off


def test_a_turned_video_is_read_as_it_is_seen(tmp_path: Path) -> None:
    path = film(tmp_path / "phone.mp4", seconds=0.2)
    with opened(path, "video", MediaLimits()) as media:
        flat = np.asarray(next(iter(Film(media))).picture().convert("L"), np.int16)
    with opened(turned(path), "video", MediaLimits()) as media:
        read = Film(media)
        upright = np.asarray(next(iter(read)).picture().convert("L"), np.int16)

    assert read.size == (48, 64)
    assert np.abs(upright - np.rot90(flat, -1)).mean() < 1


def test_a_long_sound_takes_little_more_memory_than_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=16_000, layout="mono")
        for frame in tone(600):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    tracemalloc.start()
    try:
        with opened(path, "audio", MediaLimits()) as media:
            sound = read_sound(media)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sound.seconds == pytest.approx(600, abs=0.1)
    assert most < 1.5 * sound.kept.nbytes
