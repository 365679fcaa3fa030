"""A part of a video as a file of its own, exact to the frame."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from prismhouse.engine.media.container import Media, faults_named, opened, seconds_of
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.film import upright
from prismhouse.engine.media.limits import MediaLimits

__all__ = ["ENCODERS", "cut_video"]

ENCODERS = ("libx264", "libopenh264", "libvpx-vp9", "mpeg4")
"""What encodes pictures, the first one that FFmpeg has. All go into MP4; browsers play all but the last."""

_COPIED_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_COPIED_AUDIO = frozenset({"aac", "mp3", "opus", "ac3"})
_OPTIONS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "libvpx-vp9": {"crf": "31", "b": "0", "deadline": "realtime", "cpu-used": "6"},
    "mpeg4": {"qscale": "3"},
}
_EARLY_SECONDS = 0.0005
"""A picture that starts this much before a bound counts as at it: times in documents are rounded."""

_SECONDS_BEHIND = 2
"""How far sound and pictures of one time lie apart in a file."""

_CHECK_EVERY = 64
_MOST_DAMAGED = 1_000
_BEFORE_ALL_MICROSECONDS = 10_000_000
_FAST_START = {"movflags": "+faststart"}
_LARGEST_BASE = 65_536
_SAMPLE_RATE = 48_000
"""At most: what is finer nobody hears, and AAC has no 192 kHz."""


def cut_video(
    path: Path,
    start: float,
    end: float,
    limits: MediaLimits | None = None,
    max_bytes: int = 256 * 2**20,
    encoder: str | None = None,
    threads: int = 1,
) -> bytes:
    """Return an MP4 of the pictures with start <= time < end, and of the sound meanwhile.

    Nothing is encoded again where the part begins with a key frame and what follows it in the file is exactly the
    part; everything else is, and then sound is exact to the sample. The clip starts at its first picture.

    Args:
        path: a video.
        start: seconds from the first picture.
        end: as `start`; it may lie behind the end of the video.
        limits: of the video.
        max_bytes: a longer clip is refused.
        encoder: FFmpeg's name of one; None takes the first of ENCODERS that is there.
        threads: for decoding and encoding.

    Raises:
        MediaFault: the video cannot be read (see `opened`), has no picture in that time (`scene_empty`), or makes a
            clip that is too large (`clip_too_large`); `no_encoder` when FFmpeg lacks one.
    """
    bounds = limits or MediaLimits()
    with tempfile.TemporaryDirectory(prefix="prismhouse-cut-") as folder, opened(path, "video", bounds) as media:
        clip = Path(folder) / "clip.mp4"
        with faults_named():
            if not _is_copied(media, start, end, clip, max_bytes=max_bytes):
                name = _encoder(encoder)
                _encode(media, start, end, clip, encoder=name, threads=threads, max_bytes=max_bytes)
        return clip.read_bytes()


def _copyable(media: Media, start: float, end: float) -> list[int]:
    """Return the time stamps of the packets to copy when they are exactly the part, else nothing.

    Decodes no picture: reads packets in the order of the file, from the key frame at `start` to the one that begins
    what follows. Copying is not exact if one of them is shown before that key frame, or at `end` or later, or if a
    picture of the part comes behind the next key frame.
    """
    stream, base, early = media.video, media.video.time_base, _EARLY_SECONDS
    sound = media.audio
    if stream.codec_context.name not in _COPIED_VIDEO or (sound and sound.codec_context.name not in _COPIED_AUDIO):
        return []
    _seek(media, start)
    taken: list[int] = []
    following: int | None = None
    for packet in media.container.demux(stream):
        if packet.pts is None or packet.dts is None:
            if packet.size:
                return []
            continue
        time = seconds_of(packet.pts, base, media.zero)
        if following is not None:
            if packet.pts > following:
                break
            if time < end - early:
                return []
        elif not taken:
            if time < start - early:
                continue
            if not packet.is_keyframe:
                return []
            taken.append(packet.pts)
        elif packet.is_keyframe and time >= end - early:
            following = packet.pts
        elif time >= end - early or packet.pts < taken[0]:
            return []
        else:
            taken.append(packet.pts)
    return taken


def _is_copied(media: Media, start: float, end: float, clip: Path, *, max_bytes: int) -> bool:
    """Copy the part; return False where that would not be exact, or the packets are too damaged for a file."""
    from av.error import FFmpegError

    try:
        packets = _copyable(media, start, end)
        if packets:
            _copy(media, packets, start, end, clip, max_bytes=max_bytes)
    except FFmpegError as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        return False
    return bool(packets)


def _copy(media: Media, stamps: Sequence[int], start: float, end: float, clip: Path, *, max_bytes: int) -> None:
    import av

    video, streams = media.video, [one for one in (media.video, media.audio) if one is not None]
    origin, wanted = min(stamps) * video.time_base, set(stamps)
    _seek(media, start)
    with av.open(str(clip), "w", format="mp4", options=_FAST_START) as out:
        into = {stream.index: out.add_stream_from_template(stream) for stream in streams}
        for number, packet in enumerate(media.container.demux(streams)):
            if packet.pts is None or packet.dts is None:
                continue
            time = seconds_of(packet.pts, packet.time_base, media.zero)
            if packet.stream.index == video.index:
                if packet.pts not in wanted:
                    if time > end + _SECONDS_BEHIND:
                        break
                    continue
            elif not start - _EARLY_SECONDS <= time < end - _EARLY_SECONDS:
                continue
            offset = round(origin / packet.time_base)
            packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
            packet.stream = into[packet.stream.index]
            out.mux(packet)
            if number % _CHECK_EVERY == 0:
                _check_bytes(clip, max_bytes)
    _check_bytes(clip, max_bytes)


def _encode(media: Media, start: float, end: float, clip: Path, *, encoder: str, threads: int, max_bytes: int) -> None:
    import av

    with av.open(str(clip), "w", format="mp4", options=_FAST_START) as out:
        pictures = _Pictures(out, media, encoder, threads)
        after = Fraction(0)
        heard, early = None, []  # the file cannot begin before the first picture tells its size
        if media.audio is not None:
            heard = out.add_stream("aac", rate=min(media.audio.codec_context.sample_rate or _SAMPLE_RATE, _SAMPLE_RATE))
        _seek(media, start)
        for frame in _frames(media, start, end):
            if isinstance(frame, av.VideoFrame):
                pictures.add(frame)
                if pictures.count % _CHECK_EVERY == 0:
                    _check_bytes(clip, max_bytes)
            else:
                early.append(frame)
            if pictures.count and heard is not None:
                for sound in early:
                    sound.pts = max(sound.pts, round(after * sound.sample_rate))  # damaged files go back in time
                    after = Fraction(sound.pts + sound.samples, sound.sample_rate)
                    out.mux(heard.encode(sound))
                early.clear()
        if not pictures.count:
            message = f"The video has no picture between {start:g} and {end:g} seconds."
            raise MediaFault("scene_empty", f"{message} Correct the document's start_time and end_time.")
        pictures.end()
        if heard is not None:
            out.mux(heard.encode(None))
    _check_bytes(clip, max_bytes)


class _Pictures:
    """Encodes pictures upright, with their own times: a video of changing rate keeps it."""

    def __init__(self, out: Any, media: Media, encoder: str, threads: int) -> None:
        video = media.video
        self._out = out
        self._stream = out.add_stream(encoder, rate=video.average_rate or 25, options=_OPTIONS.get(encoder, {}))
        base = video.time_base
        self._base = base if base.denominator < _LARGEST_BASE else Fraction(1, 60_000)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = threads
        self._stream.codec_context.time_base = self._base
        self._origin: Fraction | None = None
        self._last = -1
        self.count = 0

    def add(self, frame: Any) -> None:
        """Encode one picture of the source."""
        time = frame.pts * frame.time_base
        picture = upright(frame)
        if self._origin is None:
            self._origin = time
            self._stream.width, self._stream.height = max(2, picture.width & ~1), max(2, picture.height & ~1)
        made = picture.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        self._last = made.pts = max(round((time - self._origin) / self._base), self._last + 1)
        made.time_base = self._base
        made.pict_type = 0
        self._out.mux(self._stream.encode(made))
        self.count += 1

    def end(self) -> None:
        """Write what the encoder holds."""
        self._out.mux(self._stream.encode(None))


def _frames(media: Media, start: float, end: float) -> Iterator[Any]:
    """Yield the pictures of the part with their own time stamps, and its sound from 0 on, cut to the sample."""
    import av

    streams = [one for one in (media.video, media.audio) if one is not None]
    ended: set[str] = set()
    for frame in _decoded(media, streams):
        if frame.pts is None:
            continue
        kind = "video" if isinstance(frame, av.VideoFrame) else "audio"
        time = seconds_of(frame.pts, frame.time_base, media.zero)
        if time >= end - _EARLY_SECONDS:
            ended.add(kind)
            if len(ended) == len(streams) or time > end + _SECONDS_BEHIND:
                return
        elif kind == "audio":
            if (part := _trimmed(frame, time, start, end)) is not None:
                yield part
        elif time >= start - _EARLY_SECONDS:
            yield frame


def _decoded(media: Media, streams: Sequence[Any]) -> Iterator[Any]:
    """Yield what can be decoded: documents are made of damaged videos too, and have their scenes."""
    from av.error import FFmpegError

    packets, damaged = media.container.demux(streams), 0
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except FFmpegError as error:
            damaged += 1
            if isinstance(error, MemoryError) or damaged > _MOST_DAMAGED:
                raise
            continue
        yield from frames


def _trimmed(frame: Any, time: float, start: float, end: float) -> Any | None:
    """Return the samples of a frame that lie in the part, or None."""
    import av

    rate = frame.sample_rate
    first = max(0, round((start - time) * rate))
    last = min(frame.samples, round((end - time) * rate))
    if first >= last:
        return None
    if first == 0 and last == frame.samples:
        part = frame
    else:
        channels = 1 if frame.format.is_planar else len(frame.layout.channels)
        samples = frame.to_ndarray()[:, first * channels : last * channels]
        part = av.AudioFrame.from_ndarray(samples.copy(), format=frame.format.name, layout=frame.layout.name)
        part.sample_rate = rate
    part.time_base = Fraction(1, rate)
    part.pts = max(0, round((time + first / rate - start) * rate))
    return part


def _seek(media: Media, start: float) -> None:
    """Go to the last key frame at or before `start`, or to the beginning.

    A container without an index (MPEG-TS) lands somewhere, often behind: from there only the beginning is sure.
    """
    video, container = media.video, media.container
    stamp = max(
        int((Fraction(start).limit_denominator(1_000_000) + media.zero) / video.time_base), video.start_time or 0
    )
    container.seek(stamp, stream=video, backward=True)
    found = next((one for one in container.demux(video) if one.pts is not None), None)
    if found is not None and found.is_keyframe and found.pts <= stamp:
        container.seek(stamp, stream=video, backward=True)
        return
    whole = container.start_time or 0
    container.seek(whole - _BEFORE_ALL_MICROSECONDS, backward=True)


def _encoder(asked: str | None) -> str:
    import av

    for name in (asked,) if asked else ENCODERS:
        if name in av.codecs_available:
            return name
    message = f"FFmpeg has no encoder {asked or ' or '.join(ENCODERS)} here, so the scene cannot be cut exactly."
    raise MediaFault("no_encoder", f"{message} Set PRISMHOUSE_MEDIA__ENCODER to one that it has.")


def _check_bytes(clip: Path, max_bytes: int) -> None:
    if clip.stat().st_size > max_bytes:
        message = f"The scene takes more than {max_bytes} bytes as a file of its own."
        raise MediaFault("clip_too_large", f"{message} Make it shorter, or raise PRISMHOUSE_MEDIA__CLIP_BYTES.")
