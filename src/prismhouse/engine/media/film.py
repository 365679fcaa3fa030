"""The pictures of a video or an animation, each decoded once, with exact numbers and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from prismhouse.engine.media.container import Media, check_duration, check_size, faults_named, seconds_of
from prismhouse.engine.media.errors import MediaFault

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Film", "FilmFrame", "Scalers", "upright"]

_DEFAULT_FPS = 25.0
_MOST_DAMAGED = 1_000
_TRUNCATED = 0.9
_LONGEST_SHOWN_SECONDS = 60
"""A picture that claims more is believed only where the header agrees."""


class Scalers:
    """What changes the size of a film's pictures. Each is made ready for one size, which costs 0.4 ms, and kept."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self.grey: Any = VideoReformatter()
        self.colour: Any = VideoReformatter()


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """One picture. It is converted only as far as it is asked for: what a detector of shots needs is small.

    Attributes:
        number: from 0, in the order of showing.
        time: seconds from the first picture.
    """

    number: int
    time: float
    raw: Any
    scalers: Scalers

    def small(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Return `(height, width)` grey, squeezed to that size, not turned upright. Cost: 0.05 to 0.4 ms."""
        shrunk = self.scalers.grey.reformat(self.raw, width=width, height=height, format="gray", interpolation="AREA")
        made: npt.NDArray[np.uint8] = shrunk.to_ndarray()
        return made

    def picture(self, longest: int | None = None) -> Image:
        """Return it as a viewer sees it: RGB, upright, its longer side at most `longest` pixels."""
        from PIL import Image as Images

        width, height = self.raw.width, self.raw.height
        scale = min(1.0, (longest or max(width, height)) / max(width, height))
        width, height = max(2, round(width * scale)), max(2, round(height * scale))
        shrunk = self.scalers.colour.reformat(self.raw, width=width, height=height, format="rgb24")
        return Images.fromarray(np.ascontiguousarray(np.rot90(shrunk.to_ndarray(), _turns(self.raw))))


class Film:
    """Iterates over the pictures of an open file, once.

    What cannot be decoded on the way is left out and counted in `damaged`; `end` and `count` are right at the end,
    `size` (width and height as a viewer sees them) from the first picture on.

    Raises:
        MediaFault: on the way: no picture at all (`media_corrupt`), or more than the limits allow
            (`video_too_large`, `media_too_long`, `too_many_frames`).
    """

    def __init__(self, media: Media) -> None:
        self._media = media
        self.fps = media.fps or _DEFAULT_FPS
        self.count = 0
        self.end = 0.0
        self.damaged = 0
        self.size = (0, 0)

    @property
    def cut_off(self) -> bool:
        """Whether the file ended well before its header says; known at the end."""
        said = self._media.ends
        return said is not None and self._media.fps > 0 and self.end < said * _TRUNCATED - 2 / self.fps

    def __iter__(self) -> Iterator[FilmFrame]:
        """Yield pictures in the order of showing, times growing."""
        last, scalers = -1.0, Scalers()
        for raw in self._decoded():
            time = round(last + 1 / self.fps, 6) if last >= 0 else 0.0
            if raw.pts is not None and raw.time_base:
                told = seconds_of(raw.pts, raw.time_base, self._media.zero)
                time = told if told > last else time
            self._check(raw, time)
            last = time
            self.end = round(time + self._shown_for(raw, time), 6)
            if not self.count:
                self.size = (raw.height, raw.width) if _turns(raw) % 2 else (raw.width, raw.height)
            self.count += 1
            yield FilmFrame(self.count - 1, max(time, 0.0), raw, scalers)
        if not self.count:
            raise MediaFault("media_corrupt", "The file holds no picture that can be decoded. Upload it again.")

    def _decoded(self) -> Iterator[Any]:
        from av.error import FFmpegError, InvalidDataError

        packets = self._media.container.demux(self._media.video)
        while True:
            try:
                with faults_named():
                    packet = next(packets, None)
            except MediaFault:
                if not self.count:
                    raise
                self.damaged += 1
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (InvalidDataError, FFmpegError) as error:
                if isinstance(error, MemoryError):
                    raise
                self.damaged += 1
                if self.damaged > _MOST_DAMAGED:
                    return
                continue
            yield from frames

    def _shown_for(self, raw: Any, time: float) -> float:
        seconds = float(raw.duration * raw.time_base) if raw.duration and raw.time_base else 0.0
        most = max(_LONGEST_SHOWN_SECONDS, (self._media.ends or 0.0) - time + 1 / self.fps)
        return seconds if 0 < seconds < most else 1 / self.fps

    def _check(self, raw: Any, time: float) -> None:
        limits = self._media.limits
        check_size(raw.width, raw.height, limits)
        check_duration(time, limits)
        if self.count >= limits.frames:
            message = f"The video has more than {limits.frames} pictures."
            raise MediaFault("too_many_frames", f"{message} Cut it, or raise PRISMHOUSE_MEDIA__FRAMES.")


def upright(raw: Any) -> Any:
    """Return a decoded picture of FFmpeg's as a viewer sees it: phones film in one direction and note the other."""
    turns = _turns(raw)
    if not turns:
        return raw
    import av

    turned = np.ascontiguousarray(np.rot90(raw.to_ndarray(format="rgb24"), turns))
    return av.VideoFrame.from_ndarray(turned, format="rgb24")


def _turns(raw: Any) -> int:
    """Return by how many quarters, counterclockwise, a picture has to be turned."""
    return round(float(raw.rotation) / 90) % 4
