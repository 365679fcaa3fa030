"""audio_fingerprint_extractor v1: windows of a sound, each with a vector that like sounds share, and its labels."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.losses import lost_of_sound
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import (
    ExtractedDocument,
    ExtractorRecord,
    Part,
    Row,
    RowFailure,
    RowResult,
)
from prismhouse.engine.extractors.rows import one_by_one, parts, settled, spared
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.extractors.segments import check_segments
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import YAMNET, check_installed
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.sound import Sound, read_sound

__all__ = ["DEFINITION", "AudioParameters"]

_NAME, _VERSION = "audio_fingerprint_extractor", "v1"
_RATE = 16_000
_LABELS = 5
_EARLY_SECONDS = 0.01


class AudioParameters(Parameters):
    """How a sound is cut into windows."""

    unserved: ClassVar[Mapping[str, str]] = {"sample_rate": f"the model takes {_RATE} a second, whatever the file has"}

    extractor_type: Literal["audio_fingerprint_extractor"] = "audio_fingerprint_extractor"
    segment_duration_sec: float = Field(5.0, ge=1, le=30, description="Seconds of a window.")
    segment_hop_sec: float = Field(2.5, ge=0.5, le=15, description="Seconds from the start of one window to the next.")
    sample_rate: int = Field(48_000, description=f"Accepted for clients that send it; {_RATE} is what is used.")
    normalize_embeddings: bool = Field(True, description="Whether vectors are of unit length.")
    max_audio_length_sec: int = Field(120, ge=1, le=600, description="Seconds of a sound that are listened to.")


@dataclass(frozen=True, slots=True)
class _AudioExtractor:
    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        return one_by_one(rows, self._row)

    def _row(self, row: Row) -> RowResult:
        documents: list[ExtractedDocument] = []
        failures: list[RowFailure] = []
        dropped = 0
        for kind in ("audio", "video"):
            for part in parts(row, kind):
                with spared(row, failures):
                    made, left, missing = self._heard(part, kind, first=len(documents))
                    documents += made
                    failures += missing
                    dropped += left
        result = settled(row, documents, failures, empty="There is no sound.")
        return replace(result, dropped={"segments": {"max_audio_length_sec": dropped}} if dropped else {})

    def _heard(self, part: Part, kind: str, *, first: int) -> tuple[list[ExtractedDocument], int, list[RowFailure]]:
        """Return a document for each window, how many windows were left out, and what was lost."""
        require(("av",), extra="media", needed_for="Reading sounds")
        with file_of(part) as path, opened(path, "audio", self.resources.media, threads=1) as media:
            sound = read_sound(media, rate=_RATE)
        starts = self._starts(sound.seconds)
        heard = [start for start in starts if start < self.parameters["max_audio_length_sec"]]
        check_segments(first + len(heard), self.resources.media)
        documents = [self._window(sound, kind, start, number) for number, start in enumerate(heard, first)]
        return documents, len(starts) - len(heard), lost_of_sound(sound)

    def _starts(self, seconds: float) -> list[float]:
        """Return where windows begin: the last one reaches the end, and none begins behind it."""
        length, hop = self.parameters["segment_duration_sec"], self.parameters["segment_hop_sec"]
        count = 1 + max(0, math.ceil((seconds - length - _EARLY_SECONDS) / hop))
        return [start for number in range(count) if (start := round(number * hop, 6)) < seconds]

    def _window(self, sound: Sound, kind: str, start: float, number: int) -> ExtractedDocument:
        began, settings = time.perf_counter(), self.parameters
        longest = min(sound.seconds, float(settings["max_audio_length_sec"]))
        end = min(start + settings["segment_duration_sec"], longest)
        model = loaded(YAMNET, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        heard = model.hear(sound.samples(start, end))
        norm = float(np.linalg.norm(heard.features))
        vector = heard.features / norm if settings["normalize_embeddings"] and norm else heard.features
        likeliest = np.argsort(-heard.probabilities)[:_LABELS]
        fields = {
            "segment_index": number,
            "start_time_sec": round(start, 3),
            "end_time_sec": round(end, 3),
            "duration_sec": round(end - start, 3),
            "total_duration_sec": round(sound.seconds, 3),
            "sample_rate": _RATE,
            "audio_source_type": kind,
            "embedding_model": YAMNET,
            "labels": [
                {"label": model.classes[place], "confidence": round(float(heard.probabilities[place]), 4)}
                for place in likeliest
            ],
            "processing_time_ms": round((time.perf_counter() - began) * 1000, 1),
        }
        return ExtractedDocument(position=(number,), fields=fields, vectors={YAMNET: vector} if norm else {})


def _load(parameters: Mapping[str, Any], resources: Resources) -> _AudioExtractor:
    """Return the extractor; raise ModelMissing before a file is read."""
    check_installed(YAMNET)
    return _AudioExtractor(parameters, resources)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Cuts sounds into windows, each with a vector that like sounds share, and says what is heard.",
    category="audio",
    icon="music",
    input_schema={
        "type": "object",
        "properties": {
            "audio": field_schema("string", "A stored sound."),
            "video": field_schema("string", "A stored video; its sound is meant."),
        },
    },
    output_schema={
        "type": "object",
        "properties": {
            "segment_index": field_schema("integer", "Number of the window, from 0."),
            "start_time_sec": field_schema("number", "Where it begins."),
            "end_time_sec": field_schema("number", "Where it ends."),
            "duration_sec": field_schema("number", "How long it is."),
            "total_duration_sec": field_schema("number", "How long the sound is."),
            "sample_rate": field_schema("integer", "Samples a second that the model was given."),
            "audio_source_type": field_schema("string", "audio or video."),
            "embedding_model": field_schema("string", "The model that made the vector."),
            "labels": {
                "type": "array",
                "description": "The likeliest of 521 AudioSet labels, likeliest first.",
                "items": {
                    "type": "object",
                    "properties": {"label": {"type": "string"}, "confidence": {"type": "number"}},
                },
            },
            "processing_time_ms": field_schema("number", "Time spent on the window."),
        },
    },
    parameter_schema=AudioParameters.model_json_schema(),
    default_parameters=AudioParameters().model_dump(mode="json"),
    input_types={"audio": ("audio",), "video": ("video",)},
    vector_outputs=(vector_output(YAMNET, f"{_NAME}_{_VERSION}_embedding", queries=("vector",)),),
    position_fields=("segment_index",),
    costs=priced(2, "moderate", {"extraction": 3}),
    example_usage={"feature_extractor_name": _NAME, "version": _VERSION, "input_mappings": {"audio": "recording"}},
)

DEFINITION = Definition(record=_RECORD, parameters=AudioParameters, load=_load)
