"""A video or a sound becomes segments of 30 seconds: what is seen and what is said in each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.losses import lost_of_film, lost_of_sound, without
from prismhouse.engine.extractors.pictures import DECODED_AT_ONCE, look_at
from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.extractors.segments import Segment, Segmenter, every, spans
from prismhouse.engine.extractors.speech import Heard, heard_in, transcribe
from prismhouse.engine.extractors.text_vectors import mean_vector
from prismhouse.engine.extractors.universal.description import spread
from prismhouse.engine.extractors.universal.documents import Draft, Made
from prismhouse.engine.inference.registry import CONSE
from prismhouse.engine.media.container import Media, opened
from prismhouse.engine.media.film import Film
from prismhouse.engine.media.image import thumbnail
from prismhouse.engine.media.sound import read_sound

__all__ = ["SEGMENT_SECONDS", "of_sound", "of_video"]

SEGMENT_SECONDS = 30
_SAMPLED_SECONDS = 2.0
_EARLY_SECONDS = 1e-4
_LONGEST_SIDE = 640
_LABELS_TOLD = 5
_CAP = "config_cap_max_video_segments"
_SILENT = "The segments have no vector of what is said. Set extract_text, and see whether something is spoken."


@dataclass(slots=True)
class _Seen:
    """Vectors of sampled pictures of a segment, and the sum of what they look like; the pictures, to be described."""

    vectors: list[FloatArray] = field(default_factory=list)
    labels: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    pictures: list[bytes] = field(default_factory=list)

    def likeliest(self) -> list[dict[str, Any]]:
        """Return the labels with their mean confidence."""
        ordered = sorted(self.labels.items(), key=lambda item: -item[1])[:_LABELS_TOLD]
        return [{"label": name, "confidence": round(total / len(self.vectors), 4)} for name, total in ordered]


def of_video(path: Path, resources: Resources, *, most_segments: int, listen: bool, show: bool) -> Made:
    """Return a document for each segment; raise MediaFault: no_video_stream for what is a sound."""
    with opened(path, "video", resources.media, threads=resources.threads) as media:
        film = Film(media)
        segments, seen, dropped = _watch(film, media, resources, most_segments, show=show)
        heard = Heard()
        if listen and media.audio is not None:
            heard = heard_in(path, media, resources, longest=segments[-1].end)
    made = Made(failures=[*heard.failures, *lost_of_film(film, cut_off=film.cut_off and not dropped)])
    made.drop("segments", _CAP, dropped)
    for one in segments:
        held = seen[one.number]
        picture = mean_vector(held.vectors) if held.vectors else None
        draft = _draft("video", one, len(segments), heard, picture=picture, labels=held.likeliest())
        made.drafts.append(replace(draft, shown=spread(held.pictures)))
    return made


def of_sound(path: Path, resources: Resources, *, most_segments: int, listen: bool) -> Made:
    """Return a document for each segment of a sound; raise MediaFault."""
    longest = float(most_segments * SEGMENT_SECONDS)
    with opened(path, "audio", resources.media, threads=resources.threads) as media:
        told = media.ends or media.duration or 0.0
        sound = read_sound(media, longest=longest)
    made = Made()
    bounds = spans(sound.seconds, (), longest=SEGMENT_SECONDS)
    made.drop("segments", _CAP, math.ceil((told - longest) / SEGMENT_SECONDS - _EARLY_SECONDS))
    heard = transcribe(sound, None, resources) if listen else Heard(failures=tuple(lost_of_sound(sound)))
    made.failures += heard.failures
    segments = [
        Segment(number=number, start=start, end=end, start_frame=0, end_frame=0)
        for number, (start, end) in enumerate(bounds)
    ]
    made.drafts = [_draft("audio", one, len(segments), heard) for one in segments]
    if not any(draft.text for draft in made.drafts):
        made.failures.append(without("embedding", "no_speech", _SILENT))
    return made


def _watch(
    film: Film, media: Media, resources: Resources, most: int, *, show: bool
) -> tuple[list[Segment], dict[int, _Seen], int]:
    """Go through the video once, as far as it is to be looked at; return how many segments were left out, too."""
    segmenter = Segmenter(every(SEGMENT_SECONDS))
    segments: list[Segment] = []
    seen: dict[int, _Seen] = defaultdict(_Seen)
    waiting: list[tuple[int, Any]] = []
    number, due, dropped = -1, 0.0, 0
    for frame in film:
        is_first, ended = segmenter.take(frame)
        if ended is not None:
            segments.append(ended)
        number += is_first
        if number >= most:
            left = max(media.ends or media.duration or 0.0, frame.time) - frame.time
            dropped = max(1, math.ceil(left / SEGMENT_SECONDS - _EARLY_SECONDS))
            break
        if is_first or frame.time + _EARLY_SECONDS >= due:
            due = frame.time + _SAMPLED_SECONDS
            waiting.append((number, frame.picture(_LONGEST_SIDE)))
            if len(waiting) >= DECODED_AT_ONCE:
                _look(waiting, seen, resources, show=show)
    else:
        last = segmenter.close(film.end, film.count)
        segments += [last] if last is not None else []
    _look(waiting, seen, resources, show=show)
    return segments, seen, dropped


def _look(waiting: list[tuple[int, Any]], seen: dict[int, _Seen], resources: Resources, *, show: bool) -> None:
    for (number, picture), (vectors, labels) in zip(
        waiting, look_at([picture for _, picture in waiting], resources), strict=True
    ):
        seen[number].vectors.append(vectors[CONSE])
        if show:
            seen[number].pictures.append(thumbnail(picture))
        for label in labels:
            seen[number].labels[label["label"]] += label["confidence"]
    waiting.clear()


def _draft(
    modality: str,
    one: Segment,
    total: int,
    heard: Heard,
    *,
    picture: FloatArray | None = None,
    labels: Sequence[dict[str, Any]] = (),
) -> Draft:
    told = heard.fields(one.start, one.end)
    fields: dict[str, Any] = {
        "modality": modality,
        "segment_index": one.number,
        "segment_total": total,
        "page_number": 0,
        "start_time_s": one.start,
        "end_time_s": one.end,
        "duration_s": round(one.end - one.start, 6),
    }
    if labels:
        fields["labels"] = list(labels)
    text = told.get("transcription", "")
    if text and "transcription_language" in told:
        fields["text_language"] = told["transcription_language"]
    return Draft(fields=fields, text=text, picture=picture)
