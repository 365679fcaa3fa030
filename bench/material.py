"""Files for measurements: real photos, videos and voices that packages carry, each copy different from all others.

Equal bytes are stored once, and equal thumbnails too: what is to be measured must differ. Photos are cut and encoded
anew, pages have words of their own, sounds are joined in another order. Videos keep their pictures: a note at the end
of the file tells copies apart.
"""

from __future__ import annotations

import io
import wave
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.films import BIKES, BUNNY
from tests.photos import photos
from tests.speech import clips

from bench.films import lectures, noted
from bench.sites import PAGES, packed
from bench.texts import texts

__all__ = ["course", "everything", "faces", "music", "papers", "pictures", "prose", "sites", "speech", "videos"]

_RATE = 16_000
_PAUSE_SECONDS = 0.7
_MOST_CUT = 48
_WORDS_OF_A_PAGE = 330
_MODULES = ("bisect", "colorsys", "contextlib", "fnmatch", "heapq", "json.decoder", "json.encoder", "netrc", "queue")


def prose(count: int, seed: int) -> list[bytes]:
    """Return English texts of 88 words on average."""
    return [text.encode() for text in texts(count, seed=seed)]


def pictures(count: int, seed: int) -> list[bytes]:
    """Return photos of 0.1 to 0.4 megapixels: of eight six are JPEG, one is PNG and one is WebP."""
    kinds = ("JPEG", "JPEG", "PNG", "JPEG", "JPEG", "WEBP", "JPEG", "JPEG")
    return [_encoded(_cut(number, seed), kinds[number % len(kinds)]) for number in range(count)]


def faces(count: int, seed: int) -> list[bytes]:
    """Return JPEGs with faces: of a portrait of 512 pixels, and of four small portraits in one picture, by turns."""
    return [_encoded(_people(number, seed), "JPEG") for number in range(count)]


def papers(count: int, seed: int) -> list[bytes]:
    """Return PDFs of three pages: headings, four paragraphs, a photo with its caption, a table."""
    return [_paper(number, seed) for number in range(count)]


def videos(count: int, seed: int) -> list[bytes]:
    """Return MP4: two of 10 s with five cuts, 640 x 272, then one of 5.3 s without, 1280 x 720, and so on."""
    films = [path.read_bytes() for path in (BIKES, BIKES, BUNNY)]
    return [noted(films[number % 3], f"{seed}-{number}") for number in range(count)]


def speech(count: int, seed: int) -> list[bytes]:
    """Return WAV files of English speech: four clips with pauses, about 12 s."""
    voices = [_samples(clip.path) for clip in clips("en")]
    return [_joined(voices, pieces=4, number=number, seed=seed) for number in range(count)]


def music(count: int, seed: int) -> list[bytes]:
    """Return WAV files of a minute: music and speech of five languages."""
    heard = [_samples(clip.path) for language in ("en", "fr", "es", "it", "pt") for clip in clips(language)]
    heard += [_samples(BUNNY)] * 5
    return [_joined(heard, pieces=30, number=number, seed=seed)[: 44 + 60 * _RATE * 2] for number in range(count)]


def everything(count: int, seed: int) -> list[bytes]:
    """Return files of all kinds by turns: of eight three are photos, two texts; a PDF, a video, a sound of speech."""
    kinds = (pictures, prose, papers, pictures, videos, prose, pictures, speech)
    made = {kind: iter(kind(count, seed)) for kind in dict.fromkeys(kinds)}
    return [next(made[kinds[number % len(kinds)]]) for number in range(count)]


def course(count: int, seed: int) -> list[bytes]:
    """Return files of courses by turns: of four one is a lecture, two are PDFs, one is an archive of source code."""
    kinds = (lectures, papers, _archives, papers)
    made = {kind: iter(kind(count, seed)) for kind in dict.fromkeys(kinds)}
    return [next(made[kinds[number % len(kinds)]]) for number in range(count)]


def sites(count: int, seed: int) -> list[bytes]:
    """Return sites of twelve pages, each with a photo."""
    photos_ = iter(_encoded(_cut(number, seed), "JPEG") for number in range(count * PAGES))
    return [packed(seed, number, [next(photos_) for _ in range(PAGES)]) for number in range(count)]


def _archives(count: int, seed: int) -> list[bytes]:
    """Return ZIP archives of two modules of Python's own library."""
    return [_archive(number, seed) for number in range(count)]


def _archive(number: int, seed: int) -> bytes:
    from importlib.util import find_spec

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (_MODULES[number % len(_MODULES)], _MODULES[(number + 4) % len(_MODULES)]):
            spec = find_spec(name)
            if spec is None or spec.origin is None:
                raise RuntimeError(f"{name} is not there")
            source = Path(spec.origin).read_text()
            archive.writestr(f"{name}.py", f"{source}\n\nCOPY = {number}, {seed}\n")
    return buffer.getvalue()


def _cut(number: int, seed: int) -> Any:
    shown = list(photos().values())
    image = shown[number % len(shown)]
    rng = np.random.default_rng([seed, number])
    left, top, right, bottom = (int(side) for side in rng.integers(0, _MOST_CUT, 4))
    return image.crop((left, top, image.width - right, image.height - bottom))


def _encoded(image: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    more = {} if kind == "PNG" else {"quality": 88}
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def _people(number: int, seed: int) -> Any:
    from PIL import Image

    rng = np.random.default_rng([seed, number])
    if number % 2 == 0:
        image = photos()["astronaut"]
        left, top, right, bottom = (int(side) for side in rng.integers(0, _MOST_CUT, 4))
        return image.crop((left, top, image.width - right, image.height - bottom))
    ground = Image.new("RGB", (480, 480), (120, 120, 120))
    for place, chosen in enumerate(rng.choice(100, 4, replace=False)):
        ground.paste(_portraits()[int(chosen)], (30 + 240 * (place % 2), 30 + 240 * (place // 2)))
    return ground


@cache
def _portraits() -> list[Any]:
    from importlib.util import find_spec

    from PIL import Image

    spec = find_spec("skimage")
    if spec is None or spec.submodule_search_locations is None:
        raise RuntimeError("scikit-image is not installed")
    stored = np.load(Path(spec.submodule_search_locations[0]) / "data" / "lfw_subset.npy")[:100]
    return [
        Image.fromarray((values * 255).astype(np.uint8)).convert("RGB").resize((180, 180), Image.Resampling.BICUBIC)
        for values in stored
    ]


def _paper(number: int, seed: int) -> bytes:
    from fpdf import FPDF

    words = texts(4, seed=seed * 10_000 + number, median_words=_WORDS_OF_A_PAGE // 2, sigma=0.1)
    pdf = FPDF()
    for page in range(3):
        pdf.add_page()
        pdf.set_font("helvetica", "B", 15)
        pdf.cell(0, 12, f"{page + 1}. Part {page + 1} of paper {number}", new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("helvetica", "", 11)
        for text in words[2 * page : 2 * page + 2]:
            pdf.multi_cell(0, 6, text.encode("latin-1", "replace").decode("latin-1"))
            pdf.ln(5)
    pdf.image(_cut(number, seed), w=110)
    pdf.cell(0, 8, f"Figure 1: photograph {number}.", new_x="LMARGIN", new_y="NEXT")
    with pdf.table() as table:
        for cells in (("Number", "Kind", "Bytes"), (str(number), "paper", str(seed * 1000 + number))):
            line = table.row()
            for cell in cells:
                line.cell(cell)
    return bytes(pdf.output())


def _samples(path: Path) -> Any:
    from prismhouse.engine.media.container import opened
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.sound import read_sound

    with opened(path, "audio", MediaLimits()) as media:
        return read_sound(media).kept


def _joined(heard: list[Any], *, pieces: int, number: int, seed: int) -> bytes:
    rng = np.random.default_rng([seed, number])
    pause = np.zeros(round(_PAUSE_SECONDS * _RATE), np.int16)
    chosen = [part for place in rng.integers(0, len(heard), pieces) for part in (heard[int(place)], pause)]
    samples = np.concatenate(chosen)
    samples[0] = number % 100
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()
