"""What decoding of videos and sounds may cost. Checked against headers first and again while decoding: headers lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from prismhouse.settings import MediaSettings

__all__ = ["MediaLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """Limits of one file.

    Attributes:
        seconds: longest duration.
        pixels: largest frame, width times height.
        frames: most frames that are decoded.
        segments: most documents that one file becomes.
        streams: most streams (pictures, sounds, subtitles) in a container.
    """

    seconds: float = 4 * 3600.0
    pixels: int = 8192 * 4320
    frames: int = 1_000_000
    segments: int = 5_000
    streams: int = 64

    @classmethod
    def of(cls, settings: MediaSettings) -> Self:
        """Return the limits that are set."""
        return cls(
            seconds=settings.seconds,
            pixels=settings.pixels,
            frames=settings.frames,
            segments=settings.segments,
            streams=settings.streams,
        )
