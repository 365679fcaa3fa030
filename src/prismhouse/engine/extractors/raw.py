"""What a model says of one file by itself, as plain JSON: the entry point of compute processes for raw inference.

Faces and sounds are asked through their extractors, so that a raw answer and a document say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from prismhouse.engine.extractors.audio import DEFINITION as SOUNDS_OF
from prismhouse.engine.extractors.definition import Definition, Resources
from prismhouse.engine.extractors.face import DEFINITION as FACES_OF
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.extractors.speech import said
from prismhouse.engine.inference.configured import ConfiguredModels
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import LayoutModel, WritingModel
from prismhouse.engine.inference.registry import entry, use_models
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import decode_image
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.sound import read_sound

__all__ = ["RAW_PARAMETERS", "RAW_TASKS", "answer_file"]


class _None(Parameters):
    """There is nothing to choose."""


class SpeechParameters(Parameters):
    """How speech is written down."""

    language: str | None = Field(
        None, pattern="^[a-z]{2,3}$", description="ISO 639 code of the language. Unset: found by the model."
    )


class FaceParameters(Parameters):
    """Which faces count."""

    detection_threshold: float = Field(0.5, ge=0, le=1, description="How sure it must be that it is a face.")
    min_face_size: int = Field(20, ge=10, le=200, description="Smallest face, in pixels of the picture.")
    max_faces: int = Field(100, ge=1, le=1000, description="Most faces, the largest first.")


class SoundParameters(Parameters):
    """How a sound is cut into windows."""

    segment_duration_sec: float = Field(5.0, ge=1, le=30, description="Seconds of a window.")
    segment_hop_sec: float = Field(2.5, ge=0.5, le=15, description="Seconds from one window to the next.")
    max_audio_length_sec: int = Field(120, ge=1, le=600, description="Seconds of a sound that are listened to.")


RAW_PARAMETERS: Mapping[str, type[Parameters]] = {
    "text_embedding": _None,
    "image_embedding": _None,
    "joint_embedding": _None,
    "face_embedding": FaceParameters,
    "sound_embedding": SoundParameters,
    "transcription": SpeechParameters,
    "text_recognition": _None,
    "page_layout": _None,
}
"""What may be chosen, by the task of a model."""

RAW_TASKS: Mapping[str, tuple[str, ...]] = {
    "face_embedding": ("image",),
    "sound_embedding": ("audio", "video"),
    "transcription": ("audio", "video"),
    "text_recognition": ("image",),
    "page_layout": ("image",),
}
"""Tasks that `answer_file` does, and the kinds of files they take."""


def answer_file(
    model: str,
    path: Path,
    parameters: Mapping[str, Any],
    threads: int,
    cache_dir: str,
    image_pixels: int,
    media: MediaLimits,
    models: ConfiguredModels | None = None,
) -> Any:
    """Return what the model says of a file: objects, lists, texts and numbers.

    Args:
        model: one whose task is among `RAW_TASKS`.
        path: the file.
        parameters: as the task's model of `RAW_PARAMETERS` gives them.
        threads: of the model.
        cache_dir: keeps converted models between processes.
        image_pixels: larger pictures are refused.
        media: limits of videos and sounds.
        models: those of the file of models, as the caller read it.

    Raises:
        MediaFault: the file is not what the model takes, or is damaged.
        ModelMissing, ModelDamaged, ExtraMissing: the model cannot be loaded.
    """
    if models is not None:
        use_models(models)
    folder = Path(cache_dir).expanduser()
    resources = Resources(threads=threads, cache_dir=folder, image_pixels=image_pixels, media=media)
    task = entry(model).task
    if task == "face_embedding":
        return _faces(path, parameters, resources)
    if task == "sound_embedding":
        return _sounds(path, parameters, resources)
    found = loaded(model, threads=threads, cache_dir=folder)
    if task == "transcription":
        return _speech(found, path, parameters, media)
    picture = decode_image(path.read_bytes(), max_pixels=image_pixels).image
    if task == "text_recognition":
        return _writing(found, picture)
    return _layout(found, picture)


def _speech(model: Any, path: Path, parameters: Mapping[str, Any], media: MediaLimits) -> dict[str, Any]:
    with opened(path, "audio", media, threads=1) as file:
        sound = read_sound(file)
    speech = said(model, sound, parameters["language"])
    words = [{"text": one.text.strip(), "start": one.start, "end": one.end} for one in speech.words]
    return {
        "text": speech.text(),
        "language": speech.language,
        "duration_seconds": round(sound.seconds, 3),
        "words": words,
    }


def _writing(model: WritingModel, picture: Any) -> dict[str, Any]:
    lines = model.read(picture)
    return {
        "text": "\n".join(one.text for one in lines),
        "lines": [{"text": one.text, "bbox": _box(one.box), "confidence": float(one.confidence)} for one in lines],
        "width": picture.width,
        "height": picture.height,
    }


def _layout(model: LayoutModel, picture: Any) -> list[dict[str, Any]]:
    return [
        {"type": one.kind, "bbox": _box(one.box), "confidence": float(one.confidence)} for one in model.regions(picture)
    ]


def _box(box: tuple[float, float, float, float]) -> list[float]:
    return [round(float(side), 1) for side in box]


def _faces(path: Path, parameters: Mapping[str, Any], resources: Resources) -> list[dict[str, Any]]:
    given = {
        "detection_threshold": parameters["detection_threshold"],
        "min_face_size": parameters["min_face_size"],
        "max_faces_per_image": parameters["max_faces"],
        "include_face_crops": False,
        "include_source_frame_thumbnail": False,
    }
    told = ("face_index", "bbox", "detection_score", "landmarks", "quality_score")
    return _documents(FACES_OF, Part(type="image", path=path), given, resources, told)


def _sounds(path: Path, parameters: Mapping[str, Any], resources: Resources) -> list[dict[str, Any]]:
    told = ("segment_index", "start_time_sec", "end_time_sec", "labels")
    return _documents(SOUNDS_OF, Part(type="audio", path=path), parameters, resources, told)


def _documents(
    definition: Definition, part: Part, parameters: Mapping[str, Any], resources: Resources, told: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return some fields and the vector of each document that an extractor makes of a file."""
    complete = {**definition.record.default_parameters, **parameters}
    (result,) = definition.load(complete, resources)([Row(row_id="file", inputs={part.type: part})])
    failures = [result.failure] if result.failure else result.partial_failures
    for failure in failures:
        raise MediaFault(failure.code, failure.message)
    return [
        {name: one.fields[name] for name in told if name in one.fields}
        | {"embedding": next((vector.tolist() for vector in one.vectors.values()), None)}
        for one in result.documents
    ]
