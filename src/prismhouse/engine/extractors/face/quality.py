"""How good a view of a face is: sharp, large, from the front, well lit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prismhouse.engine.inference.face import ALIGNED_SIDE, Face

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["quality_of"]

_SHARP = 300.0
_FAIR_LIGHT = (70.0, 190.0)
_TURNED = 2.5


def quality_of(face: Face) -> dict[str, float]:
    """Return `sharpness`, `size`, `pose`, `brightness` and `detection`, each 0 to 1, and `score`, their geometric mean.

    They are measured on the picture, by rules: no model rates faces.
    """
    left, top, right, bottom = face.box
    parts = {
        "detection": face.score,
        "sharpness": _sharpness(face.aligned),
        "size": min(1.0, min(right - left, bottom - top) / ALIGNED_SIDE),
        "pose": _frontality(face),
        "brightness": _brightness(face.aligned),
    }
    score = float(np.exp(np.mean(np.log(np.maximum(list(parts.values()), 1e-3)))))
    return {"score": round(score, 4), **{name: round(float(value), 4) for name, value in parts.items()}}


def _sharpness(aligned: Image) -> float:
    """Return how much neighbouring pixels differ from their mean (variance of the Laplacian)."""
    grey = np.asarray(aligned.convert("L"), np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return min(1.0, float((around - 4 * grey[1:-1, 1:-1]).var()) / _SHARP)


def _frontality(face: Face) -> float:
    """Return how even the nose's way to both eyes is."""
    eye, other, nose = face.landmarks[:3]
    first, second = float(np.hypot(*(nose - eye))), float(np.hypot(*(nose - other)))
    return max(0.0, 1.0 - _TURNED * abs(first - second) / max(first + second, 1e-6))


def _brightness(aligned: Image) -> float:
    mean = float(np.asarray(aligned.convert("L"), np.float32).mean())
    low, high = _FAIR_LIGHT
    if mean < low:
        return mean / low
    return 1.0 if mean <= high else max(0.0, (255.0 - mean) / (255.0 - high))
