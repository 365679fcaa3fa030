"""Transcription for the multimodal extractors: which model, and what is done when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.port import ErrorType, FloatArray, RowFailure
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import Speech, SpeechModel, Word
from prismhouse.engine.inference.registry import MINILM, WHISPER_BASE, WHISPER_TINY_EN
from prismhouse.engine.media.sound import Sound
from prismhouse.kit.errors import WarehouseError

__all__ = ["Heard", "said", "speech_model", "speech_vector", "transcribe", "without_speech"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was said, or why that is not known."""

    speech: Speech | None = None
    failure: RowFailure | None = None

    def fields(self, start: float, end: float) -> dict[str, Any]:
        """Return the fields of a segment that tell of it."""
        if self.speech is None:
            return {}
        told: dict[str, Any] = {"transcription": self.speech.text(start, end)}
        if self.speech.language is not None:
            told["transcription_language"] = self.speech.language
        return told


def speech_model(parameters: Mapping[str, Any]) -> str:
    """Return the model for the language that is set: English has one of its own, which is three times as fast."""
    language = parameters["transcription_language"] or ""
    return WHISPER_TINY_EN if language.partition("-")[0] == "en" else WHISPER_BASE


def transcribe(sound: Sound, parameters: Mapping[str, Any], resources: Resources) -> Heard:
    """Return what is said. Errors about the house (a model is missing) are raised, others become a failure."""
    model: SpeechModel = loaded(speech_model(parameters), threads=resources.threads, cache_dir=resources.cache_dir)
    language = (parameters["transcription_language"] or "").partition("-")[0] or None
    try:
        return Heard(speech=said(model, sound, language))
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded: the documents are written without a transcription
        _log.warning("transcription failed", exc_info=error)
        message = f"The speech could not be transcribed: {type(error).__name__}: {error}. The log has the trace."
        return without_speech("transcription_failed", message)


def said(model: SpeechModel, sound: Sound, language: str | None) -> Speech:
    """Transcribe some minutes at a time, all in the language of the first that has words."""
    words: list[Word] = []
    for start, samples in sound.portions():
        part = model.transcribe(samples, language=language)
        language = language or part.language
        words += [
            Word(text=one.text, start=round(start + one.start, 3), end=round(start + one.end, 3)) for one in part.words
        ]
    return Speech(words=words, language=language if words else None)


def without_speech(code: str, message: str) -> Heard:
    """Return that there is no transcription, and why: the documents lack it, and are written."""
    kind = ErrorType.PERMANENT
    return Heard(
        failure=RowFailure(
            stage="transcribe", code=code, message=message, error_type=kind, missing_feature="transcription"
        )
    )


def speech_vector(text: str, resources: Resources) -> FloatArray:
    """Return the vector of a transcription, `(384,)`."""
    model = loaded(MINILM, threads=resources.threads, cache_dir=resources.cache_dir)
    row: FloatArray = model.embed([text])[0]
    return row
