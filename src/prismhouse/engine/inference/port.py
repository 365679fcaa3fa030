"""What a model must offer. A loader named by a `ModelEntry` returns one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.kit.errors import WarehouseError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Generated",
    "GenerativeModel",
    "ImageModel",
    "LayoutModel",
    "Prompt",
    "ReadLine",
    "Region",
    "Speech",
    "SpeechModel",
    "Style",
    "TextModel",
    "TextVectors",
    "Word",
    "WritingModel",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVectors:
    """Vectors `(n, d)`, rows of unit length, and which texts were longer than the model reads."""

    vectors: FloatArray
    truncated: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A spoken word with the space or hyphen before it, and its times in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What is said. `language` is an ISO 639-1 code, or None where nothing was said."""

    words: Sequence[Word]
    language: str | None

    def text(self, start: float = 0.0, end: float = float("inf")) -> str:
        """Return the words whose middle lies between two times."""
        return "".join(word.text for word in self.words if start <= (word.start + word.end) / 2 < end).strip()


class TextModel(Protocol):
    """Texts to vectors. Called from several threads at once.

    A model that reads queries in another way than passages has `embed_queries(texts)` beside `embed`.
    """

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return the same, and which texts were cut off. Memory is bounded whatever the texts are."""
        ...


class ImageModel(Protocol):
    """RGB images to vectors. Called from several threads at once."""

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the images.

        Raises MediaFault for an image without what the model looks for, such as a face.
        """
        ...


class SpeechModel(Protocol):
    """Speech to text."""

    def transcribe(self, samples: FloatArray, *, language: str | None = None) -> Speech:
        """Return what is said in `(n,)` float32 samples of one channel at 16 kHz."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A line of writing in a picture: its box in pixels (left, top, right, bottom), its certainty from 0 to 1."""

    text: str
    box: tuple[float, float, float, float]
    confidence: float


class WritingModel(Protocol):
    """A model that reads what is written in pictures."""

    def read(self, image: Image) -> list[ReadLine]:
        """Return the lines of an upright RGB picture in reading order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a page: its class, its box in pixels (left, top, right, bottom), its certainty from 0 to 1."""

    kind: str
    box: tuple[float, float, float, float]
    confidence: float


class LayoutModel(Protocol):
    """A model that tells the parts of a page apart."""

    def regions(self, page: Image) -> list[Region]:
        """Return the parts of a page, an upright RGB picture, likeliest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a writer is given. `images` are JPEG files; `instructions` say what to do with them and the text."""

    text: str
    instructions: str = ""
    images: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How something is to be written. None: as the model does by itself.

    `as_object` asks for a JSON object, `schema` for one that follows it.
    """

    as_object: bool = False
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What was written, and the object in it where one was asked for; or why nothing was.

    `truncated` says that the prompt's text was longer than the model is given.
    """

    text: str = ""
    value: Mapping[str, Any] | None = None
    truncated: bool = False
    fault: WarehouseError | None = None


class GenerativeModel(Protocol):
    """A model that follows instructions on texts and, where its entry's modalities say so, pictures."""

    def generate(self, prompts: Sequence[Prompt], style: Style = ...) -> list[Generated]:
        """Return one result for each prompt, in order: a prompt that fails spares the others."""
        ...
