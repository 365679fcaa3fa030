"""What `bench.extractors` measures: an entry for each extractor, with its files and the loop without the product.

A bare loop is a function of paths and a cache folder. It reads the files, decodes what has to be decoded, and calls the
models on it, as the extractor's documents need them: no splitting into rows, no thumbnails, no documents, no storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import material
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import (
    CONSE,
    FACES,
    MINILM,
    PAGE_LAYOUT,
    WHISPER_TINY_EN,
    YAMNET,
)

__all__ = ["SUBJECTS", "Subject"]

_DRAFT_SIDE = 640
_PAGE_DPI = 150
_WINDOW_SECONDS, _HOP_SECONDS = 5.0, 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One extractor and its work.

    Attributes:
        extractor: name and version.
        medium: type of the bucket's field and of the files.
        entry_input: the extractor's input.
        files: makes `count` files that differ from those of every other seed.
        count: files of a round.
        each: what a file is, for the figures.
        bare: the loop without the product, on some paths.
        bare_files: how many files the loop takes at once.
        contains: what the loop does, in words.
        least_ratio: the product's files a second to the loop's.
        most_memory_mb: of all processes of the server.
        parameters: of the extractor; its defaults are left out.
    """

    extractor: tuple[str, str]
    medium: str
    entry_input: str
    files: Callable[[int, int], list[bytes]]
    count: int
    each: str
    bare: Callable[[Sequence[Path], Path], None]
    bare_files: int
    contains: str
    least_ratio: float
    most_memory_mb: float
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _text(paths: Sequence[Path], folder: Path) -> None:
    loaded(MINILM, threads=1, cache_dir=folder).embed([path.read_text() for path in paths])


def _image(paths: Sequence[Path], folder: Path) -> None:
    from prismhouse.engine.media.image import decode_image

    model = loaded(CONSE, threads=1, cache_dir=folder)
    model.see([decode_image(path.read_bytes(), draft_side=_DRAFT_SIDE).image for path in paths])


def _document(paths: Sequence[Path], folder: Path) -> None:
    """Text layers give one text for a paragraph: lines that follow each other closely."""
    from prismhouse.engine.extractors.document_graph.blocks import Part, Piece, blocks_of
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.pdf import opened_pdf

    layout = loaded(PAGE_LAYOUT, threads=1, cache_dir=folder)
    model = loaded(MINILM, threads=1, cache_dir=folder)
    for path in paths:
        with opened_pdf(path, MediaLimits()) as pdf:
            for number in range(1, pdf.pages + 1):
                with pdf.page(number) as page:
                    lines, image, height = page.lines(), page.render(_PAGE_DPI), page.height
                scale = image.height / height
                regions = [
                    Part(kind=one.kind, box=tuple(side / scale for side in one.box)) for one in layout.regions(image)
                ]
                pieces = [Piece(text=one.text, box=one.box, size=one.size, confidence=1.0) for one in lines]
                blocks = blocks_of(pieces, regions, height, vertical=15, horizontal=50)
                model.embed([block.text for block in blocks if block.text])


def _video(paths: Sequence[Path], folder: Path) -> None:
    """Decode every picture; give the model those that the extractor gives it: the first of a shot, then one a second.

    The cuts of the two videos are known, so nothing is spent on finding them.
    """
    import av

    model = loaded(CONSE, threads=1, cache_dir=folder)
    for path in paths:
        waiting: list[Any] = []
        with av.open(str(path)) as container:
            container.streams.video[0].thread_count = 1
            is_bikes = container.streams.video[0].width == 640
            cuts, last = ({1.2, 3.04, 5.48, 7.48, 9.68} if is_bikes else set()), -1.0
            for frame in container.decode(video=0):
                if frame.time in cuts or frame.time - last >= 1 - 1e-4:
                    scale = min(1.0, 640 / frame.width)
                    size = (round(frame.width * scale), round(frame.height * scale))
                    waiting.append(frame.to_image(width=size[0], height=size[1]))
                    last = frame.time
                    if len(waiting) == 8:
                        model.see(waiting)
                        waiting.clear()
        if waiting:
            model.see(waiting)


def _samples(path: Path) -> Any:
    from prismhouse.engine.media.container import opened
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.sound import read_sound

    with opened(path, "audio", MediaLimits()) as media:
        return read_sound(media)


def _speech(paths: Sequence[Path], folder: Path) -> None:
    model = loaded(WHISPER_TINY_EN, threads=1, cache_dir=folder)
    for path in paths:
        model.transcribe(_samples(path).samples(), language="en")


def _faces(paths: Sequence[Path], folder: Path) -> None:
    from prismhouse.engine.media.image import decode_image

    model = loaded(FACES, threads=1, cache_dir=folder)
    for path in paths:
        found = model.find(decode_image(path.read_bytes()).image, threshold=0.5)
        model.embed_faces([face.aligned for face in found])


def _sounds(paths: Sequence[Path], folder: Path) -> None:
    model = loaded(YAMNET, threads=1, cache_dir=folder)
    for path in paths:
        sound = _samples(path)
        start = 0.0
        while start == 0.0 or start + _WINDOW_SECONDS - _HOP_SECONDS < sound.seconds - 0.01:
            model.hear(sound.samples(start, start + _WINDOW_SECONDS))
            start += _HOP_SECONDS


SUBJECTS: Mapping[str, Subject] = {
    "text": Subject(
        extractor=("text_extractor", "v1"),
        medium="text",
        entry_input="text",
        files=material.prose,
        count=400,
        each="texts of 88 words on average",
        bare=_text,
        bare_files=32,
        contains="MiniLM on 32 texts at a time, which it sorts by length",
        least_ratio=0.85,
        most_memory_mb=1200,
    ),
    "image": Subject(
        extractor=("image_extractor", "v1"),
        medium="image",
        entry_input="image",
        files=material.pictures,
        count=1000,
        each="photos",
        bare=_image,
        bare_files=8,
        contains="decoding, then EfficientNet-Lite2 and the label bridge on eight photos at a time",
        least_ratio=0.85,
        most_memory_mb=1400,
    ),
    "document": Subject(
        extractor=("document_graph_extractor", "v1"),
        medium="pdf",
        entry_input="pdf",
        files=material.papers,
        count=30,
        each="PDFs of three pages",
        bare=_document,
        bare_files=1,
        contains="lines of the text layer, the page drawn with 150 dots per inch, the layout model on it, blocks put"
        " together, and MiniLM on the blocks of a page",
        least_ratio=0.8,
        most_memory_mb=1400,
    ),
    "video": Subject(
        extractor=("multimodal_extractor", "v2"),
        medium="video",
        entry_input="video",
        files=material.videos,
        count=36,
        each="videos of 5 to 10 s",
        bare=_video,
        bare_files=1,
        contains="decoding every picture, and EfficientNet-Lite2 with the label bridge on the first of each shot and"
        " one a second; no search for cuts",
        least_ratio=0.8,
        most_memory_mb=1500,
        parameters={"split_method": "scene"},
    ),
    "speech": Subject(
        extractor=("multimodal_extractor", "v2"),
        medium="audio",
        entry_input="audio",
        files=material.speech,
        count=20,
        each="sounds of about 12 s of English speech",
        bare=_speech,
        bare_files=1,
        contains="decoding to 16 kHz, and Whisper tiny.en on the whole; no search for pauses, no vectors",
        least_ratio=0.8,
        most_memory_mb=1800,
        parameters={"split_method": "silence", "run_transcription": True, "transcription_language": "en"},
    ),
    "face": Subject(
        extractor=("face_identity_extractor", "v1"),
        medium="image",
        entry_input="image",
        files=material.faces,
        count=200,
        each="pictures with one or four faces",
        bare=_faces,
        bare_files=4,
        contains="decoding, YuNet on the picture, SFace on each face; no quality, no crops",
        least_ratio=0.85,
        most_memory_mb=1200,
    ),
    "sound": Subject(
        extractor=("audio_fingerprint_extractor", "v1"),
        medium="audio",
        entry_input="audio",
        files=material.music,
        count=48,
        each="sounds of a minute",
        bare=_sounds,
        bare_files=1,
        contains="decoding to 16 kHz, and YAMNet on windows of 5 s, one each 2.5 s",
        least_ratio=0.8,
        most_memory_mb=1400,
    ),
}
"""In the order in which they are measured. Another extractor is one more entry."""
