"""Faces: YuNet finds them with five landmarks, SFace gives a vector of 128 numbers for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.kept import kept
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.weights import read_verified
from prismhouse.engine.media.errors import MediaFault

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ALIGNED_SIDE", "Face", "FaceModel", "load"]

ALIGNED_SIDE = 112
"""Side of a face turned upright, as the second model takes it."""

_LONGEST_SIDE = 1024
_STRIDES = (8, 16, 32)
_OVERLAP = 0.3
_MOST = 2_000
_QUERY_THRESHOLD = 0.5
_GRAPH_REVISION = 1
_REFERENCE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""Where eyes, nose and corners of the mouth are in an aligned face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One face, in pixels of the picture.

    Attributes:
        box: left, top, right, bottom, inside the picture.
        score: how sure it is a face, 0 to 1.
        landmarks: `(5, 2)`: the eye, then the other eye, from left to right; nose; corners of the mouth.
        aligned: the face upright, 112 x 112.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: FloatArray
    aligned: Image


class FaceModel:
    """A loaded model. Safe to call from several threads."""

    dimensions = 128

    def __init__(self, detector: bytes, recognizer: bytes, threads: int) -> None:
        self._detector = open_session(detector, threads, unpack=True)
        self._recognizer = open_session(recognizer, threads, unpack=True)
        self._outputs = [output.name for output in self._detector.get_outputs()]

    def find(self, image: Image, *, threshold: float, smallest: float = 0) -> list[Face]:
        """Return the faces of an RGB image, the largest first.

        It is looked at with 1024 pixels on the longer side at most: what is smaller than ten of those is not found.

        Args:
            image: any size.
            threshold: faces less sure than this are left out.
            smallest: faces are left out whose box is narrower or lower, in pixels of the image.
        """
        from PIL.Image import Resampling

        scale = min(1.0, _LONGEST_SIDE / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        shrunk = image if size == image.size else image.resize(size, Resampling.BOX, reducing_gap=2.0)
        found = self._detect(np.asarray(shrunk), threshold)
        ratio = np.array([image.width / size[0], image.height / size[1]])
        faces = []
        for box, landmarks, score in found:
            corners = np.clip(box.reshape(2, 2) * ratio, 0, image.size)
            left, top, right, bottom = (float(value) for value in corners.ravel())
            if min(right - left, bottom - top) < max(smallest, 1):
                continue
            points = (landmarks * ratio).astype(np.float32)
            face = Face(
                box=(left, top, right, bottom), score=float(score), landmarks=points, aligned=_aligned(image, points)
            )
            faces.append(face)
        return sorted(faces, key=lambda face: -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))

    def embed_faces(self, faces: Sequence[Image]) -> FloatArray:
        """Return `(n, 128)` float32 of aligned faces, not of unit length. Cost: about 10 ms a face on one core."""
        made = np.zeros((len(faces), self.dimensions), np.float32)
        for place, face in enumerate(faces):
            pixels = np.asarray(face, np.float32).transpose(2, 0, 1)[None]
            (made[place : place + 1],) = self._recognizer.run(["fc1"], {"data": pixels})
        return made

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """Return `(n, 128)` float32 of unit length, of the largest face of each image; raise MediaFault without one."""
        largest = []
        for image in images:
            faces = self.find(image, threshold=_QUERY_THRESHOLD)
            if not faces:
                raise MediaFault("no_face", "There is no face in it. Send a picture of one person.")
            largest.append(faces[0].aligned)
        made = self.embed_faces(largest)
        unit: FloatArray = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return unit

    def _detect(self, pixels: Any, threshold: float) -> list[tuple[FloatArray, FloatArray, float]]:
        """Return box, landmarks and score of each face; the picture is padded to whole cells."""
        height, width = pixels.shape[:2]
        cell = _STRIDES[-1]
        padded = np.zeros((-(-height // cell) * cell, -(-width // cell) * cell, 3), np.float32)
        padded[:height, :width] = pixels[:, :, ::-1]
        made = self._detector.run(self._outputs, {"input": padded.transpose(2, 0, 1)[None]})
        outputs = {name: value[0] for name, value in zip(self._outputs, made, strict=True)}
        boxes, points, scores = [], [], []
        for stride in _STRIDES:
            sure = np.sqrt(np.clip(outputs[f"cls_{stride}"], 0, 1) * np.clip(outputs[f"obj_{stride}"], 0, 1))[:, 0]
            (kept_places,) = np.nonzero(sure >= threshold)
            at = np.stack([kept_places % (padded.shape[1] // stride), kept_places // (padded.shape[1] // stride)], 1)
            shape = outputs[f"bbox_{stride}"][kept_places]
            centre, half = (at + shape[:, :2]) * stride, np.exp(np.minimum(shape[:, 2:], 20)) * stride / 2
            boxes.append(np.concatenate([centre - half, centre + half], 1))
            marks = outputs[f"kps_{stride}"][kept_places].reshape(-1, 5, 2)
            points.append((marks + at[:, None, :]) * stride)
            scores.append(sure[kept_places])
        return _apart(np.concatenate(boxes), np.concatenate(points), np.concatenate(scores))


def _apart(boxes: FloatArray, points: FloatArray, scores: FloatArray) -> list[tuple[FloatArray, FloatArray, float]]:
    """Return what is left when of two that overlap the surer one is kept."""
    order = np.argsort(-scores, kind="stable")[:_MOST]
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    chosen = []
    while len(order):
        first, rest = order[0], order[1:]
        chosen.append((boxes[first], points[first], float(scores[first])))
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = rest[shared <= _OVERLAP * (areas[first] + areas[rest] - shared)]
    return chosen


def _aligned(image: Image, landmarks: FloatArray) -> Image:
    """Return the face turned, scaled and moved so that its landmarks come nearest to the reference."""
    from PIL.Image import Resampling, Transform

    forward = _similarity(landmarks.astype(np.float64), _REFERENCE)
    shrink = int(1 / max(float(np.hypot(forward[0, 0], forward[1, 0])), 1e-6))
    if shrink > 1:
        # A large face is averaged down first: sampled sparsely, it would be noise.
        corners = np.array([[0, 0], [ALIGNED_SIDE, 0], [0, ALIGNED_SIDE], [ALIGNED_SIDE, ALIGNED_SIDE]], np.float64)
        back = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))[:2]
        seen = corners @ back[:, :2].T + back[:, 2]
        left, top = (int(value) for value in np.clip(np.floor(seen.min(axis=0)), 0, image.size))
        right, bottom = (int(value) for value in np.clip(np.ceil(seen.max(axis=0)), 0, image.size))
        if right - left >= shrink and bottom - top >= shrink:
            image = image.reduce(shrink, box=(left, top, right, bottom))
            forward = _similarity((landmarks.astype(np.float64) - [left, top]) / shrink, _REFERENCE)
    inverse = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))[:2]
    size = (ALIGNED_SIDE, ALIGNED_SIDE)
    return image.transform(size, Transform.AFFINE, tuple(inverse.ravel().tolist()), Resampling.BILINEAR)


def _similarity(source: Any, target: Any) -> Any:
    """Return the `(2, 3)` turn, scale and shift that takes `source` nearest to `target`, by least squares (Umeyama)."""
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - from_mean
    spread = float((centred**2).sum())
    if spread < 1e-6:
        return np.array([[1.0, 0.0, to_mean[0] - from_mean[0]], [0.0, 1.0, to_mean[1] - from_mean[1]]])
    real = float((centred * (target - to_mean)).sum()) / spread
    turned = float((centred[:, 0] * (target - to_mean)[:, 1] - centred[:, 1] * (target - to_mean)[:, 0]).sum()) / spread
    linear = np.array([[real, -turned], [turned, real]])
    return np.column_stack([linear, to_mean - linear @ from_mean])


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> FaceModel:
    """Return the model; the first call writes both graphs to `cache_dir` in the form that onnxruntime takes.

    Raises ExtraMissing, ModelMissing or ModelDamaged.
    """
    require(entry.imports, extra=entry.extra, needed_for=entry.title)

    def ready(role: str) -> bytes:
        file = entry.files[role]
        path = cache_dir / f"{entry.name}-{role}-{file.sha256[:12]}-{_GRAPH_REVISION}.bin"
        return kept(path, lambda: _usable(read_verified(file, entry.name)))

    return FaceModel(ready("detector"), ready("recognizer"), threads)


def _usable(weights: bytes) -> bytes:
    """Return the graph with its picture as the only input, of any size where it is the detector's.

    The recognizer lists weights as inputs that a later version of it no longer has. Both say a block size where there
    is one scale for all, which onnxruntime refuses.
    """
    import onnx

    model = onnx.load_model_from_string(weights)
    graph = model.graph
    single = {one.name for one in graph.initializer if list(one.dims) in ([], [1])}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[1] in single:
            del node.attribute[:]
    picture = next(one for one in graph.input if one.name in ("input", "data"))
    if picture.name == "input":
        for place, name in ((2, "height"), (3, "width")):
            picture.type.tensor_type.shape.dim[place].dim_param = name
        del graph.value_info[:]
        for output in graph.output:
            output.type.tensor_type.shape.dim[1].dim_param = f"{output.name}_cells"
    only = picture.SerializeToString()
    del graph.input[:]
    graph.input.add().ParseFromString(only)
    made: bytes = model.SerializeToString()
    return made
