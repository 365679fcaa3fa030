"""Goes through the videos of a row: one pass over the pictures finds what moves, and what stands is read beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.losses import lost_of_film, without
from prismhouse.engine.extractors.ocr import Spread, merged, read_lines
from prismhouse.engine.extractors.port import ExtractedDocument, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import one_by_one, parts, settled, spared
from prismhouse.engine.extractors.scrolling.bands import Band, BandFinder
from prismhouse.engine.extractors.scrolling.motion import Rule, Sample
from prismhouse.engine.extractors.scrolling.ocr import read_strip, without_repeats
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.film import Film

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ScrollingTextExtractor"]

_LONGEST_SIDE = 1280
_GREY = (128, 128, 128)
_EARLY_SECONDS = 1e-4
_STATIC_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ScrollingTextExtractor:
    """A document for each video."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        return one_by_one(rows, self._row)

    def _row(self, row: Row) -> RowResult:
        documents: list[ExtractedDocument] = []
        failures: list[RowFailure] = []
        for part in parts(row, "video"):
            with spared(row, failures):
                require(("av",), extra="media", needed_for="Reading videos")
                with file_of(part) as path:
                    document, missing = self._watched(part, path)
                documents.append(document)
                failures += missing
        return settled(row, documents, failures, empty="There is no video.")

    def _watched(self, part: Part, path: Path) -> tuple[ExtractedDocument, list[RowFailure]]:
        limits = self.resources.media
        with opened(path, "video", limits, threads=self.resources.threads) as media:
            film = Film(media)
            watched = _Watched(film, self.parameters, limits.scroll_width)
            watched.go()
        bands = [told for band in watched.finder.close() if (told := self._told(band, watched.scale))["text"]]
        for index, told in enumerate(bands):
            told["band_index"] = index
        fields: dict[str, Any] = {
            "scrolling_text": " | ".join(told["text"] for told in bands),
            "scroll_bands": bands,
            "bands_detected": len(bands),
            "start_time": 0.0,
            "end_time": film.end,
            "duration": film.end,
            "width": film.size[0],
            "height": film.size[1],
            "source_fps": round(film.fps, 6),
        }
        if self.parameters["static_ocr"]:
            fields["static_text"] = "\n".join(
                merged(read_lines(_covered(one, bands, watched.scale), self.resources) for one in watched.standing)
            )
        sources = {"source_video_url": part.blob_id} if part.blob_id else {}
        document = ExtractedDocument(position=(0.0,), fields=fields, sources=sources)
        too_long = [_too_long(limits.scroll_width)] if watched.finder.is_cut else []
        return document, [*lost_of_film(film), *too_long]

    def _told(self, band: Band, scale: float) -> dict[str, Any]:
        read = [read_strip(strip, self.resources) for strip in band.passages]
        return {
            "text": without_repeats(" ".join(text for text in read if text)),
            "direction": "left" if band.speed < 0 else "right",
            "speed_px_per_second": round(abs(band.speed) / scale, 1),
            "y": round(band.top / scale),
            "height": round((band.bottom - band.top) / scale),
            "start_time": round(band.start, 3),
            "end_time": round(band.end, 3),
        }


class _Watched:
    """One pass over a video: grey pictures for what moves, some in colour for what stands."""

    def __init__(self, film: Film, parameters: Mapping[str, Any], most_width: int) -> None:
        self._film, self._parameters, self._most_width = film, parameters, most_width
        self.scale = 1.0
        self.finder = self._finder()
        self.standing: list[Image] = []

    def go(self) -> None:
        """Show each picture to those who take it."""
        spread = Spread(self._parameters["max_static_frames"])
        sampled = looked = -1.0
        for frame in self._film:
            if frame.number == 0:
                self.scale = min(1.0, _LONGEST_SIDE / max(self._film.size))
                self.finder = self._finder()
            if sampled >= 0 and frame.time - sampled < 1 / self._parameters["fps"] - _EARLY_SECONDS:
                continue
            sampled = frame.time
            picture = frame.picture(_LONGEST_SIDE)
            self.finder.take(Sample(frame.time, np.asarray(picture.convert("L"), dtype=np.float32)))
            if self._parameters["static_ocr"] and (looked < 0 or frame.time - looked >= _STATIC_EVERY_SECONDS):
                looked = frame.time
                spread.show(partial(_same, picture))
        self.standing = spread.chosen()

    def _finder(self) -> BandFinder:
        rule = Rule(
            strip_height=max(4, round(self._parameters["strip_height"] * self.scale)),
            min_shift=self._parameters["min_shift_px"] * self.scale,
            consistency=self._parameters["consistency_ratio"],
        )
        pad = round(self._parameters["pad"] * self.scale)
        return BandFinder(rule, pad=pad, most_width=self._most_width)


def _covered(picture: Image, bands: Sequence[Mapping[str, Any]], scale: float) -> Image:
    """Return the picture with its bands painted over, since what moves does not stand."""
    shown = picture.copy()
    for band in bands:
        top = round(band["y"] * scale)
        box = (0, top, shown.width, min(shown.height, round((band["y"] + band["height"]) * scale)))
        shown.paste(_GREY, box)
    return shown


def _same(picture: Image) -> Image:
    return picture


def _too_long(most: int) -> RowFailure:
    message = f"More than {most} pixels of moving writing pass; the later ones are not read."
    advice = "Cut the video, or raise PRISMHOUSE_MEDIA__SCROLL_WIDTH."
    return without("scrolling_text", "scroll_too_long", f"{message} {advice}")
