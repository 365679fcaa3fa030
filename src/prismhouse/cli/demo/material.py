"""Real photos and texts that lie inside two installed packages: nothing is downloaded, nothing is imported.

scikit-image carries photographs, and says in the docstrings of its loaders what each one shows.
scikit-learn carries two photographs and a description of each of its data sets.
"""

from __future__ import annotations

import ast
import inspect
import mimetypes
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from prismhouse.cli.demo.faults import DemoFailed

__all__ = ["Photo", "Text", "package_folder", "photos", "texts"]

# The pictures of these packages that a person would call photographs.
SCIKIT_IMAGE_PHOTOS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "hubble_deep_field.jpg",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
SCIKIT_LEARN_PHOTOS = ("china.jpg", "flower.jpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text file."""

    file: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photograph, and what its publishers wrote about it."""

    file: str
    data: bytes
    mime_type: str
    note: str


def package_folder(package: str, distribution: str) -> Path:
    """Return where an installed package lies, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise DemoFailed(f"The demo shows files of {distribution}: pip install 'prismhouse[all,demo]'")
    return Path(spec.origin).parent


def texts() -> list[Text]:
    """Return scikit-learn's descriptions of its data sets."""
    folder = package_folder("sklearn", "scikit-learn") / "datasets" / "descr"
    return [Text(file=path.name, content=path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.rst"))]


def photos() -> list[Photo]:
    """Return the photographs with their notes."""
    image_package = package_folder("skimage", "scikit-image") / "data"
    learn_package = package_folder("sklearn", "scikit-learn") / "datasets" / "images"
    notes = _loader_docstrings(image_package / "_fetchers.py") | _readme_notes(learn_package / "README.txt")
    paths = [image_package / name for name in SCIKIT_IMAGE_PHOTOS]
    paths += [learn_package / name for name in SCIKIT_LEARN_PHOTOS]
    return [_photo(path, notes.get(path.name, "")) for path in paths]


def _photo(path: Path, note: str) -> Photo:
    mime_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Photo(file=path.name, data=path.read_bytes(), mime_type=mime_type, note=note)


def _loader_docstrings(source: Path) -> dict[str, str]:
    """Return the docstring of the function that names a file, by file name."""
    found: dict[str, str] = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and (docstring := ast.get_docstring(node)):
            for name in re.findall(r"data/([\w.]+)", ast.unparse(node)):
                found[name] = inspect.cleandoc(docstring.split("\nReturns\n")[0])
    return found


def _readme_notes(readme: Path) -> dict[str, str]:
    """Return the blocks of a README that begin with `Image: name`, by file name."""
    blocks = re.split(r"^Image: ", readme.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {block.split("\n", 1)[0].strip(): block.split("\n", 1)[1].strip() for block in blocks}
