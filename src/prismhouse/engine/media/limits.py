"""What reading videos, sounds, PDFs and archives may cost. Headers are checked first, and again later: they lie."""

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
        ocr_frames: most pictures of one video in which writing is read.
        ocr_segment_frames: the same of one segment.
        scroll_width: longest strip of moving writing that is read, in pixels.
        streams: most streams (pictures, sounds, subtitles) in a container.
        pdf_bytes: largest PDF.
        pdf_pages: most pages that are read.
        pdf_blocks: most blocks of a PDF that become documents.
        pdf_pixels: largest picture that a page is drawn as.
        pdf_seconds: longest that PDFium may work on one PDF; what models do with its pages is not counted.
        archive_bytes: largest archive.
        archive_files: most files in it.
        archive_unpacked_bytes: most that they are unpacked to.
        archive_file_bytes: largest of them that is read.
    """

    seconds: float = 4 * 3600.0
    pixels: int = 8192 * 4320
    frames: int = 1_000_000
    segments: int = 5_000
    ocr_frames: int = 300
    ocr_segment_frames: int = 3
    scroll_width: int = 100_000
    streams: int = 64
    pdf_bytes: int = 512 * 2**20
    pdf_pages: int = 1_000
    pdf_blocks: int = 20_000
    pdf_pixels: int = 25_000_000
    pdf_seconds: float = 600.0
    archive_bytes: int = 100 * 2**20
    archive_files: int = 5_000
    archive_unpacked_bytes: int = 512 * 2**20
    archive_file_bytes: int = 2**20

    @classmethod
    def of(cls, settings: MediaSettings) -> Self:
        """Return the limits that are set."""
        return cls(
            seconds=settings.seconds,
            pixels=settings.pixels,
            frames=settings.frames,
            segments=settings.segments,
            ocr_frames=settings.ocr_frames,
            ocr_segment_frames=settings.ocr_segment_frames,
            scroll_width=settings.scroll_width,
            streams=settings.streams,
            pdf_bytes=settings.pdf_bytes,
            pdf_pages=settings.pdf_pages,
            pdf_blocks=settings.pdf_blocks,
            pdf_pixels=settings.pdf_pixels,
            pdf_seconds=settings.pdf_seconds,
            archive_bytes=settings.archive_bytes,
            archive_files=settings.archive_files,
            archive_unpacked_bytes=settings.archive_unpacked_bytes,
            archive_file_bytes=settings.archive_file_bytes,
        )
