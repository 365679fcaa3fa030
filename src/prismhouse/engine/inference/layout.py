"""PicoDet trained on CDLA: the parts of a page (text, title, figure, table, header, footer, list of references ...)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.port import Region
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.weights import verified

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PicoDet", "load"]

_HEIGHT, _WIDTH = 800, 608
_STRIDES = (8, 16, 32, 64)
_LEAST_CERTAINTY = 0.4
_MOST_OVERLAP = 0.5
_MOST_CANDIDATES = 1000
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class PicoDet:
    """A loaded model. Safe to call from several threads."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._kinds = session.get_modelmeta().custom_metadata_map["character"].split("\n")

    def regions(self, page: Image) -> list[Region]:
        """Return the parts of a page, an upright RGB picture, likeliest first."""
        from PIL.Image import Resampling

        small = np.asarray(page.resize((_WIDTH, _HEIGHT), Resampling.BILINEAR), dtype=np.float32)[:, :, ::-1]
        given = ((small / 255 - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None]
        found = self._session.run(None, {self._session.get_inputs()[0].name: np.ascontiguousarray(given)})
        boxes, scores = _decoded(found)
        scale = np.array([page.width / _WIDTH, page.height / _HEIGHT] * 2, dtype=np.float32)
        regions = [
            Region(
                kind=kind,
                box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
                confidence=round(float(score), 4),
            )
            for number, kind in enumerate(self._kinds)
            for box, score in _best(boxes * scale, scores[:, number])
        ]
        return sorted(regions, key=lambda one: -one.confidence)


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> PicoDet:  # noqa: ARG001 - loaders are called alike
    """Return the model, its file verified; raise ExtraMissing, ModelMissing or ModelDamaged."""
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    return PicoDet(open_session(verified(entry.files["weights"], entry.name), threads))


def _decoded(found: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return boxes `(n, 4)` in pixels of the input and scores `(n, kinds)`.

    A cell tells how far each side is as a distribution over whole strides.
    """
    boxes, scores = [], []
    for stride, score, spread in zip(_STRIDES, found[:4], found[4:], strict=True):
        rows, columns = -(-_HEIGHT // stride), -(-_WIDTH // stride)
        across, down = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
        middle = np.stack([across.ravel(), down.ravel()] * 2, axis=1) * stride
        weights = spread[0].reshape(len(middle), 4, -1)
        weights = np.exp(weights - weights.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        distance = weights @ np.arange(weights.shape[2]) * stride
        boxes.append(np.clip(middle + np.array([-1, -1, 1, 1]) * distance, 0, [_WIDTH, _HEIGHT] * 2))
        scores.append(score[0])
    return np.concatenate(boxes).astype(np.float32), np.concatenate(scores)


def _best(boxes: FloatArray, scores: FloatArray) -> list[tuple[FloatArray, float]]:
    """Return the likeliest boxes of a kind that do not overlap."""
    order = [place for place in np.argsort(-scores)[:_MOST_CANDIDATES] if scores[place] > _LEAST_CERTAINTY]
    kept: list[int] = []
    for place in order:
        if all(_overlap(boxes[place], boxes[other]) <= _MOST_OVERLAP for other in kept):
            kept.append(place)
    return [(boxes[place], float(scores[place])) for place in kept]


def _overlap(one: FloatArray, other: FloatArray) -> float:
    sides = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    shared = float(sides.prod())
    return shared / max(float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - shared, 1e-6)
