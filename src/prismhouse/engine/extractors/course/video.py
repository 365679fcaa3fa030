"""A lecture becomes segments: what is said, what is written on the screen, and a picture of each."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from prismhouse.engine.extractors.course.code_like import guessed_language, looks_like_code
from prismhouse.engine.extractors.course.documents import Unit, pictured
from prismhouse.engine.extractors.course.laid_out import laid_out
from prismhouse.engine.extractors.course.plan import Planner, Span
from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.losses import lost, lost_of_film
from prismhouse.engine.extractors.pictures import look_at
from prismhouse.engine.extractors.port import Artifact, FloatArray, Part, RowFailure
from prismhouse.engine.extractors.segments import check_segments
from prismhouse.engine.extractors.speech import Heard, heard_in
from prismhouse.engine.extractors.text_vectors import mean_vector
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import Speech, Word, WritingModel
from prismhouse.engine.inference.registry import CONSE, PP_OCR
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.film import Film, FilmFrame
from prismhouse.engine.media.image import thumbnail
from prismhouse.engine.media.shots import ShotDetector
from prismhouse.engine.media.text import storable

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Watched", "of_film"]

_SAMPLES_OF_A_SEGMENT = 40
_LEAST_SAMPLED_SECONDS = 1.0
_LONGEST_SIDE = 1600
_QUALITY = 90
_EMBEDDED = 8
_EARLY_SECONDS = 1e-4
_SAME_SCREEN = 0.9
_COMPARED_CHARACTERS = 2000
_PAUSE_SECONDS = 0.5
_TITLE_CHARACTERS = 120
_MS = 1000
_COMPARED_SIZE = (160, 90)
_NOISE, _SPOT = 0.5, 24
"""Levels of grey, of 255, that a still picture differs by: on average, and in one place."""

_Pixels = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class _Sample:
    """A picture of the video, kept as a JPEG: some hundred of them are held at a time."""

    time: float
    jpeg: bytes

    def image(self) -> Image:
        """Return it decoded."""
        from PIL import Image as Images

        return Images.open(io.BytesIO(self.jpeg)).convert("RGB")


@dataclass(frozen=True, slots=True)
class _Screen:
    """What is written on a picture; `shape` keeps its indents."""

    sample: _Sample
    text: str
    shape: str


@dataclass(slots=True)
class Watched:
    """What came of a video. `seconds` is how long it is."""

    units: list[Unit] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class _Lecture:
    """Makes the units of segments as they are settled."""

    part: Part
    heard: Heard
    parameters: Mapping[str, Any]
    resources: Resources
    units: list[Unit] = field(default_factory=list)
    count: int = 0
    _waiting: list[_Sample] = field(default_factory=list)
    _latest: _Sample | None = None

    def sample(self, frame: FilmFrame) -> None:
        """Keep a picture."""
        buffer = io.BytesIO()
        frame.picture(_LONGEST_SIDE).save(buffer, "JPEG", quality=_QUALITY)
        self._waiting.append(_Sample(frame.time, buffer.getvalue()))

    def settle(self, spans: Sequence[Span], *, last: bool = False) -> None:
        """Make the units of segments; `last` when the video is over."""
        check_segments(self.count + len(spans), self.resources.media)
        for place, (start, end) in enumerate(spans):
            is_end = last and place == len(spans) - 1
            within = [one for one in self._waiting if one.time < end - _EARLY_SECONDS or is_end]
            self._waiting = self._waiting[len(within) :]
            # A picture that is shown on, such as a slide, has no other one after it.
            given = within or ([self._latest] if self._latest is not None else [])
            self._latest = given[-1] if given else None
            self.units += self._units(start, end, given, is_end=is_end)
            self.count += 1

    def _units(self, start: float, end: float, samples: Sequence[_Sample], *, is_end: bool) -> Iterator[Unit]:
        fields: dict[str, Any] = {"segment_index": self.count, "start_time": start, "end_time": end}
        if told := _said(self.heard, start, end, is_end=is_end):
            fields["text_content"] = told
        screens = self._screens(samples) if self.parameters["extract_screen_text"] else []
        sources = {"source_video_url": self.part.blob_id} if self.part.blob_id else {}
        segment = {**fields, **_written(screens), "element_index": 0}
        middle = samples[len(samples) // 2] if samples else None
        yield Unit(
            doc_type="video",
            unit_type="segment",
            fields=segment,
            visual=self._visual(samples),
            artifacts=self._shown(middle),
            sources=sources,
        )
        if not self.parameters["expand_to_granular_docs"]:
            return
        times = [start, *(max(start, screen.sample.time) for screen in screens[1:]), end]
        for number, (screen, (begin, until)) in enumerate(zip(screens, pairwise(times), strict=False), start=1):
            told_of = {"segment_index": self.count, "start_time": begin, "end_time": until, "element_index": number}
            yield Unit(
                doc_type="video",
                unit_type="screen",
                fields={**told_of, **_written([screen])},
                artifacts=self._shown(screen.sample),
                sources=sources,
            )

    def _screens(self, samples: Sequence[_Sample]) -> list[_Screen]:
        """Return what is written on some pictures, each text once, where it is first seen."""
        model: WritingModel = loaded(PP_OCR, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        screens: list[_Screen] = []
        before: _Pixels | None = None
        for sample in _spread(samples, self.parameters["ocr_frames_per_segment"]):
            image = sample.image()
            small = np.asarray(image.convert("L").resize(_COMPARED_SIZE), np.int16)
            if before is not None and _is_still(before, small):
                continue
            before = small
            lines = [(storable(line.text), line.box) for line in model.read(image) if len(line.text) > 1]
            text = "\n".join(words for words, _ in lines)
            if text and not any(_is_same(text, other.text) for other in screens):
                screens.append(_Screen(sample, text, laid_out(lines)))
        return screens

    def _visual(self, samples: Sequence[_Sample]) -> FloatArray | None:
        if not self.parameters["run_visual_embedding"] or not samples:
            return None
        seen = look_at([sample.image() for sample in _spread(samples, _EMBEDDED)], self.resources)
        return mean_vector([vectors[CONSE] for vectors, _ in seen])

    def _shown(self, sample: _Sample | None) -> tuple[Artifact, ...]:
        if sample is None or not self.parameters["generate_thumbnails"]:
            return ()
        return (pictured(thumbnail(sample.image())),)


def of_film(
    part: Part, path: Path, subtitles: Speech | None, *, parameters: Mapping[str, Any], resources: Resources
) -> Watched:
    """Return the units of a video, and what of it is missing from them; raise MediaFault.

    Args:
        part: the input, for its blob.
        path: the same as a file.
        subtitles: what is said, where that is known; else the sound is transcribed.
        parameters: as the extractor was given them.
        resources: of the process.
    """
    target, least = (parameters[f"{name}_segment_duration_ms"] / _MS for name in ("target", "min"))
    planner = Planner(target, least)
    with opened(path, "video", resources.media, threads=resources.threads) as media:
        heard = Heard(speech=subtitles)
        if subtitles is None and parameters["use_whisper_asr"]:
            heard = heard_in(path, media, resources)
        lecture = _Lecture(part, heard, parameters, resources)
        film = Film(media)
        _watch(film, planner, lecture, parameters)
    lecture.settle(planner.close(film.end), last=True)
    watched = Watched(units=lecture.units, seconds=film.end)
    watched.failures += [*heard.failures, *lost_of_film(film), *_late(subtitles, film.end)]
    return watched


def _watch(film: Film, planner: Planner, lecture: _Lecture, parameters: Mapping[str, Any]) -> None:
    """Go through the video once."""
    method, target = parameters["segmentation_method"], parameters["target_segment_duration_ms"] / _MS
    detector = ShotDetector(parameters["scene_detection_threshold"]) if method == "scene" else None
    if method == "srt" and lecture.heard.speech is not None:
        for time in _beginnings(lecture.heard.speech.words):
            planner.cut(time)
    wanted = (
        parameters["extract_screen_text"] or parameters["run_visual_embedding"] or parameters["generate_thumbnails"]
    )
    every = max(_LEAST_SAMPLED_SECONDS, target / _SAMPLES_OF_A_SEGMENT)
    due = 0.0
    for frame in film:
        if detector is not None and detector.begins(frame):
            planner.cut(frame.time)
        lecture.settle(planner.reached(frame.time))
        if wanted and frame.time + _EARLY_SECONDS >= due:
            lecture.sample(frame)
            due = frame.time + every


def _beginnings(words: Sequence[Word]) -> list[float]:
    """Return where something begins to be said: a subtitle, or a word after a pause."""
    return [
        word.start
        for before, word in zip([None, *words[:-1]], words, strict=True)
        if before is None or " " in word.text.strip() or word.start - before.end >= _PAUSE_SECONDS
    ]


def _said(heard: Heard, start: float, end: float, *, is_end: bool) -> str:
    if heard.speech is None:
        return ""
    return storable(" ".join(heard.speech.text(start, float("inf") if is_end else end).split()))


def _written(screens: Sequence[_Screen]) -> dict[str, Any]:
    """Return the fields that tell what is on some screens."""
    if not screens:
        return {}
    text = "\n\n".join(screen.text for screen in screens)
    fields: dict[str, Any] = {"screen_text": text, "title": text.split("\n", 1)[0][:_TITLE_CHARACTERS]}
    if code := "\n\n".join(screen.shape for screen in screens if looks_like_code(screen.shape)):
        fields["code_content"] = code
        if (language := guessed_language(code)) is not None:
            fields["code_language"] = language
    return fields


def _is_still(before: _Pixels, now: _Pixels) -> bool:
    """Say whether two pictures are the same but for what packing them changes."""
    difference = np.abs(now - before)
    return bool(difference.mean() < _NOISE and difference.max() < _SPOT)


def _is_same(text: str, other: str) -> bool:
    one, two = (" ".join(words.split()).lower()[:_COMPARED_CHARACTERS] for words in (text, other))
    if one == two:
        return True
    matcher = SequenceMatcher(None, one, two, autojunk=False)
    return matcher.real_quick_ratio() >= _SAME_SCREEN and matcher.quick_ratio() >= _SAME_SCREEN


def _spread(samples: Sequence[_Sample], count: int) -> list[_Sample]:
    """Return at most so many samples, from the middle of stretches of equal length."""
    if len(samples) <= count:
        return list(samples)
    return [samples[int((place + 0.5) * len(samples) / count)] for place in range(count)]


def _late(subtitles: Speech | None, end: float) -> list[RowFailure]:
    """Return that subtitles go on after the video does."""
    late = sum(word.start >= end for word in subtitles.words) if subtitles is not None else 0
    if not late:
        return []
    return [
        lost("subtitles_too_late", f"{late} subtitles begin after the end of the video: they are in its last unit.")
    ]
