"""Goes through the PDFs of a row, page by page, so that one bad page spares the others."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.document_graph.blocks import Block
from prismhouse.engine.extractors.document_graph.correction import Corrector, corrector_of, texts_of
from prismhouse.engine.extractors.document_graph.page import ReadPage, read_page, segment_of
from prismhouse.engine.extractors.pages import MOST_PAGES, UNREAD_PAGES, box_field, opened_part, page_failure
from prismhouse.engine.extractors.pictures import jpeg_file
from prismhouse.engine.extractors.port import (
    Artifact,
    ErrorType,
    ExtractedDocument,
    FloatArray,
    Part,
    Row,
    RowFailure,
    RowResult,
)
from prismhouse.engine.extractors.rows import one_by_one, parts, settled, spared
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import TextModel
from prismhouse.engine.inference.registry import MINILM
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.pdf import Pdf
from prismhouse.engine.media.text import storable

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DocumentGraphExtractor"]

_GRADES = ((0.85, "A"), (0.70, "B"), (0.50, "C"), (0.0, "D"))
_MOST_BLOCKS = "max_document_blocks_cap"
_POINTS_PER_INCH = 72
_QUALITY = 85
_LONGEST_SIDE = 2000


@dataclass(slots=True)
class _Made:
    """What came of a row so far. `dropped` counts the pages that were left out, by reason."""

    documents: list[ExtractedDocument] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class DocumentGraphExtractor:
    """A document for each block."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        return one_by_one(rows, self._row)

    def _row(self, row: Row) -> RowResult:
        made = _Made()
        corrector = corrector_of(self.parameters, self.resources)
        for part in parts(row, "pdf"):
            with spared(row, made.failures), opened_part(part, self.resources) as pdf:
                made.files += 1
                made.dropped[MOST_PAGES] += pdf.dropped
                self._read(pdf, part, corrector, made)
        result = settled(row, made.documents, made.failures, empty="There is no PDF, or nothing is written in it.")
        if not made.documents:
            return result
        told = {reason: count for reason, count in made.dropped.items() if count}
        units = {"page": float(made.pages), "extraction": float(made.files)}
        return replace(result, dropped={"pages": told} if told else {}, units=units)

    def _read(self, pdf: Pdf, part: Part, corrector: Corrector | None, made: _Made) -> None:
        """Add the blocks of a file, page by page; a bad page spares the others."""
        last = pdf.pages - pdf.dropped
        for number in range(1, last + 1):
            room = self.resources.media.pdf_blocks - len(made.documents)
            try:
                page = read_page(pdf, number, self.parameters, self.resources, corrects=corrector is not None)
            except MediaFault as fault:
                made.failures.append(page_failure(fault, number))
                if fault.code == "pdf_too_slow":
                    made.dropped[UNREAD_PAGES] += last - number
                    break
                continue
            made.pages += 1
            corrected = {} if corrector is None else corrector.corrected(page, made.failures, most=room)
            made.documents += self._documents(page, part, pdf.pages, corrected, most=room)
            if len(page.blocks) > room:
                made.failures.append(_too_many(self.resources.media.pdf_blocks, number))
                made.dropped[_MOST_BLOCKS] += last - number
                break

    def _documents(
        self, page: ReadPage, part: Part, pages: int, corrected: Mapping[int, str], *, most: int
    ) -> Iterator[ExtractedDocument]:
        blocks = page.blocks[:most]
        vectors, truncated = self._vectors(texts_of(blocks, corrected))
        whole = self._whole(page)
        for index, block in enumerate(blocks):
            fields = {
                **_fields(block, storable(block.text)),
                **({"text_corrected": corrected[index]} if index in corrected else {}),
                "page_number": page.number,
                "block_index": index,
                "total_pages": pages,
                "page_width": round(page.width, 2),
                "page_height": round(page.height, 2),
                **({"source_file": part.filename} if part.filename else {}),
                **({"embedding_truncated": True} if index in truncated else {}),
            }
            yield ExtractedDocument(
                position=(page.number, index),
                fields=fields,
                vectors={self._model: vectors[index]} if index in vectors else {},
                artifacts=(*whole, *self._segment(page, block)),
            )

    @property
    def _model(self) -> str:
        return self.parameters.get("embedding_model") or MINILM

    def _vectors(self, texts: Sequence[str]) -> tuple[dict[int, FloatArray], set[int]]:
        """Return the vectors of the texts that are not empty, and which were longer than the model reads."""
        places = [place for place, text in enumerate(texts) if text.strip()]
        if not places or not self.parameters["run_text_embedding"]:
            return {}, set()
        model: TextModel = loaded(self._model, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        made = model.embed_texts([texts[place] for place in places])
        truncated = {place for place, is_cut in zip(places, made.truncated, strict=True) if is_cut}
        return dict(zip(places, made.vectors, strict=True)), truncated

    def _whole(self, page: ReadPage) -> tuple[Artifact, ...]:
        if page.image is None or not self._shows("full_page"):
            return ()
        return (jpeg_file("thumbnail_url", self._small(page.image, page.scale), filename="page.jpg"),)

    def _segment(self, page: ReadPage, block: Block) -> tuple[Artifact, ...]:
        if page.image is None or not self._shows("segment"):
            return ()
        cut = self._small(segment_of(page, block), page.scale)
        return (jpeg_file("segment_thumbnail_url", cut, role="segment_thumbnail", filename="segment.jpg"),)

    def _shows(self, mode: str) -> bool:
        return bool(self.parameters["generate_thumbnails"]) and self.parameters["thumbnail_mode"] in (mode, "both")

    def _small(self, image: Image, scale: float) -> bytes:
        ratio = min(1.0, self.parameters["thumbnail_dpi"] / _POINTS_PER_INCH / scale, _LONGEST_SIDE / max(image.size))
        small = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=_QUALITY)
        return buffer.getvalue()


def _too_many(most: int, number: int) -> RowFailure:
    message = f"Page {number}: The file has more than {most} blocks; the others, and later pages, are left out."
    return RowFailure(
        stage="extract",
        code="too_many_blocks",
        message=f"{message} Split it, raise min_text_length, or raise PRISMHOUSE_MEDIA__PDF_BLOCKS.",
        error_type=ErrorType.PERMANENT,
    )


def _fields(block: Block, text: str) -> dict[str, Any]:
    confidence = round(block.confidence, 4)
    return {
        "object_type": block.kind,
        "text_raw": text,
        "bbox": box_field(block.box),
        "overall_confidence": confidence,
        "confidence_tag": next(grade for least, grade in _GRADES if confidence >= least),
    }
