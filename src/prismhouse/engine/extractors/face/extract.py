"""Goes through the files of a row: finds faces in their pictures, and makes documents of those that count."""

from __future__ import annotations

import base64
import io
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.face.known import Known
from prismhouse.engine.extractors.face.quality import quality_of
from prismhouse.engine.extractors.face.views import Reading, View, of_image, of_pdf, of_video
from prismhouse.engine.extractors.pages import is_pdf
from prismhouse.engine.extractors.pictures import jpeg_file
from prismhouse.engine.extractors.port import Artifact, ExtractedDocument, FloatArray, Row, RowResult
from prismhouse.engine.extractors.rows import one_by_one, parts, settled, spared
from prismhouse.engine.extractors.segments import check_segments
from prismhouse.engine.inference.face import Face, FaceModel
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import FACES
from prismhouse.engine.media.image import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DETECTOR", "FaceExtractor"]

DETECTOR = "yunet_2023mar"
_MARGIN = 0.2
_CROP_QUALITY = 90
_Key = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A face that counts. `unit` is its vector of unit length, `index` its number in the picture."""

    face: Face
    quality: Mapping[str, float] | None
    vector: FloatArray
    unit: FloatArray
    index: int


@dataclass(frozen=True, slots=True)
class FaceExtractor:
    """The extractor with its parameters."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        return one_by_one(rows, self._row)

    def _row(self, row: Row) -> RowResult:
        reading, numbers = Reading(), Counter[_Key]()
        documents: list[ExtractedDocument] = []
        for views, is_video in self._files(row, reading):
            with spared(row, reading.failures):
                documents += self._documents(views, reading, numbers, is_video=is_video)
                check_segments(len(documents), self.resources.media)
        empty = "No face was found." if reading.views else "There is no image, page or video."
        result = settled(row, documents, reading.failures, empty=empty)
        units = {"image": float(reading.views), "face": float(sum(numbers.values()))}
        return replace(result, dropped=reading.dropped, units=units)

    def _files(self, row: Row, reading: Reading) -> Iterator[tuple[Iterator[View], bool]]:
        """Yield what reads the pictures of each file, and whether it is a video."""
        for name in ("image", "video_frame", "pdf"):
            for part in parts(row, name):
                pages = name == "pdf" or is_pdf(part)
                yield of_pdf(part, self.resources, reading) if pages else of_image(part, self.resources), False
        for part in parts(row, "video"):
            yield of_video(part, self.resources, self.parameters, reading), True

    def _documents(
        self, views: Iterator[View], reading: Reading, numbers: Counter[_Key], *, is_video: bool
    ) -> list[ExtractedDocument]:
        joins = is_video and self.parameters["video_deduplication"]
        known = Known(self.parameters["video_deduplication_threshold"])
        made: list[ExtractedDocument] = []
        for view in views:
            reading.views += 1
            started = time.perf_counter()
            found = self._found(view, numbers)
            spent = {"processing_time_ms": round((time.perf_counter() - started) * 1000, 1)}
            if self.parameters["output_mode"] == "per_image":
                new = self._note(known, found, view) if joins else found
                made += [self._of_picture(view, found, spent)] if new else []
            elif joins:
                self._join(known, found, view, spent)
            else:
                made += [self._of_face(view, one, spent) for one in found]
        for one in known if self.parameters["output_mode"] == "per_face" else ():
            seen = {"occurrences": one.count, "first_timestamp": one.first, "last_timestamp": one.last}
            made.append(replace(one.kept, fields={**one.kept.fields, **seen}))
        return made

    def _found(self, view: View, numbers: Counter[_Key]) -> list[_Found]:
        """Return the faces of a picture that count, the largest first, with their vectors."""
        settings, key = self.parameters, _key(view)
        model: FaceModel = loaded(FACES, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        faces = model.find(view.image, threshold=settings["detection_threshold"], smallest=settings["min_face_size"])
        rated = [(face, quality_of(face) if settings["enable_quality_scoring"] else None) for face in faces]
        least = settings["quality_threshold"]
        counting = [(face, rate) for face, rate in rated if least is None or (rate and rate["score"] >= least)]
        counting = counting[: settings["max_faces_per_image"]]
        vectors = model.embed_faces([face.aligned for face, _ in counting])
        units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        first = numbers[key]
        numbers[key] += len(counting)
        return [
            _Found(face=face, quality=rate, vector=vectors[place], unit=units[place], index=first + place)
            for place, (face, rate) in enumerate(counting)
        ]

    def _join(self, known: Known, found: Sequence[_Found], view: View, spent: Mapping[str, Any]) -> None:
        """Keep a new face, or a better view of a known one."""
        for one in found:
            quality, seconds = _rate(one), view.seconds or 0.0
            before = known.find(one.unit)
            if before is None:
                known.add(one.unit, quality, self._of_face(view, one, spent), seconds)
                continue
            before.count, before.last = before.count + 1, seconds
            if quality > before.quality:
                before.unit, before.quality, before.kept = one.unit, quality, self._of_face(view, one, spent)

    def _note(self, known: Known, found: Sequence[_Found], view: View) -> list[_Found]:
        """Return the faces that were not seen before, which then are known."""
        new = [one for one in found if known.find(one.unit) is None]
        for one in new:
            known.add(one.unit, _rate(one), None, view.seconds or 0.0)
        return new

    def _of_face(self, view: View, one: _Found, spent: Mapping[str, Any]) -> ExtractedDocument:
        files = [jpeg_file("face_crop_url", _crop(view.image, one.face), filename="face.jpg")]
        return ExtractedDocument(
            position=(*_key(view), one.index),
            fields={**_place(view), **self._told(one), **spent},
            vectors={FACES: self._vector(one)},
            artifacts=[*(files if self.parameters["include_face_crops"] else ()), *self._shown(view)],
        )

    def _of_picture(self, view: View, found: Sequence[_Found], spent: Mapping[str, Any]) -> ExtractedDocument:
        """Return the document of a picture; its vector is that of its largest face."""
        fields = {"face_index": found[0].index, "face_count": len(found), "faces": [self._told(one) for one in found]}
        return ExtractedDocument(
            position=(*_key(view), found[0].index),
            fields={**_place(view), "embedding_model": FACES, "detection_model": DETECTOR, **fields, **spent},
            vectors={FACES: self._vector(found[0])},
            artifacts=list(self._shown(view)),
        )

    def _vector(self, one: _Found) -> FloatArray:
        return one.unit if self.parameters["normalize_embeddings"] else one.vector

    def _told(self, one: _Found) -> dict[str, Any]:
        told: dict[str, Any] = {"face_index": one.index, "embedding_model": FACES, "detection_model": DETECTOR}
        if self.parameters["store_detection_metadata"]:
            told |= {"bbox": _box(one.face), "detection_score": round(one.face.score, 4)}
            told["landmarks"] = [[round(float(x), 1), round(float(y), 1)] for x, y in one.face.landmarks]
        if one.quality is not None:
            told["quality_score"] = one.quality["score"]
            if self.parameters["store_detection_metadata"]:
                told["quality_components"] = {name: v for name, v in one.quality.items() if name != "score"}
        if self.parameters["include_face_crops"]:
            told["aligned_face_crop"] = base64.b64encode(_jpeg(one.face.aligned)).decode()
        return told

    def _shown(self, view: View) -> Iterator[Artifact]:
        if self.parameters["include_source_frame_thumbnail"]:
            yield jpeg_file("source_frame_thumbnail", thumbnail(view.image), filename="frame.jpg")


def _rate(one: _Found) -> float:
    return one.face.score if one.quality is None else one.quality["score"]


def _key(view: View) -> _Key:
    return view.frame or 0, view.page or 0


def _place(view: View) -> dict[str, Any]:
    frame, page = _key(view)
    place: dict[str, Any] = {
        "source_frame_width": view.image.width,
        "source_frame_height": view.image.height,
        "frame_number": frame,
        "page_number": page,
    }
    return place if view.seconds is None else {**place, "timestamp": round(view.seconds, 6)}


def _box(face: Face) -> dict[str, float]:
    left, top, right, bottom = (round(value, 1) for value in face.box)
    width, height = round(right - left, 1), round(bottom - top, 1)
    return {"x1": left, "y1": top, "x2": right, "y2": bottom, "width": width, "height": height}


def _crop(image: Image, face: Face) -> bytes:
    """Return a JPEG of the face with some of its surroundings."""
    left, top, right, bottom = face.box
    wide, high = (right - left) * _MARGIN, (bottom - top) * _MARGIN
    first = max(0, round(left - wide)), max(0, round(top - high))
    last = min(image.width, round(right + wide)), min(image.height, round(bottom + high))
    return thumbnail(image.crop((*first, *last)))


def _jpeg(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_CROP_QUALITY)
    return buffer.getvalue()
