"""The loops without the product: what a program would do that needs vectors and texts of files, and nothing else.

A loop takes paths and a cache folder. It reads the files, decodes what has to be decoded, and calls the models on it,
as the extractor's documents need them: no search for where something is that is known beforehand, no thumbnails, no
documents, no storage. Its docstring says what it does, and stands beside its figures.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.films import SLIDE_SECONDS, TICKER
from prismhouse.engine.extractors.text_vectors import portions
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import (
    CONSE,
    FACES,
    MINILM,
    PAGE_LAYOUT,
    PP_OCR,
    WHISPER_BASE,
    WHISPER_TINY_EN,
    YAMNET,
)

__all__ = [
    "courses",
    "custom",
    "documents",
    "everything",
    "faces",
    "photos",
    "sites",
    "sounds",
    "speech",
    "texts",
    "tickers",
    "videos",
]

_DRAFT_SIDE = 640
_PAGE_DPI = 150
_PICTURES_AT_ONCE = 8
_WINDOW_SECONDS, _HOP_SECONDS = 5.0, 2.5
_EARLY_SECONDS = 1e-4
_STRIP_PIXELS, _STRIP_MARGIN = 900, 24
_STANDING = 4
_CUTS = {(640, time) for time in (1.2, 3.04, 5.48, 7.48, 9.68)}
"""Width of a picture and time, of the one video that has cuts."""


def texts(paths: Sequence[Path], folder: Path) -> None:
    """MiniLM on 32 texts at a time, which it sorts by length."""
    _model(MINILM, folder).embed([path.read_text() for path in paths])


def photos(paths: Sequence[Path], folder: Path) -> None:
    """Decoding, then EfficientNet-Lite2 and the label bridge on eight photos at a time."""
    _model(CONSE, folder).see([_decoded(path.read_bytes()) for path in paths])


def custom(paths: Sequence[Path], folder: Path) -> None:
    """Decoding, and EfficientNet-Lite2 by the package's own function, on one photo at a time."""
    from bench.sights import sight

    for path in paths:
        sight(_decoded(path.read_bytes()), 1, folder)


def documents(paths: Sequence[Path], folder: Path) -> None:
    """Lines of the text layer, the page drawn with 150 dots per inch, the layout model on it, blocks put together, and
    MiniLM on the blocks of a page."""
    for path in paths:
        for blocks in _blocks(path, folder):
            _model(MINILM, folder).embed(blocks)


def videos(paths: Sequence[Path], folder: Path) -> None:
    """Decoding every picture, and EfficientNet-Lite2 with the label bridge on the first of each shot and one a second;
    no search for cuts, since those of the two videos are known."""
    for path in paths:
        last = -1.0
        waiting: list[Any] = []
        for frame in _frames(path):
            if (frame.width, frame.time) in _CUTS or frame.time - last >= 1 - _EARLY_SECONDS:
                waiting.append(_picture(frame, 640))
                last = frame.time
                if len(waiting) == _PICTURES_AT_ONCE:
                    _model(CONSE, folder).see(waiting)
                    waiting.clear()
        if waiting:
            _model(CONSE, folder).see(waiting)


def speech(paths: Sequence[Path], folder: Path) -> None:
    """Decoding to 16 kHz, and Whisper tiny.en on the whole; no search for pauses, no vectors."""
    for path in paths:
        _model(WHISPER_TINY_EN, folder).transcribe(_sound(path).samples(), language="en")


def faces(paths: Sequence[Path], folder: Path) -> None:
    """Decoding, YuNet on the picture, SFace on each face; no quality, no crops."""
    from prismhouse.engine.media.image import decode_image

    model = _model(FACES, folder)
    for path in paths:
        found = model.find(decode_image(path.read_bytes()).image, threshold=0.5)
        model.embed_faces([face.aligned for face in found])


def sounds(paths: Sequence[Path], folder: Path) -> None:
    """Decoding to 16 kHz, and YAMNet on windows of 5 s, one each 2.5 s."""
    model = _model(YAMNET, folder)
    for path in paths:
        sound = _sound(path)
        start = 0.0
        while start == 0.0 or start + _WINDOW_SECONDS - _HOP_SECONDS < sound.seconds - 0.01:
            model.hear(sound.samples(start, start + _WINDOW_SECONDS))
            start += _HOP_SECONDS


def everything(paths: Sequence[Path], folder: Path) -> None:
    """Photos: decoding, EfficientNet-Lite2 with the label bridge and PP-OCR on each; videos: every picture decoded, one
    each two seconds looked at, Whisper base on the sound; sounds: Whisper base; PDFs: the text layer; MiniLM on all
    words of a file, in pieces of 700 characters."""
    for path in paths:
        data = path.read_bytes()
        if data[:4] == b"%PDF":
            words = ["\n".join(line.text for line in page) for page in _layers(path)]
        elif data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            words = [_told(path, folder)]
        elif data[4:8] == b"ftyp":
            _model(CONSE, folder).see(list(_sampled(path, every=2, longest=640)))
            words = [_told(path, folder)]
        elif data[:3] == b"\xff\xd8\xff" or data[:4] in (b"\x89PNG", b"RIFF"):
            image = _decoded(data)
            _model(CONSE, folder).see([image])
            words = [_written(image, folder)]
        else:
            words = [data.decode()]
        _embed(words, folder)


def courses(paths: Sequence[Path], folder: Path) -> None:
    """Lectures: decoding every picture, PP-OCR on one picture of each slide, Whisper base on the sound; PDFs: as for
    `document`; archives: their files divided into functions by a grammar; MiniLM on all words of a file, those of
    comments apart from code, in pieces of 700 characters."""
    from prismhouse.engine.extractors.course.code import parts_of

    for path in paths:
        data = path.read_bytes()
        if data[:4] == b"%PDF":
            words = [block for blocks in _blocks(path, folder) for block in blocks]
        elif data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                sources = {name: archive.read(name).decode() for name in archive.namelist()}
            words = []
            for name, source in sources.items():
                for part in parts_of(source, "python"):
                    code = "\n".join(source.split("\n")[part.first - 1 : part.last])
                    words += [f"{name}: {part.title}\n{code}", part.told]
        else:
            slides = _sampled(path, every=SLIDE_SECONDS, start=SLIDE_SECONDS / 2, longest=1600)
            screens = [_written(image, folder) for image in slides]
            words = ["\n".join(screens), *screens, _told(path, folder)]
        _embed(words, folder)


def tickers(paths: Sequence[Path], folder: Path) -> None:
    """Decoding every picture, PP-OCR on what the ticker says, put side by side, and on four pictures with the ticker
    painted over; no search for what moves, since its place and its speed are known."""
    from PIL import Image

    for path in paths:
        step = TICKER.width / TICKER.speed
        shown = list(_sampled(path, every=step, longest=TICKER.width))
        rows = [np.asarray(one.convert("L"))[TICKER.top - 8 : TICKER.bottom + 8] for one in shown[1:]]
        strip = np.concatenate(rows, axis=1)
        for piece in np.array_split(strip, -(-strip.shape[1] // _STRIP_PIXELS), axis=1):
            framed = np.pad(piece, _STRIP_MARGIN, mode="edge")
            _written(Image.fromarray(framed).convert("RGB"), folder)
        for place in range(_STANDING):
            still = shown[(2 * place + 1) * len(shown) // (2 * _STANDING)].copy()
            still.paste((128, 128, 128), (0, TICKER.top - 8, still.width, TICKER.bottom + 8))
            _written(still, folder)


def sites(paths: Sequence[Path], folder: Path) -> None:
    """The same pages and photos out of a file, so nothing is fetched: the text of each page by selectolax, MiniLM on
    all pages of a site together, decoding, EfficientNet-Lite2 and the label bridge on eight photos at a time."""
    from selectolax.lexbor import LexborHTMLParser

    for path in paths:
        with zipfile.ZipFile(path) as site:
            held = {name: site.read(name) for name in site.namelist()}
        pages = [LexborHTMLParser(data.decode()) for name, data in held.items() if name.endswith(".html")]
        _model(MINILM, folder).embed([page.css("main")[0].text(separator=" ", strip=True) for page in pages])
        images = [data for name, data in held.items() if name.endswith(".jpg")]
        for start in range(0, len(images), _PICTURES_AT_ONCE):
            _model(CONSE, folder).see([_decoded(data) for data in images[start : start + _PICTURES_AT_ONCE]])


def _model(name: str, folder: Path) -> Any:
    return loaded(name, threads=1, cache_dir=folder)


def _decoded(data: bytes) -> Any:
    from prismhouse.engine.media.image import decode_image

    return decode_image(data, draft_side=_DRAFT_SIDE).image


def _embed(words: Sequence[str], folder: Path) -> None:
    pieces = [piece for text in words for piece in portions(text)]
    if pieces:
        _model(MINILM, folder).embed(pieces)


def _written(image: Any, folder: Path) -> str:
    return "\n".join(line.text for line in _model(PP_OCR, folder).read(image))


def _told(path: Path, folder: Path) -> str:
    """Return what is said; nothing where there is no sound."""
    from prismhouse.engine.media.errors import MediaFault

    try:
        sound = _sound(path)
    except MediaFault:
        return ""
    said: str = _model(WHISPER_BASE, folder).transcribe(sound.samples()).text()
    return said


def _sound(path: Path) -> Any:
    from prismhouse.engine.media.container import opened
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.sound import read_sound

    with opened(path, "video" if path.read_bytes()[4:8] == b"ftyp" else "audio", MediaLimits()) as media:
        return read_sound(media)


def _frames(path: Path) -> Iterator[Any]:
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        yield from container.decode(video=0)


def _picture(frame: Any, longest: int) -> Any:
    scale = min(1.0, longest / max(frame.width, frame.height))
    return frame.to_image(width=round(frame.width * scale), height=round(frame.height * scale))


def _sampled(path: Path, *, every: float, longest: int, start: float = 0.0) -> Iterator[Any]:
    due = start
    for frame in _frames(path):
        if frame.time + _EARLY_SECONDS >= due:
            due += every
            yield _picture(frame, longest)


def _layers(path: Path) -> Iterator[Any]:
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.pdf import opened_pdf

    with opened_pdf(path, MediaLimits()) as pdf:
        for number in range(1, pdf.pages + 1):
            with pdf.page(number) as page:
                yield page.lines()


def _blocks(path: Path, folder: Path) -> Iterator[list[str]]:
    """Yield the texts of the blocks of each page. Lines that follow each other closely are one paragraph."""
    from prismhouse.engine.extractors.document_graph.blocks import Part, Piece, blocks_of
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.pdf import opened_pdf

    layout = _model(PAGE_LAYOUT, folder)
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
            yield [block.text for block in blocks if block.text]
