"""What `bench.extractors` measures: an entry for each extractor, with its files and the loop without the product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import films, loops, material
from bench.setting import Setting, installed, plain
from bench.sites import served

__all__ = ["SUBJECTS", "Subject"]

_SEEN, _HEARD, _PAGES = 0.85, 0.8, 0.8
"""Least part of the bare model's files a second: texts and images, sounds and videos, PDFs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One extractor and its work.

    Attributes:
        extractor: name and version.
        inputs: what its inputs take, by type of the bucket's field.
        files: makes `count` files that differ from those of every other seed.
        count: files of a round.
        each: what a file is; its first word is the unit of rates.
        bare: the loop without the product, on some paths; its docstring says what it does.
        bare_files: how many files the loop takes at once.
        kinds: how many files, from the first on, show every kind: what each process sees before the clock runs.
        least_ratio: the product's files a second to the loop's.
        most_memory_mb: of all processes of the server.
        parameters: of the extractor; its defaults are left out.
        setting: what stands around it.
    """

    extractor: tuple[str, str]
    inputs: Mapping[str, str]
    files: Callable[[int, int], list[bytes]]
    count: int
    each: str
    bare: Callable[[Sequence[Path], Path], None]
    bare_files: int = 1
    kinds: int = 1
    least_ratio: float
    most_memory_mb: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    setting: Callable[[Path], AbstractContextManager[Setting]] = plain

    @property
    def contains(self) -> str:
        """What the loop does, in words."""
        return " ".join((self.bare.__doc__ or "").split()).removesuffix(".")


_TEXTS = Subject(
    extractor=("text_extractor", "v1"),
    inputs={"text": "text"},
    files=material.prose,
    count=400,
    each="texts of 88 words on average",
    bare=loops.texts,
    bare_files=32,
    least_ratio=_SEEN,
    most_memory_mb=1200,
)
_PHOTOS = Subject(
    extractor=("image_extractor", "v1"),
    inputs={"image": "image"},
    files=material.pictures,
    count=1000,
    each="photos",
    bare=loops.photos,
    bare_files=8,
    least_ratio=_SEEN,
    most_memory_mb=1400,
)
SUBJECTS: Mapping[str, Subject] = {
    "text": _TEXTS,
    "multimodal_text": replace(_TEXTS, extractor=("multimodal_extractor", "v1")),
    "image": _PHOTOS,
    "multimodal_image": replace(_PHOTOS, extractor=("multimodal_extractor", "v1"), count=600),
    "face": Subject(
        extractor=("face_identity_extractor", "v1"),
        inputs={"image": "image"},
        files=material.faces,
        count=180,
        each="pictures with one or four faces",
        bare=loops.faces,
        bare_files=4,
        least_ratio=_SEEN,
        most_memory_mb=1200,
    ),
    "custom": replace(
        _PHOTOS,
        extractor=("sight_extractor", "v1"),
        bare=loops.custom,
        count=600,
        most_memory_mb=1200,
        setting=installed,
    ),
    "document": Subject(
        extractor=("document_graph_extractor", "v1"),
        inputs={"pdf": "pdf"},
        files=material.papers,
        count=20,
        each="PDFs of three pages",
        bare=loops.documents,
        least_ratio=_PAGES,
        most_memory_mb=1400,
    ),
    "web": Subject(
        extractor=("web_scraper", "v1"),
        inputs={"string": "url"},
        files=material.sites,
        count=24,
        each="sites of twelve pages of 220 words, with a photo each",
        bare=loops.sites,
        least_ratio=_SEEN,
        most_memory_mb=1800,
        setting=served,
    ),
    "video": Subject(
        extractor=("multimodal_extractor", "v2"),
        inputs={"video": "video"},
        files=material.videos,
        count=36,
        each="videos of 5 to 10 s",
        bare=loops.videos,
        least_ratio=_HEARD,
        most_memory_mb=1500,
        parameters={"split_method": "scene"},
    ),
    "speech": Subject(
        extractor=("multimodal_extractor", "v2"),
        inputs={"audio": "audio"},
        files=material.speech,
        count=20,
        each="sounds of about 12 s of English speech",
        bare=loops.speech,
        least_ratio=_HEARD,
        most_memory_mb=1800,
        parameters={"split_method": "silence", "run_transcription": True, "transcription_language": "en"},
    ),
    "sound": Subject(
        extractor=("audio_fingerprint_extractor", "v1"),
        inputs={"audio": "audio"},
        files=material.music,
        count=48,
        each="sounds of a minute",
        bare=loops.sounds,
        least_ratio=_HEARD,
        most_memory_mb=1400,
    ),
    "scrolling_text": Subject(
        extractor=("scrolling_text_extractor", "v1"),
        inputs={"video": "video"},
        files=films.tickers,
        count=6,
        each="videos of about 15 s with a ticker",
        bare=loops.tickers,
        least_ratio=_HEARD,
        most_memory_mb=1800,
    ),
    "course_content": Subject(
        extractor=("course_content_extractor", "v1"),
        inputs={"video": "video", "pdf": "pdf", "binary": "code_archive"},
        files=material.course,
        count=8,
        each="files: lectures of 20 s, PDFs of three pages, archives of two modules",
        bare=loops.courses,
        kinds=4,
        least_ratio=_HEARD,
        most_memory_mb=2400,
    ),
    "universal": Subject(
        extractor=("universal_extractor", "v1"),
        inputs={"binary": "content"},
        files=material.everything,
        count=16,
        each="files: photos, texts, PDFs, videos of 10 s, sounds of 12 s of speech",
        bare=loops.everything,
        kinds=8,
        least_ratio=_HEARD,
        most_memory_mb=2400,
    ),
}
"""In the order in which they are measured. Another extractor is one more entry."""
