"""PP-OCRv6: finds lines of writing in a picture and reads them. The weights lie in a package that is never imported.

The detector paints where writing is; each spot becomes a box that is turned upright and read by the recognizer, which
says a character for each step from left to right, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.port import ReadLine
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.weights import verified

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PpOcr", "load"]

_SHORTEST_SIDE, _LONGEST_SIDE = 736, 2000
_MULTIPLE = 32
_IS_WRITING, _IS_BOX, _IS_READ = 0.3, 0.5, 0.5
_GROWN = 1.6
_SMALLEST_SPOT = 3
_MOST_SPOTS = 1000
_LINE_HEIGHT = 48
_LEAST_WIDTH, _MOST_WIDTH = 320, 4800
_WIDTH_AT_ONCE = 6400
"""Pixels of lines read at once. Each eighth is a row of 18,710 numbers: 60 MB."""

_UPRIGHT = 1.5
"""What is so much higher than wide is a line that runs upwards."""

_Pixels = npt.NDArray[np.uint8]


class PpOcr:
    """A loaded model. Safe to call from several threads."""

    def __init__(self, detector: Any, recognizer: Any) -> None:
        self._detector, self._recognizer = detector, recognizer
        characters = recognizer.get_modelmeta().custom_metadata_map["character"].split("\n")
        self._characters = np.array(["", *characters, " "], dtype=object)

    def read(self, image: Image) -> list[ReadLine]:
        """Return the lines of an upright RGB picture from top to bottom, each row of them from left to right."""
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        corners = list(self._spots(pixels))
        read = self._recognized([_cut(pixels, one) for one in corners])
        lines = [
            ReadLine(text=" ".join(text.split()), box=_around(one, image.size), confidence=round(confidence, 4))
            for one, (text, confidence) in zip(corners, read, strict=True)
            if text.strip() and confidence >= _IS_READ
        ]
        return _in_order(lines)

    def _spots(self, pixels: _Pixels) -> Iterator[FloatArray]:
        """Yield the corners of each line, `(4, 2)`, clockwise from the upper left."""
        import cv2

        height, width = pixels.shape[:2]
        scale = max(1.0, _SHORTEST_SIDE / min(height, width))
        scale = min(scale, _LONGEST_SIDE / max(height, width))
        small = cv2.resize(pixels, (_multiple(width * scale), _multiple(height * scale)))
        given = (small.astype(np.float32).transpose(2, 0, 1)[None] / 255 - 0.5) / 0.5
        (painted,) = self._detector.run(None, {self._detector.get_inputs()[0].name: given})
        likely = painted[0, 0]
        mask = cv2.dilate((likely > _IS_WRITING).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask * 255, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        back = np.array([width / likely.shape[1], height / likely.shape[0]], dtype=np.float32)
        for outline in outlines[:_MOST_SPOTS]:
            (x, y), (across, up), angle = cv2.minAreaRect(outline)
            if min(across, up) < _SMALLEST_SPOT or _likelihood(likely, (x, y), (across, up), angle) < _IS_BOX:
                continue
            grown = across * up * _GROWN / (2 * (across + up))
            found = cv2.boxPoints(((x, y), (across + 2 * grown, up + 2 * grown), angle)) * back
            corners = _clockwise(np.clip(found, 0, [width - 1, height - 1]).astype(np.float32))
            if min(_lengths(corners)) > _SMALLEST_SPOT:
                yield corners

    def _recognized(self, cuts: Sequence[_Pixels]) -> list[tuple[str, float]]:
        """Return the text of each line and how certain it is; lines of like width are read together."""
        widths = [min(max(_LINE_HEIGHT * one.shape[1] / one.shape[0], 1), _MOST_WIDTH) for one in cuts]
        order = sorted(range(len(cuts)), key=lambda place: -widths[place])
        read: dict[int, tuple[str, float]] = {}
        while order:
            width = max(_LEAST_WIDTH, int(np.ceil(widths[order[0]])))
            group, order = order[: max(1, _WIDTH_AT_ONCE // width)], order[max(1, _WIDTH_AT_ONCE // width) :]
            given = np.stack([_padded(cuts[place], int(np.ceil(widths[place])), width) for place in group])
            (said,) = self._recognizer.run(None, {self._recognizer.get_inputs()[0].name: given})
            read.update({place: self._decoded(steps) for place, steps in zip(group, said, strict=True)})
        return [read[place] for place in range(len(cuts))]

    def _decoded(self, steps: FloatArray) -> tuple[str, float]:
        """Return the characters of `(steps, characters)`: the likeliest of each step, repeats and blanks left out."""
        best = steps.argmax(axis=1)
        kept = np.append(True, best[1:] != best[:-1]) & (best != 0)
        if not kept.any():
            return "", 0.0
        return "".join(self._characters[best[kept]]), float(steps.max(axis=1)[kept].mean())


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> PpOcr:  # noqa: ARG001 - loaders are called alike
    """Return the model, its files verified; raise ExtraMissing, ModelMissing or ModelDamaged."""
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    import cv2

    cv2.setNumThreads(threads)
    detector, recognizer = (
        open_session(verified(entry.files[name], entry.name), threads) for name in ("detector", "recognizer")
    )
    return PpOcr(detector, recognizer)


def _multiple(side: float) -> int:
    return max(_MULTIPLE, round(side / _MULTIPLE) * _MULTIPLE)


def _likelihood(likely: FloatArray, middle: tuple[float, float], size: tuple[float, float], angle: float) -> float:
    """Return the mean of the map within a turned box."""
    import cv2

    corners = cv2.boxPoints((middle, size, angle))
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, None)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = likely[top:bottom, left:right]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [(corners - [left, top]).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def _clockwise(corners: FloatArray) -> FloatArray:
    """Return four corners from the upper left on."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = (half[np.argsort(half[:, 1], kind="stable")] for half in (by_x[:2], by_x[2:]))
    return np.stack([left[0], right[0], right[1], left[1]])


def _lengths(corners: FloatArray) -> tuple[int, int]:
    """Return how wide and high a turned box is."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    return int(max(sides[0], sides[2])), int(max(sides[1], sides[3]))


def _cut(pixels: _Pixels, corners: FloatArray) -> _Pixels:
    """Return what is in a turned box, upright."""
    import cv2

    width, height = _lengths(corners)
    wanted = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    turn = cv2.getPerspectiveTransform(corners, wanted)
    cut: Any = cv2.warpPerspective(
        pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC
    )
    return np.rot90(cut) if height / width >= _UPRIGHT else cut


def _padded(cut: _Pixels, width: int, wanted: int) -> FloatArray:
    import cv2

    small = cv2.resize(np.ascontiguousarray(cut), (width, _LINE_HEIGHT))
    line = small.astype(np.float32).transpose(2, 0, 1)
    padded = np.zeros((3, _LINE_HEIGHT, wanted), dtype=np.float32)
    padded[:, :, :width] = (line / 255 - 0.5) / 0.5
    return padded


def _around(corners: FloatArray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return (float(left), float(top), float(min(right, size[0])), float(min(bottom, size[1])))


def _in_order(lines: Sequence[ReadLine]) -> list[ReadLine]:
    """Return lines by rows: what overlaps the row's first line by half its height is beside it."""
    rows: list[tuple[float, float]] = []
    placed: list[tuple[int, ReadLine]] = []
    for line in sorted(lines, key=lambda one: one.box[1] + one.box[3]):
        _, top, _, bottom = line.box
        middle = (top + bottom) / 2
        if not rows or middle > rows[-1][0] + (rows[-1][1] - rows[-1][0]) * 0.75:
            rows.append((top, bottom))
        placed.append((len(rows), line))
    return [
        line
        for _, row in groupby(placed, key=lambda one: one[0])
        for _, line in sorted(row, key=lambda one: one[1].box[0])
    ]
