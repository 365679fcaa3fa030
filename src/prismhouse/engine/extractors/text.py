"""text_extractor v1: a text becomes one document, or one for each chunk, with a vector of its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import chosen_model
from prismhouse.engine.extractors.parameters import (
    KEYS_STAND_ELSEWHERE,
    NEEDS_LANGUAGE_MODEL,
    Parameters,
    check_provider,
    check_task,
)
from prismhouse.engine.extractors.port import (
    ExtractedDocument,
    ExtractorRecord,
    Part,
    Row,
    RowFailure,
    RowResult,
    VectorOutput,
)
from prismhouse.engine.extractors.rows import failed, guarded, parts, read_text
from prismhouse.engine.extractors.shapes import check_shape, shape_fields
from prismhouse.engine.extractors.spans import Chunk
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.extractors.telling import Teller, ask_shape
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM, entry
from prismhouse.engine.inference.writers import writer_entry
from prismhouse.engine.media.markup import MARKUP, shown
from prismhouse.engine.media.sniff import sniff

__all__ = ["DEFINITION", "SplitBy", "TextParameters"]

_NAME, _VERSION = "text_extractor", "v1"
_EMBED_CHUNKS = 4096
"""Chunks embedded at a time: bounds the memory of vectors on the way."""

_HEAD_CHARS = 8192
_NO_CAPTIONS = "captions are those of YouTube videos, which are not fetched; texts are read in every language"


def _field(kind: str, description: str) -> dict[str, str]:
    return {"type": kind, "description": description}


_OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "text": _field("string", "The chunk's text."),
        "chunk_index": _field("integer", "Place of the chunk in its text, from 0."),
        "total_chunks": _field("integer", "Chunks of the text."),
        "start_char": _field("integer", "First character of the chunk in the text, from 0."),
        "end_char": _field("integer", "Character after the chunk's last one."),
        "input_index": _field("integer", "Which of several texts of one object, from 0."),
        "response_truncated": _field("boolean", "True when response_shape is filled from the chunk's beginning alone."),
        "embedding_truncated": _field("boolean", "True when the chunk is longer than the model reads."),
        "page_number": _field("integer", "pages: number of the chunk's first page, from 1."),
        "heading_path": {
            "type": "array",
            "items": {"type": "string"},
            "description": "markdown: headings above the chunk, outermost first.",
        },
        "chunk_kind": _field("string", "markdown: section or code."),
        "code_language": _field("string", "markdown: language of a code block, when it is given."),
        "start_ms": _field("integer", "time_segments: start of the first cue."),
        "end_ms": _field("integer", "time_segments: end of the last cue."),
        "segment_index": _field("integer", "time_segments: place of the segment, from 0."),
        "total_segments": _field("integer", "time_segments: segments of the text."),
    },
}


class SplitBy(StrEnum):
    """What a chunk is counted in."""

    CHARACTERS = "characters"
    WORDS = "words"
    SENTENCES = "sentences"
    PARAGRAPHS = "paragraphs"
    PAGES = "pages"
    TIME_SEGMENTS = "time_segments"
    MARKDOWN = "markdown"
    NONE = "none"


class TextParameters(Parameters):
    """How a text is split and embedded."""

    unserved: ClassVar[Mapping[str, str]] = {
        "source_type": "YouTube videos are not fetched; upload the transcript as text",
        "language": _NO_CAPTIONS,
        "extract_captions": _NO_CAPTIONS,
        "normalize": "the vectors are always of unit length",
        "llm_api_key": KEYS_STAND_ELSEWHERE,
    }
    written: ClassVar[Mapping[str, bool]] = {"llm_model": False, "response_shape": False, "llm_provider": False}
    written_by: ClassVar[str | None] = "llm_model"

    extractor_type: Literal["text_extractor"] = "text_extractor"
    source_type: Literal["text", "youtube"] = Field("text", description="`text`. YouTube videos are not fetched.")
    split_by: SplitBy = Field(SplitBy.NONE, description="Unit of the chunks; `none`: one document for each text.")
    chunk_size: int = Field(
        1000, ge=1, le=10_000, description="Size of a chunk, in units of split_by. Markdown: characters."
    )
    chunk_overlap: int = Field(
        0,
        ge=0,
        le=5_000,
        description="Units that a chunk shares with the one before; less than chunk_size. Markdown: ignored."
        " time_segments: seconds.",
    )
    segment_length_seconds: int = Field(120, ge=30, le=600, description="Length of a segment of time_segments.")
    language: str = Field("en", description="Language of captions of YouTube, which are not fetched.")
    extract_captions: bool = Field(True, description="Whether captions of YouTube are read, which are not fetched.")
    normalize: bool = Field(True, description="Vectors are of unit length.")
    response_shape: str | dict[str, Any] | None = Field(
        None,
        description="What is to be told of each document, in words or as a JSON schema of an object; its keys become"
        f" fields. It {NEEDS_LANGUAGE_MODEL}.",
    )
    llm_provider: str | None = Field(None, description="`openai`, the protocol of every model; or unset.")
    llm_model: str | None = Field(
        None, description="Model of the file of models that fills response_shape. Unset: its default."
    )
    llm_api_key: str | None = Field(None, description="Unset: the file of models names where keys are.")
    embedding_model: str | None = Field(
        None,
        validate_default=True,
        validation_alias=AliasChoices("embedding_model", "model"),
        description=f"Text model of the vector. Unset: the default of the file of models, else {MINILM}.",
    )
    embedding_task: str | None = Field(
        None, description="Vectors are made for `retrieval_document`, whether it is left out or says so."
    )

    @field_validator("embedding_model")
    @classmethod
    def _is_here(cls, name: str | None) -> str | None:
        return chosen_model(name, "text_embedding")

    @model_validator(mode="after")
    def _asks_for_what_there_is(self) -> Self:
        check_provider("llm_provider", self.llm_provider)
        check_task("embedding_task", self.embedding_task)
        check_shape("response_shape", self.response_shape, _OUTPUT_SCHEMA["properties"])
        return self

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.split_by is SplitBy.TIME_SEGMENTS:
            limit, name = self.segment_length_seconds, "segment_length_seconds"
        else:
            limit, name = self.chunk_size, "chunk_size"
        if self.chunk_overlap >= limit:
            raise ValueError(f"chunk_overlap: {self.chunk_overlap} must be less than {name}, which is {limit}.")
        return self


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    model = entry(parameters.get("embedding_model") or MINILM)
    return (
        VectorOutput(
            name=model.name,
            storage_name="text_extractor_v1_embedding",
            dimensions=model.dimensions,
            distance="cosine",
            model=model.name,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    index: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _TextExtractor:
    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        return guarded(rows, self._extract)

    def _extract(self, rows: Sequence[Row]) -> list[RowResult]:
        results: dict[int, RowResult] = {}
        pending: list[tuple[int, list[_Piece]]] = []
        waiting = 0
        teller = Teller(self.resources, model=self.parameters["llm_model"])
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
                self._embed(rows, pending, results, teller)
                pending, waiting = [], 0
        self._embed(rows, pending, results, teller)
        teller.flush()
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
        teller: Teller,
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
                ask_shape(teller, shape, documents, "text", failures)
            results[place] = RowResult(row_id=rows[place].row_id, documents=documents, partial_failures=failures)


def _chunks(part: Part, rule: SplitRule) -> list[Chunk]:
    """Return the chunks of a text; of a file of HTML those of what it shows, with their places in the file."""
    text = read_text(part)
    is_file = part.data is not None or part.path is not None
    if not is_file or sniff(text[:_HEAD_CHARS].encode()).mime not in MARKUP:
        return split(text, rule)
    page = shown(text)
    return [
        replace(chunk, start=page.place(chunk.start), end=page.place(chunk.end - 1) + 1)
        for chunk in split(page.text, rule)
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


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Splits text into chunks and embeds them for semantic search.",
    category="text",
    icon="text",
    input_schema={
        "type": "object",
        "properties": {"text": _field("string", "Text, or a stored text file in UTF-8; of HTML, what it shows.")},
        "required": ["text"],
    },
    output_schema=_OUTPUT_SCHEMA,
    parameter_schema=TextParameters.model_json_schema(by_alias=False),
    default_parameters=TextParameters().model_dump(mode="json"),
    input_types={"text": ("text", "string")},
    vector_outputs=_outputs({}),
    position_fields=("chunk_index",),
    costs=priced(1, "simple", {"1k_tokens": 1}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"text": "description"},
        "parameters": {"split_by": "sentences", "chunk_size": 5, "chunk_overlap": 1},
    },
)


def _check(parameters: Mapping[str, Any]) -> None:
    if parameters.get("response_shape") is not None:
        writer_entry(parameters.get("llm_model"))


def _load(parameters: Mapping[str, Any], resources: Resources) -> _TextExtractor:
    return _TextExtractor(parameters, resources)


DEFINITION = Definition(
    record=_RECORD, parameters=TextParameters, load=_load, outputs=_outputs, fields=shape_fields, check=_check
)
