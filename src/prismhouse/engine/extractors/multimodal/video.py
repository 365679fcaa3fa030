"""A video becomes segments: one pass over its pictures gives cuts, vectors, labels and thumbnails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.losses import lost_of_film, lost_of_sound
from prismhouse.engine.extractors.multimodal.description import Describer, pictures_of
from prismhouse.engine.extractors.multimodal.ocr import FilmReader, Written
from prismhouse.engine.extractors.multimodal.parameters import shot_threshold, silence_threshold
from prismhouse.engine.extractors.pictures import DECODED_AT_ONCE, joint_model, jpeg_file, look_at
from prismhouse.engine.extractors.port import ExtractedDocument, FloatArray, Part, RowFailure
from prismhouse.engine.extractors.segments import Begins, Segment, Segmenter, at_scenes, at_times, check_segments, every
from prismhouse.engine.extractors.speech import (
    Heard,
    sound_of,
    speech_vector,
    transcribe,
    without_speech,
)
from prismhouse.engine.inference.registry import MINILM
from prismhouse.engine.media.container import Media, opened
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.film import Film, FilmFrame
from prismhouse.engine.media.image import thumbnail
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.sound import Sound, pauses

__all__ = ["SAMPLES_PER_SECOND", "film_documents"]

SAMPLES_PER_SECOND = 1.0
"""Pictures that are embedded, beside the first of each segment."""

_SHORTEST_PAUSE_SECONDS = 0.5
_LONGEST_SIDE = 640
_LABELS_TOLD = 5
_EARLY_SECONDS = 1e-4
_MOST_THUMBNAILS = 64
"""Held of one segment at a time. A segment may be as long as the video."""


@dataclass(slots=True)
class _Looked:
    """What is known of a segment: sums over its sampled pictures; `fields` and `vectors` become the document's."""

    sums: dict[str, FloatArray] = field(default_factory=dict)
    labels: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    thumbnails: list[bytes] = field(default_factory=list)
    thumbnail: bytes | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, FloatArray] = field(default_factory=dict)
    samples: int = 0
    shown: int = 0
    stride: int = 1

    def show(self, draw: Callable[[Any], bytes], picture: Any) -> None:
        """Keep a thumbnail of every `stride`th picture: which one is in the middle is not known before the end."""
        if self.shown % self.stride == 0:
            self.thumbnails.append(draw(picture))
            if len(self.thumbnails) > _MOST_THUMBNAILS:
                del self.thumbnails[1::2]
                self.stride *= 2
        self.shown += 1


class _Eye:
    """Looks at sampled pictures, some at a time, for the segment that each belongs to."""

    def __init__(
        self, resources: Resources, *, joint: str, thumbnails: bool, describer: Describer, heard: Heard
    ) -> None:
        self._resources = resources
        self._joint = joint
        self._thumbnails = thumbnails
        self._describer = describer
        self._heard = heard
        self._waiting: list[tuple[int, Any]] = []
        self.seen: dict[int, _Looked] = defaultdict(_Looked)

    def take(self, segment: int, frame: FilmFrame) -> None:
        """Note a picture of a segment."""
        picture = frame.picture(_LONGEST_SIDE)
        self._waiting.append((segment, picture))
        if self._thumbnails or self._describer.looks:
            self.seen[segment].show(thumbnail, picture)
        if len(self._waiting) >= DECODED_AT_ONCE:
            self.look()

    def end(self, segment: Segment) -> None:
        """Keep the thumbnail in the middle of a segment, since its ends are where the picture changes; ask about it."""
        held = self.seen[segment.number]
        if self._describer.looks:
            said = self._heard.fields(segment.start, segment.end).get("transcription", "")
            pictures = pictures_of(held.thumbnails, segment.end - segment.start, self._describer.parameters)
            self._describer.ask(held.fields, held.vectors, pictures, said=said)
        if held.thumbnails and self._thumbnails:
            held.thumbnail = held.thumbnails[len(held.thumbnails) // 2]
        held.thumbnails.clear()

    def look(self) -> None:
        """Embed what waits."""
        waiting, self._waiting = self._waiting, []
        looked = look_at([picture for _, picture in waiting], self._resources, self._joint)
        for (segment, _), (vectors, labels) in zip(waiting, looked, strict=True):
            held = self.seen[segment]
            held.samples += 1
            for name, vector in vectors.items():
                held.sums[name] = held.sums[name] + vector if name in held.sums else vector
            for label in labels:
                held.labels[label["label"]] += label["confidence"]


def film_documents(
    part: Part,
    path: Path,
    modality: str,
    *,
    parameters: Mapping[str, Any],
    resources: Resources,
    cover: bytes | None,
    describer: Describer,
) -> tuple[list[ExtractedDocument], list[RowFailure]]:
    """Return a document for each segment, and what of the video is missing from them.

    Args:
        part: the input, for its blob.
        path: the same as a file.
        modality: `video` or `gif`.
        parameters: as the extractor was given them.
        resources: of the process.
        cover: a JPEG to show for every segment instead of its own picture.
        describer: asks about each segment, and fills in its document later.

    Raises:
        MediaFault: the video gives nothing.
    """
    with opened(path, modality, resources.media, threads=resources.threads) as media:
        sound, heard = _listen(path, media, parameters, resources)
        film, segmenter = Film(media), _segmenter(sound, parameters)
        thumbnails = parameters["enable_thumbnails"] and cover is None
        eye = _Eye(resources, joint=joint_model(parameters), thumbnails=thumbnails, describer=describer, heard=heard)
        reader = FilmReader(resources, wanted=parameters["run_ocr"])
        segments = _watch(film, segmenter, eye, reader, resources.media)
    width, height = film.size
    documents = [
        _document(
            segment,
            eye.seen[segment.number],
            fields={
                "modality": modality,
                "width": width,
                "height": height,
                "source_fps": round(film.fps, 6),
                "fps": SAMPLES_PER_SECOND,
            },
            heard=heard,
            written=reader.written.get(segment.number, Written()),
            cover=cover,
            part=part,
            parameters=parameters,
            resources=resources,
        )
        for segment in segments
    ]
    unread = [reader.failure] if reader.failure else []
    return documents, [*heard.failures, *unread, *lost_of_film(film)]


def _watch(film: Film, segmenter: Segmenter, eye: _Eye, reader: FilmReader, limits: MediaLimits) -> list[Segment]:
    """Go through the video once."""
    segments: list[Segment] = []
    number, sampled_at = -1, 0.0
    for frame in film:
        is_first, ended = segmenter.take(frame)
        if ended is not None:
            segments.append(ended)
            eye.end(ended)
            reader.end(ended.number)
            check_segments(ended.number + 2, limits)
        number += is_first
        if is_first or frame.time - sampled_at >= 1 / SAMPLES_PER_SECOND - _EARLY_SECONDS:
            eye.take(number, frame)
            reader.take(frame)
            sampled_at = frame.time
    last = segmenter.close(film.end, film.count)
    if last is not None:
        segments.append(last)
        eye.end(last)
        reader.end(last.number)
    eye.look()
    return segments


def _listen(
    path: Path, media: Media, parameters: Mapping[str, Any], resources: Resources
) -> tuple[Sound | None, Heard]:
    """Return the sound where something needs it, and what is said in it. It is read before the pictures are."""
    wanted = parameters["run_transcription"]
    if not wanted and parameters["split_method"] != "silence":
        return None, Heard()
    try:
        sound = sound_of(path, media, resources)
    except MediaFault as fault:
        return None, without_speech(fault.code, fault.message) if wanted else Heard()
    if not wanted:
        return sound, Heard(failures=tuple(lost_of_sound(sound)))
    return sound, transcribe(sound, parameters["transcription_language"], resources)


def _segmenter(sound: Sound | None, parameters: Mapping[str, Any]) -> Segmenter:
    method, longest = parameters["split_method"], parameters["max_segment_duration"]
    if method == "time":
        interval = parameters["time_split_interval"]
        return Segmenter(every(interval) if interval else at_times(()))
    begins: Begins = at_scenes(shot_threshold(parameters))
    if method == "silence":
        begins = at_times(quiet_moments(sound, parameters) if sound is not None else ())
    return Segmenter(begins, longest=longest)


def quiet_moments(sound: Sound, parameters: Mapping[str, Any]) -> list[float]:
    """Return the middle of each pause."""
    found = pauses(sound, threshold_db=silence_threshold(parameters), shortest=_SHORTEST_PAUSE_SECONDS)
    return [round((start + end) / 2, 6) for start, end in found if start > 0 and end < sound.seconds - _EARLY_SECONDS]


def _document(
    segment: Segment,
    looked: _Looked,
    *,
    fields: Mapping[str, Any],
    heard: Heard,
    written: Written,
    cover: bytes | None,
    part: Part,
    parameters: Mapping[str, Any],
    resources: Resources,
) -> ExtractedDocument:
    told = heard.fields(segment.start, segment.end) | written.fields()
    vectors = looked.vectors
    vectors |= {name: _unit(total) for name, total in looked.sums.items()}
    vectors |= written.vectors(resources, wanted=parameters["run_ocr_embedding"])
    if parameters["run_transcription_embedding"] and told.get("transcription"):
        vectors[MINILM] = speech_vector(told["transcription"], resources)
    likeliest = sorted(looked.labels.items(), key=lambda item: -item[1])[:_LABELS_TOLD]
    jpeg = cover or looked.thumbnail
    # In place: answers about the segment come into these fields and vectors, before or after.
    looked.fields |= {
        **fields,
        "start_time": segment.start,
        "end_time": segment.end,
        "duration": round(segment.end - segment.start, 6),
        "start_frame": segment.start_frame,
        "end_frame": segment.end_frame,
        "labels": [
            {"label": name, "confidence": round(total / max(1, looked.samples), 4)} for name, total in likeliest
        ],
        **told,
    }
    return ExtractedDocument(
        position=(fields["modality"], segment.start, segment.end),
        fields=looked.fields,
        vectors=vectors,
        artifacts=(jpeg_file("thumbnail_url", jpeg),) if jpeg else (),
        sources={"source_video_url": part.blob_id} if part.blob_id else {},
    )


def _unit(total: FloatArray) -> FloatArray:
    norm = float(np.linalg.norm(total))
    return (total / norm).astype(np.float32) if norm > 0 else total
