"""The pictures in a file: an image is one, a PDF has pages, a video is sampled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.losses import lost_of_film
from prismhouse.engine.extractors.pages import MOST_PAGES, UNREAD_PAGES, opened_part, page_failure, page_picture
from prismhouse.engine.extractors.port import Part, RowFailure
from prismhouse.engine.extractors.rows import read_bytes
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.film import Film
from prismhouse.engine.media.image import decode_image

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Reading", "View", "of_image", "of_pdf", "of_video"]

_PAGE_DPI = 144
_EARLY_SECONDS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A picture. `frame` and `seconds` place it in a video, `page` (from 0) in a PDF."""

    image: Image
    frame: int | None = None
    seconds: float | None = None
    page: int | None = None


@dataclass(slots=True)
class Reading:
    """What is known of a row's files beside their pictures: what failed, what was left out, how many were looked at."""

    failures: list[RowFailure] = field(default_factory=list)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    views: int = 0

    def drop(self, kind: str, reason: str, count: int) -> None:
        """Count what was left out."""
        reasons = self.dropped.setdefault(kind, {})
        reasons[reason] = reasons.get(reason, 0) + count


def of_image(part: Part, resources: Resources) -> Iterator[View]:
    """Yield the picture, at its full size: faces may be small."""
    yield View(image=decode_image(read_bytes(part), max_pixels=resources.image_pixels).image)


def of_pdf(part: Part, resources: Resources, reading: Reading) -> Iterator[View]:
    """Yield the pages; one that cannot be drawn is noted."""
    with opened_part(part, resources) as pdf:
        last = pdf.pages - pdf.dropped
        if pdf.dropped:
            reading.drop("pages", MOST_PAGES, pdf.dropped)
        for number in range(1, last + 1):
            try:
                image = page_picture(pdf, number, _PAGE_DPI).image
            except MediaFault as fault:
                reading.failures.append(page_failure(fault, number))
                if fault.code == "pdf_too_slow":
                    if number < last:
                        reading.drop("pages", UNREAD_PAGES, last - number)
                    return
            else:
                yield View(image=image, page=number - 1)


def of_video(part: Part, resources: Resources, parameters: Mapping[str, Any], reading: Reading) -> Iterator[View]:
    """Yield pictures at the sampling rate, as far as the video is to be looked at."""
    require(("av",), extra="media", needed_for="Reading videos")
    rate, longest, due = parameters["video_sampling_fps"], parameters["max_video_length"], 0.0
    with file_of(part) as path, opened(path, "video", resources.media, threads=resources.threads) as media:
        film = Film(media)
        for frame in film:
            if frame.time >= longest:
                left = (media.duration or frame.time) - longest
                reading.drop("segments", "max_video_length", max(1, math.ceil(left * rate)))
                return
            if frame.time + _EARLY_SECONDS >= due:
                due = (math.floor((frame.time + _EARLY_SECONDS) * rate) + 1) / rate
                yield View(image=frame.picture(), frame=frame.number, seconds=frame.time)
        reading.failures += lost_of_film(film)
