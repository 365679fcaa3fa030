"""Files of pictures and sounds over time, opened with limits. Only files are read: never a playlist, never an address.

Times are seconds from the first picture, or from the first sound where there is no picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.sniff import sniff

__all__ = ["Media", "check_duration", "check_size", "faults_named", "opened", "seconds_of"]

# FFmpeg's demuxers of playlists (HLS, DASH, concat, and the like) open other files and addresses: none is here.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,m4v,h264,hevc,asf,ogg,gif,"
    "wav,w64,mp3,flac,aac,ac3,aiff,caf,amr,au,wv,mxf"
)
_KINDS = {"video": ("video",), "audio": ("audio", "video"), "gif": ("image", "video")}
_ARTICLES = {"video": "a video", "audio": "audio", "gif": "an animation"}
_HEAD_BYTES = 65_536
_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_NO_MEDIA = frozenset({"application/zip", "application/gzip", "application/vnd.apache.parquet"})


@dataclass(slots=True, kw_only=True)
class Media:
    """An open file. `video` and `audio` are the streams that are used, or None.

    Attributes:
        zero: the time stamp, in seconds, that counts as 0.
        duration: seconds, as the header says; None where it does not.
        ends: seconds after `zero` at which the used stream ends, where the header says it of that stream.
        fps: pictures a second on average; 0 without pictures.
    """

    container: Any
    video: Any
    audio: Any
    zero: Fraction
    duration: float | None
    ends: float | None
    fps: float
    limits: MediaLimits


@contextmanager
def opened(path: Path, kind: str, limits: MediaLimits, *, threads: int = 1) -> Iterator[Media]:
    """Open a file of this kind (`video`, `audio` or `gif`) until the end of the block; raise MediaFault.

    A file of audio may be a video: its sound is meant. Codes: empty_file, media_type_mismatch, media_unreadable,
    media_corrupt, no_video_stream, no_audio_stream, too_many_streams, video_too_large, media_too_long.
    """
    import av

    _expect(path, kind)
    with faults_named(kind):
        container = av.open(
            str(path),
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
        )
    try:
        with faults_named(kind):
            media = _looked_at(container, kind, limits)
        for stream in (media.video, media.audio):
            if stream is not None:
                stream.codec_context.thread_count = threads
                stream.codec_context.thread_type = "SLICE" if threads == 1 else "AUTO"
        yield media
    finally:
        container.close()


@contextmanager
def faults_named(kind: str = "video") -> Iterator[None]:
    """Turn what FFmpeg raises for bad bytes into MediaFault."""
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError, InvalidDataError

    what = _ARTICLES.get(kind, kind)
    try:
        yield
    except MediaFault:
        raise
    except (InvalidDataError, EndOfFile) as error:
        message = f"The file is damaged or cut off and cannot be read as {what} ({error.strerror}). Upload it again."
        raise MediaFault("media_corrupt", message) from error
    except FFmpegError as error:
        if isinstance(error, (MemoryError, FileNotFoundError, PermissionError)):
            raise
        message = f"The file cannot be read as {what} ({error.strerror}). Convert it to MP4 with H.264 and AAC."
        raise MediaFault("media_unreadable", message) from error


def seconds_of(pts: int, time_base: Fraction, zero: Fraction) -> float:
    """Return a time stamp as seconds after `zero`, exact to a microsecond."""
    return round(float(pts * time_base - zero), 6)


def _expect(path: Path, kind: str) -> None:
    """Refuse what is no media at all by its first bytes; what FFmpeg makes of the rest is asked of FFmpeg."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise MediaFault("empty_file", f"Expected {_ARTICLES[kind]}, got an empty file.")
    found = sniff(head)
    is_other = found.kind not in (*_KINDS[kind], "binary") or found.mime in _NO_MEDIA
    if is_other or (kind == "gif" and found.mime != "image/gif"):
        message = f"Expected {_ARTICLES[kind]}, got {found.label} ({found.mime}). Map the input to another field."
        raise MediaFault("media_type_mismatch", message)


def _looked_at(container: Any, kind: str, limits: MediaLimits) -> Media:
    if len(container.streams) > limits.streams:
        message = f"The file has {len(container.streams)} streams; the limit is {limits.streams}."
        raise MediaFault("too_many_streams", f"{message} Remove some, or raise PRISMHOUSE_MEDIA__STREAMS.")
    video = next((one for one in container.streams.video if not _is_cover(one)), None)
    audio = next(iter(container.streams.audio), None)
    if kind == "audio":
        video = None
        if audio is None:
            raise MediaFault("no_audio_stream", "The file holds no sound. Map the input to another field.")
    elif video is None:
        held = "only sound" if audio is not None else "neither pictures nor sound"
        raise MediaFault("no_video_stream", f"The file holds {held}. Map it to the input `audio`, or upload a video.")
    first: Any = audio if video is None else video
    if video is not None:
        check_size(video.codec_context.width, video.codec_context.height, limits)
        video.codec_context.options = {"max_pixels": str(limits.pixels)}
    duration = _duration(container, first)
    if duration is not None:
        check_duration(duration, limits)
    rate = None if video is None else video.average_rate or video.guessed_rate or video.base_rate
    zero = Fraction(0) if first.start_time is None else first.start_time * first.time_base
    return Media(
        container=container,
        video=video,
        audio=audio,
        zero=zero,
        duration=duration,
        ends=_ends(container, first, zero),
        fps=float(rate) if rate else 0.0,
        limits=limits,
    )


def _is_cover(stream: Any) -> bool:
    """Whether it is the picture on an album, not a film."""
    return bool(int(stream.disposition) & 0x400)


def check_size(width: int, height: int, limits: MediaLimits) -> None:
    """Raise MediaFault for frames that are larger than the limit, or of no size."""
    if width <= 0 or height <= 0:
        raise MediaFault("media_corrupt", "The video's header gives no size. Upload it again.")
    if width * height > limits.pixels:
        message = f"The video is too large ({width} x {height} pixels); the limit is {limits.pixels} pixels a frame."
        raise MediaFault("video_too_large", f"{message} Scale it down or raise PRISMHOUSE_MEDIA__PIXELS.")


def check_duration(seconds: float, limits: MediaLimits) -> None:
    """Raise MediaFault for what is longer than the limit."""
    if seconds > limits.seconds:
        message = f"The file is {seconds:.0f} seconds long; the limit is {limits.seconds:.0f}."
        raise MediaFault("media_too_long", f"{message} Cut it, or raise PRISMHOUSE_MEDIA__SECONDS.")


def _duration(container: Any, stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _ends(container: Any, stream: Any, zero: Fraction) -> float | None:
    """Return when a stream ends. Containers that only tell when all ends (Matroska) note it in a tag, from 0 on."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if (told := _TIME.match(stream.metadata.get("DURATION", ""))) is not None:
        hours, minutes, seconds = map(float, told.groups())
        return hours * 3600 + minutes * 60 + seconds - float(zero)
    if not container.duration or len(container.streams) > 1:
        return None
    whole = float(container.duration) / 1_000_000
    return whole - float(zero) if "matroska" in container.format.name else whole
