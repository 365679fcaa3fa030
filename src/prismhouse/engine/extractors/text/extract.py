"""Splits texts, and embeds the chunks of many rows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.generation import PromptQueue, ask_shape
from prismhouse.engine.extractors.port import ExtractedDocument, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import failed, guarded, parts, read_text
from prismhouse.engine.extractors.spans import Chunk
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM
from prismhouse.engine.media.markup import MARKUP, shown
from prismhouse.engine.media.sniff import sniff

__all__ = ["TextExtractor"]

_EMBED_CHUNKS = 4096
"""Chunks embedded at a time: bounds the memory of vectors on the way."""

_HEAD_CHARS = 8192


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    index: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TextExtractor:
    """A document for each chunk."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        return guarded(rows, self._extract)

    def _extract(self, rows: Sequence[Row]) -> list[RowResult]:
        results: dict[int, RowResult] = {}
        pending: list[tuple[int, list[_Piece]]] = []
        waiting = 0
        queue = PromptQueue(self.resources, model=self.parameters["llm_model"])
        for place, row in enumerate(rows):
            try:
                pieces = self._split(row)
            except Exception as error:  # noqa: BLE001 - recorded as this row's failure
                results[place] = failed(row, error, "split")
                continue
            if not pieces:
                results[place] = RowResult(row_id=row.row_id, skipped="The text is blank.")
                continue
            pending.append((place, pieces))
            waiting += len(pieces)
            if waiting >= _EMBED_CHUNKS:
                self._embed(rows, pending, results, queue)
                pending, waiting = [], 0
        self._embed(rows, pending, results, queue)
        queue.flush()
        return [results[place] for place in range(len(rows))]

    def _split(self, row: Row) -> list[_Piece]:
        rule = SplitRule(
            by=self.parameters["split_by"],
            size=self.parameters["chunk_size"],
            overlap=self.parameters["chunk_overlap"],
            segment_seconds=self.parameters["segment_length_seconds"],
        )
        given = parts(row, "text")
        pieces = []
        for number, part in enumerate(given):
            chunks = _chunks(part, rule)
            inputs = {"input_index": number} if len(given) > 1 else {}
            pieces += [
                _Piece(chunk.text, index, _fields(chunk, index, len(chunks)) | inputs)
                for index, chunk in enumerate(chunks)
            ]
        return pieces

    def _embed(
        self,
        rows: Sequence[Row],
        pending: Sequence[tuple[int, list[_Piece]]],
        results: dict[int, RowResult],
        queue: PromptQueue,
    ) -> None:
        if not pending:
            return
        name = self.parameters.get("embedding_model") or MINILM
        model = loaded(name, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        made = model.embed_texts([piece.text for _, pieces in pending for piece in pieces])
        vectors = zip(made.vectors, made.truncated, strict=True)
        for place, pieces in pending:
            documents = []
            for piece, (vector, truncated) in zip(pieces, islice(vectors, len(pieces)), strict=True):
                fields = piece.fields | {"embedding_truncated": True} if truncated else piece.fields
                documents.append(ExtractedDocument(position=(piece.index,), fields=fields, vectors={name: vector}))
            failures: list[RowFailure] = []
            if (shape := self.parameters["response_shape"]) is not None:
                ask_shape(queue, shape, documents, "text", failures)
            results[place] = RowResult(row_id=rows[place].row_id, documents=documents, partial_failures=failures)


def _chunks(part: Part, rule: SplitRule) -> list[Chunk]:
    """Return the chunks of a text; of a file of HTML those of what it shows, with their places in the file."""
    text = read_text(part)
    is_file = part.data is not None or part.path is not None
    if not is_file or sniff(text[:_HEAD_CHARS].encode()).mime not in MARKUP:
        return split(text, rule)
    page = shown(text)
    return [
        replace(chunk, start=page.place(chunk.start), end=page.end(chunk.end - 1)) for chunk in split(page.text, rule)
    ]


def _fields(chunk: Chunk, index: int, total: int) -> dict[str, Any]:
    return {
        "text": chunk.text,
        "chunk_index": index,
        "total_chunks": total,
        "start_char": chunk.start,
        "end_char": chunk.end,
        **chunk.fields,
    }
