"""What is said in videos and sounds: by which model, and what is told when that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.losses import lost_of_sound, without
from prismhouse.engine.extractors.port import FloatArray, RowFailure
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import Speech, SpeechModel, TextModel, Word
from prismhouse.engine.inference.registry import MINILM, WHISPER_BASE, WHISPER_TINY_EN
from prismhouse.engine.media.container import Media, opened
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.sound import Sound, read_sound
from prismhouse.kit.errors import WarehouseError

__all__ = ["Heard", "heard_in", "said", "sound_of", "speech_model", "speech_vector", "transcribe", "without_speech"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was said, if that is known, and what could not be heard."""

    speech: Speech | None = None
    failures: tuple[RowFailure, ...] = ()

    def fields(self, start: float, end: float) -> dict[str, Any]:
        """Return the fields of a segment that tell of it."""
        if self.speech is None:
            return {}
        told: dict[str, Any] = {"transcription": self.speech.text(start, end)}
        if self.speech.language is not None:
            told["transcription_language"] = self.speech.language
        return told


def speech_model(language: str | None) -> str:
    """Return the model for the language that is set: English has one of its own, which is three times as fast."""
    return WHISPER_TINY_EN if (language or "").partition("-")[0] == "en" else WHISPER_BASE


def sound_of(path: Path, video: Media, resources: Resources, *, longest: float | None = None) -> Sound:
    """Return the sound of a video that is open for its pictures; raise MediaFault, also where there is none."""
    if video.audio is None:
        raise MediaFault("no_audio_stream", "The video has no sound, so nothing can be transcribed.")
    with opened(path, "video", video.limits, threads=resources.threads) as again:
        return read_sound(again, longest=longest)


def heard_in(path: Path, video: Media, resources: Resources, *, longest: float | None = None) -> Heard:
    """Return what is said in a video, up to a time; where that cannot be read, its documents lack it."""
    try:
        sound = sound_of(path, video, resources, longest=longest)
    except MediaFault as fault:
        return without_speech(fault.code, fault.message)
    return transcribe(sound, None, resources)


def transcribe(sound: Sound, language: str | None, resources: Resources) -> Heard:
    """Return what is said, and what of the sound was lost.

    Errors about the house (a model is missing) are raised, others become a failure. `language` None: it is found out.
    """
    model: SpeechModel = loaded(speech_model(language), threads=resources.threads, cache_dir=resources.cache_dir)
    lost = lost_of_sound(sound)
    try:
        speech = said(model, sound, (language or "").partition("-")[0] or None)
        return Heard(speech=speech, failures=tuple(lost))
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded: the documents are written without a transcription
        _log.warning("transcription failed", exc_info=error)
        message = f"The speech could not be transcribed: {type(error).__name__}: {error}. The log has the trace."
        return without_speech("transcription_failed", message, lost)


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


def without_speech(code: str, message: str, lost: Sequence[RowFailure] = ()) -> Heard:
    """Return that there is no transcription, and why: the documents lack it, and are written."""
    return Heard(failures=(without("transcription", code, message, stage="transcribe"), *lost))


def speech_vector(text: str, resources: Resources, model_name: str = MINILM) -> FloatArray:
    """Return the vector of a transcription, `(d,)`."""
    model: TextModel = loaded(model_name, threads=resources.threads, cache_dir=resources.cache_dir)
    row: FloatArray = model.embed([text])[0]
    return row
