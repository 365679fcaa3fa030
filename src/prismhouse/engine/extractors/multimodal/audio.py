"""A sound becomes segments: what is said in each, and its vector, where something is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.losses import lost_of_sound, without
from prismhouse.engine.extractors.multimodal.description import Describer
from prismhouse.engine.extractors.multimodal.video import quiet_moments
from prismhouse.engine.extractors.pictures import joint_model
from prismhouse.engine.extractors.port import ExtractedDocument, FloatArray, Part, RowFailure
from prismhouse.engine.extractors.segments import check_segments, spans
from prismhouse.engine.extractors.speech import Heard, speech_vector, transcribe
from prismhouse.engine.inference.registry import CONSE, MINILM
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.sound import Sound, read_sound

__all__ = ["sound_documents"]

_NO_VECTOR = without(
    "multimodal_embedding",
    "no_sound_model",
    "No model here puts sounds into the vector space; speech gets there as text. Set run_transcription.",
    stage="embed",
)


def sound_documents(
    part: Part, path: Path, *, parameters: Mapping[str, Any], resources: Resources, describer: Describer
) -> tuple[list[ExtractedDocument], list[RowFailure]]:
    """Return a document for each segment, and what is missing from them.

    The vector of a segment is that of its words, which is of the same space as those of images and texts.

    Raises:
        MediaFault: the file gives no sound.
    """
    with opened(path, "audio", resources.media, threads=resources.threads) as media:
        sound = read_sound(media)
    segments = _segments(sound, parameters)
    check_segments(len(segments), resources.media)
    heard = Heard(failures=tuple(lost_of_sound(sound)))
    if parameters["run_transcription"]:
        heard = transcribe(sound, parameters["transcription_language"], resources)
    failures = [*heard.failures]
    if heard.speech is None:
        failures.append(_NO_VECTOR)
    documents = [
        _document(start, end, heard, part=part, parameters=parameters, resources=resources, describer=describer)
        for start, end in segments
    ]
    return documents, failures


def _segments(sound: Sound, parameters: Mapping[str, Any]) -> list[tuple[float, float]]:
    if parameters["split_method"] == "silence":
        cuts = quiet_moments(sound, parameters)
        return spans(sound.seconds, cuts, longest=parameters["max_segment_duration"])
    return spans(sound.seconds, (), longest=parameters["time_split_interval"])


def _document(
    start: float,
    end: float,
    heard: Heard,
    *,
    part: Part,
    parameters: Mapping[str, Any],
    resources: Resources,
    describer: Describer,
) -> ExtractedDocument:
    fields: dict[str, Any] = {
        "modality": "audio",
        "start_time": start,
        "end_time": end,
        "duration": round(end - start, 6),
    }
    fields |= heard.fields(start, end)
    vectors: dict[str, FloatArray] = {}
    if said := fields.get("transcription"):
        joint, embed_speech = joint_model(parameters), parameters["run_transcription_embedding"]
        # The label bridge is MiniLM's space, so that one vector is both.
        names = {joint: MINILM if joint == CONSE else joint} | ({MINILM: MINILM} if embed_speech else {})
        made = {name: speech_vector(said, resources, name) for name in set(names.values())}
        vectors = {output: made[name] for output, name in names.items()}
        describer.ask(fields, vectors, (), said=said)
    return ExtractedDocument(
        position=("audio", start, end),
        fields=fields,
        vectors=vectors,
        sources={"source_audio_url": part.blob_id} if part.blob_id else {},
    )
