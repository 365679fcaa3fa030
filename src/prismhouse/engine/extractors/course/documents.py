"""Units of a course become documents: words and code each get a vector, all of a row's together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.pictures import jpeg_file
from prismhouse.engine.extractors.port import Artifact, ExtractedDocument, FloatArray
from prismhouse.engine.extractors.text_vectors import TextVector, text_vectors
from prismhouse.engine.inference.registry import CONSE, MINILM
from prismhouse.engine.media.errors import MediaFault

__all__ = ["CODE", "Unit", "check_units", "documents", "pictured"]

CODE = f"code_{MINILM}"
"""Name of the vector of code, which is made by the text model."""

_POSITION = ("doc_type", "file_path", "segment_index", "page_number", "element_index", "start_line")
_ABSENT: Mapping[str, str | int] = {name: "" if name in ("doc_type", "file_path") else 0 for name in _POSITION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A document on the way: its fields, and what its vectors are made of.

    Attributes:
        doc_type: video, pdf or code.
        unit_type: segment, screen, page, element, function, class, block, file or text.
        visual: vector of what is seen.
    """

    doc_type: str
    unit_type: str
    fields: Mapping[str, Any]
    visual: FloatArray | None = None
    artifacts: tuple[Artifact, ...] = ()
    sources: Mapping[str, str] | None = None

    @property
    def words(self) -> str:
        """What the text vector is made of."""
        return "\n\n".join(str(self.fields[name]) for name in ("text_content", "screen_text") if self.fields.get(name))

    @property
    def code(self) -> str:
        """What the code vector is made of: its name goes before it, since code often does not say what it is for."""
        code = str(self.fields.get("code_content") or "")
        return "\n".join(part for part in (str(self.fields.get("title") or ""), code) if part) if code else ""


def check_units(count: int, resources: Resources) -> None:
    """Raise MediaFault for more units than one file may become, before they are embedded."""
    if count > resources.media.segments:
        message = f"The file becomes more than {resources.media.segments} units."
        raise MediaFault("too_many_units", f"{message} Split it, or raise PRISMHOUSE_MEDIA__SEGMENTS.")


def documents(units: Sequence[Unit], parameters: Mapping[str, Any], resources: Resources) -> list[ExtractedDocument]:
    """Return the documents of units."""
    blank = [TextVector(vector=None)] * len(units)
    texts = [unit.words for unit in units] if parameters["run_text_embedding"] else []
    codes = [unit.code for unit in units] if parameters["run_code_embedding"] else []
    made = text_vectors([*texts, *codes], resources) if texts or codes else []
    worded, coded = made[: len(texts)] or blank, made[len(texts) :] or blank
    return [_document(unit, *vectors) for unit, *vectors in zip(units, worded, coded, strict=True)]


def _document(unit: Unit, words: TextVector, code: TextVector) -> ExtractedDocument:
    fields = {"doc_type": unit.doc_type, "unit_type": unit.unit_type, **unit.fields}
    if words.truncated or code.truncated:
        fields["embedding_truncated"] = True
    known = {MINILM: words.vector, CODE: code.vector, CONSE: unit.visual}
    return ExtractedDocument(
        position=tuple(fields.get(name, _ABSENT[name]) for name in _POSITION),
        fields=fields,
        vectors={name: vector for name, vector in known.items() if vector is not None},
        artifacts=unit.artifacts,
        sources=unit.sources or {},
    )


def pictured(jpeg: bytes) -> Artifact:
    """Return a JPEG as the thumbnail of a unit."""
    return jpeg_file("thumbnail", jpeg)
