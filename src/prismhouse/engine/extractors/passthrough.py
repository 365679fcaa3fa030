"""passthrough_extractor v1: keeps what is there. With vector_fields, every row of a JSON Lines file is a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import (
    ErrorType,
    ExtractedDocument,
    ExtractorRecord,
    FloatArray,
    Part,
    Row,
    RowFailure,
    RowResult,
    VectorOutput,
)
from prismhouse.engine.extractors.rows import one_by_one, parts, read_bytes, settled, spared
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.sniff import sniff
from prismhouse.engine.media.text import decode_text

__all__ = ["DEFINITION", "PassthroughParameters", "VectorField"]

_NAME, _VERSION = "passthrough_extractor", "v1"
_MAX_ROWS = 100_000
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_NO_PARQUET = "Parquet files are not built yet; give JSON Lines, one object a line"


class VectorField(BaseModel):
    """A vector that each row of the file brings along."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(min_length=1, description="Key of the row that holds the vector.")
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the vector index.")
    dimensions: int = Field(ge=1, le=65_536, description="Length of the vector.")
    distance: Literal["cosine", "dot", "euclidean"] = Field("cosine", description="How vectors are compared.")


class PassthroughParameters(Parameters):
    """What is kept."""

    unserved: ClassVar[Mapping[str, str]] = {}

    extractor_type: Literal["passthrough_extractor"] = "passthrough_extractor"
    preserve_metadata: bool = Field(True, description="Whether the document says what the file was.")
    vector_fields: list[VectorField] | None = Field(
        None, description="Vectors of the rows of a file. Unset: one document for each object."
    )
    row_format: Literal["jsonl", "parquet"] | None = Field(
        None, description=f"Format of the file of rows. Unset: by its content. {_NO_PARQUET}."
    )

    @model_validator(mode="after")
    def _rows_can_be_read(self) -> Self:
        if self.row_format == "parquet":
            raise ValueError(f"row_format: {_NO_PARQUET}.")
        names = [item.name for item in self.vector_fields or ()]
        if len(set(names)) != len(names):
            raise ValueError("vector_fields: each name may stand once.")
        return self


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    return tuple(
        VectorOutput(
            name=item["name"],
            storage_name=f"{_NAME}_{_VERSION}_{item['name']}",
            dimensions=item["dimensions"],
            distance=item["distance"],
            model="",
            query_modalities=("vector",),
            primary=place == 0,
        )
        for place, item in enumerate(parameters.get("vector_fields") or ())
    )


@dataclass(frozen=True, slots=True)
class _PassthroughExtractor:
    parameters: Mapping[str, Any]

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        return one_by_one(rows, self._row)

    def _row(self, row: Row) -> RowResult:
        documents: list[ExtractedDocument] = []
        failures: list[RowFailure] = []
        given = parts(row, "content")
        for part in [*given, *(part for part in parts(row, "data") if part not in given)]:
            with spared(row, failures, "read"):
                if self.parameters["vector_fields"]:
                    made, bad = _rows_of_file(part, self.parameters["vector_fields"])
                    documents += made
                    failures += bad
                else:
                    documents.append(self._document(part))
        return settled(row, documents, failures, empty="There is no content.")

    def _document(self, part: Part) -> ExtractedDocument:
        fields: dict[str, Any] = {
            "content_url": part.url,
            "content_type": part.mime_type or ("text/plain" if part.text is not None else None),
            "size_bytes": part.size_bytes if part.size_bytes is not None else _size(part),
        }
        if part.url is None and part.text is not None:
            fields["content"] = part.text
        elif part.url is None and part.value is not None:
            fields["content"] = part.value
        if self.parameters["preserve_metadata"]:
            known = {"filename": part.filename, "blob_id": part.blob_id, "type": part.type}
            fields["metadata"] = {key: value for key, value in known.items() if value is not None}
        kept = {key: value for key, value in fields.items() if value is not None}
        return ExtractedDocument(position=(0,), fields={**kept, "row_index": 0})


def _size(part: Part) -> int | None:
    if part.path is not None:
        return part.path.stat().st_size
    if part.data is not None:
        return len(part.data)
    return len(part.text.encode()) if part.text is not None else None


def _rows_of_file(part: Part, wanted: Sequence[Mapping[str, Any]]) -> tuple[list[ExtractedDocument], list[RowFailure]]:
    """Return the documents of a file's rows, and a failure for each row that cannot be used."""
    documents: list[ExtractedDocument] = []
    failures: list[RowFailure] = []
    for index, line in _lines(part):
        if index >= _MAX_ROWS:
            raise MediaFault("too_many_rows", f"The file has more than {_MAX_ROWS} rows. Split it into smaller files.")
        try:
            documents.append(_row_document(index, line, wanted))
        except ValueError as error:
            message = f"Line {index + 1}: {error}."
            failures.append(RowFailure(stage="read", code="bad_row", message=message, error_type=ErrorType.PERMANENT))
    return documents, failures


def _lines(part: Part) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their place from 0."""
    data = read_bytes(part)
    if sniff(data).mime == "application/vnd.apache.parquet":
        raise MediaFault("not_built_yet", f"{_NO_PARQUET}.")
    for index, line in enumerate(decode_text(data).split("\n")):
        if line.strip():
            yield index, line


def _row_document(index: int, line: str, wanted: Sequence[Mapping[str, Any]]) -> ExtractedDocument:
    """Return the document of one row; raise ValueError saying what is wrong with it."""
    import orjson

    try:
        values = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object, got {type(values).__name__}")  # noqa: TRY004 - the line is bad
    vectors = {item["name"]: _vector(values, item) for item in wanted}
    taken = {item["field"] for item in wanted}
    fields = {key: value for key, value in values.items() if key not in taken}
    if _NUL.search(line):
        raise ValueError("holds the character U+0000, which cannot be stored")
    return ExtractedDocument(position=(index,), fields={**fields, "row_index": index}, vectors=vectors)


def _vector(values: Mapping[str, Any], item: Mapping[str, Any]) -> FloatArray:
    field, dimensions = item["field"], item["dimensions"]
    if field not in values:
        raise ValueError(f"has no field {field!r}")
    given = values[field]
    numbers = isinstance(given, list) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in given
    )
    if not numbers:
        raise ValueError(f"{field!r} is not a list of numbers")
    if len(given) != dimensions:
        raise ValueError(f"{field!r} has {len(given)} numbers, expected {dimensions}")
    with np.errstate(over="ignore"):
        vector = np.array(given, np.float32)
    if not np.isfinite(vector).all():
        raise ValueError(f"{field!r} holds a number that is too large")
    if item["distance"] == "cosine" and not vector.any():
        raise ValueError(f"{field!r} is all zeros, which has no direction to compare")
    return vector


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Keeps content as it is, or stores the rows and ready-made vectors of a JSON Lines file.",
    category="general",
    icon="arrow-right",
    input_schema={
        "type": "object",
        "properties": {
            "content": field_schema("string", "Any file or value."),
            "data": field_schema("string", "The same, under another name."),
        },
    },
    output_schema={
        "type": "object",
        "properties": {
            "content_url": field_schema("string", "Where the file is."),
            "content_type": field_schema("string", "Its MIME type."),
            "content": field_schema("string", "The value itself, when it is not a file."),
            "size_bytes": field_schema("integer", "Its size in bytes."),
            "metadata": field_schema("object", "File name, blob id and type."),
            "row_index": field_schema("integer", "Line of the file the row stood in, from 0."),
        },
    },
    parameter_schema=PassthroughParameters.model_json_schema(),
    default_parameters=PassthroughParameters().model_dump(mode="json"),
    input_types={"content": ("any",), "data": ("any",)},
    vector_outputs=(),
    position_fields=("row_index",),
    type_mode="multimodal",
    costs=priced(1, "simple", {"extraction": 1}),
    inference_type=None,
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"content": "file"},
        "parameters": {"vector_fields": [{"field": "embedding", "name": "mine", "dimensions": 384}]},
    },
)


def _load(parameters: Mapping[str, Any], resources: Resources) -> _PassthroughExtractor:  # noqa: ARG001 - signature
    return _PassthroughExtractor(parameters)


DEFINITION = Definition(record=_RECORD, parameters=PassthroughParameters, load=_load, outputs=_outputs)
