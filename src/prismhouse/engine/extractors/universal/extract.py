"""Finds out what a file is, by its bytes, and has it read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.generation import PromptQueue
from prismhouse.engine.extractors.port import ExtractedDocument, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import one_by_one, parts, read_bytes, settled, spared
from prismhouse.engine.extractors.universal.description import ask_descriptions, description_queue
from prismhouse.engine.extractors.universal.documents import Made
from prismhouse.engine.extractors.universal.image import of_image
from prismhouse.engine.extractors.universal.pdf import of_pdf
from prismhouse.engine.extractors.universal.text import of_text
from prismhouse.engine.extractors.universal.video import of_sound, of_video
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.sniff import Sniffed, sniff

__all__ = ["UniversalExtractor"]

_HEAD_BYTES = 8192
_MIB = 2**20
_ACCEPTED = "images, videos, sounds, PDFs, and text in UTF-8 (plain, Markdown, HTML, CSV, JSON, source code)"


@dataclass(frozen=True, slots=True)
class UniversalExtractor:
    """One document for an image, a page, and 30 seconds of a video or a sound."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        queue = description_queue(self.parameters, self.resources)
        results = one_by_one(rows, lambda row: self._row(row, queue))
        if queue is not None:
            # The rows are asked about together: answers take seconds. They go into the documents of the results.
            queue.flush()
        return results

    def _row(self, row: Row, queue: PromptQueue | None) -> RowResult:
        whole = Made()
        documents: list[ExtractedDocument] = []
        failures: list[RowFailure] = []
        for part in parts(row, "content"):
            with spared(row, failures):
                made = self._read(part, show=queue is not None)
                documents += made.documents(self.resources)
                failures += made.failures
                if queue is not None:
                    ask_descriptions(queue, made.drafts, documents, failures)
                for kind, reasons in made.dropped.items():
                    for reason, count in reasons.items():
                        whole.drop(kind, reason, count)
        result = settled(row, documents, failures, empty="There is no file, or nothing in it.")
        if not documents:
            return result
        return replace(result, dropped=whole.dropped, units={"image": float(len(documents))})

    def _read(self, part: Part, *, show: bool) -> Made:
        pages, listen = self.parameters["max_document_pages"], self.parameters["extract_text"]
        if part.data is None and part.path is None:
            if part.text is not None:
                read_bytes(part)  # an address stands for a file that was never fetched
            return of_text(part, "text/plain", most_pages=pages)
        with file_of(part) as path:
            self._check_size(path)
            found = _sniffed(path)
            match found.kind:
                case "pdf":
                    return of_pdf(part, self.resources, most_pages=pages, read=listen, show=show)
                case "text":
                    return of_text(part, found.mime, most_pages=pages)
                case "image":
                    return of_image(part, self.resources, read=listen, show=show)
                case "video" | "audio":
                    return self._played(path, found.kind, show=show)
        message = f"The file is {found.label} ({found.mime}), which is not read. Accepted: {_ACCEPTED}."
        raise MediaFault("unsupported_file", message)

    def _played(self, path: Path, kind: str, *, show: bool) -> Made:
        require(("av",), extra="media", needed_for="Reading videos and sounds")
        most, listen = self.parameters["max_video_segments"], self.parameters["extract_text"]
        if kind == "video":
            try:
                return of_video(path, self.resources, most_segments=most, listen=listen, show=show)
            except MediaFault as fault:
                if fault.code != "no_video_stream":
                    raise
        return of_sound(path, self.resources, most_segments=most, listen=listen)

    def _check_size(self, path: Path) -> None:
        size, most = path.stat().st_size, self.parameters["max_file_download_mb"]
        if not size:
            raise MediaFault("empty_file", "The file is empty. Upload it again.")
        if size > most * _MIB:
            message = f"The file has {size} bytes; the limit is {most} MiB. Send a smaller one, or raise"
            raise MediaFault("file_too_large", f"{message} max_file_download_mb of the collection (1024 at most).")


def _sniffed(path: Path) -> Sniffed:
    with path.open("rb") as file:
        return sniff(file.read(_HEAD_BYTES + 1))
