"""Whisper: speech to text with the time of each word, by CTranslate2 on the CPU, weights in 8 bits."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.port import Speech, Word
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import require
from prismhouse.engine.inference.weights import locate, verified

__all__ = ["Whisper", "load"]

_BEAM = 5
_MOST_TOKENS = 200
_MOST_REPETITION = 2.4
_LEAST_CERTAINTY = -1.0
_MOST_SILENCE = 0.6
_CERTAIN_IN_SILENCE = -0.7
"""What music is taken for repeats itself, is uncertain, or is said where the model hears no speech. At these bounds
Whisper would guess again and again at growing temperatures: a minute of work for five seconds of music. Such parts
are left out instead."""

_CONFIG = ("config.json", "tokenizer.json", "vocabulary.txt")


class Whisper:
    """A loaded model. Safe to call from several threads; calls wait for each other."""

    def __init__(self, folder: Path, threads: int, *, english_only: bool) -> None:
        from faster_whisper import WhisperModel

        self.english_only = english_only
        self._model: Any = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, num_workers=1, local_files_only=True
        )

    def transcribe(self, samples: FloatArray, *, language: str | None = None) -> Speech:
        """Return the words that are spoken, with their times in seconds, and the language.

        Args:
            samples: `(n,)` in [-1, 1], one channel at 16 kHz: some minutes, for their spectrum takes 32 kB a second.
                Music and silence give no words.
            language: ISO 639-1 code; None has it found in the first half minute. English models know English alone.
        """
        segments, info = self._model.transcribe(
            samples,
            language="en" if self.english_only else language,
            beam_size=_BEAM,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=False,
            temperature=0.0,
            max_new_tokens=_MOST_TOKENS,
        )
        words = [
            Word(text=word.word, start=round(float(word.start), 3), end=round(float(word.end), 3))
            for segment in segments
            if _is_speech(segment)
            for word in segment.words or ()
        ]
        return Speech(words=words, language=info.language if words else None)


def _is_speech(segment: Any) -> bool:
    if segment.compression_ratio > _MOST_REPETITION or segment.avg_logprob < _LEAST_CERTAINTY:
        return False
    return bool(segment.no_speech_prob < _MOST_SILENCE or segment.avg_logprob > _CERTAIN_IN_SILENCE)


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> Whisper:
    """Return the model, its files verified; raise ExtraMissing, ModelMissing or ModelDamaged."""
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    parts = [entry.files[name] for name in sorted(entry.files) if name.startswith("weights")]
    for file in entry.files.values():
        verified(file, entry.name)
    config = verified(entry.files["config.json"], entry.name).parent
    if len(parts) == 1:
        return Whisper(config, threads, english_only=entry.languages == ("en",))
    folder = _joined(entry, config, cache_dir)
    return Whisper(folder, threads, english_only=entry.languages == ("en",))


def _joined(entry: ModelEntry, config: Path, cache_dir: Path) -> Path:
    """Return a folder with the weights in one file, which packages of limited size carry in parts.

    Made once and renamed into place whole, so that several processes may come here at once. The parts were verified;
    the joined file is told by its size.
    """
    parts = [entry.files[name] for name in sorted(entry.files) if name.startswith("weights")]
    folder = cache_dir / f"{entry.name}-{parts[0].sha256[:12]}"
    size = sum(part.size_bytes for part in parts)
    if (folder / "model.bin").is_file() and (folder / "model.bin").stat().st_size == size:
        return folder
    cache_dir.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=cache_dir, prefix=f".{folder.name}."))
    try:
        with (making / "model.bin").open("wb") as whole:
            for part in parts:
                with _located(part).open("rb") as stream:
                    shutil.copyfileobj(stream, whole)
            whole.flush()
            os.fsync(whole.fileno())
        for name in _CONFIG:
            shutil.copyfile(config / name, making / name)
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            making.rename(folder)
        except OSError:
            if not (folder / "model.bin").is_file():  # else another process was first
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _located(file: Any) -> Path:
    path = locate(file)
    if path is None:
        raise FileNotFoundError(file.path)
    return path
