"""What every feature extractor takes and gives. Rows in, one result per row out, in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "Artifact",
    "ErrorType",
    "ExtractedDocument",
    "Extractor",
    "ExtractorRecord",
    "FloatArray",
    "Part",
    "Row",
    "RowFailure",
    "RowResult",
    "VectorOutput",
]

FloatArray = npt.NDArray[np.float32]


class ErrorType(StrEnum):
    """Why a row failed; only transient ones are tried again without being asked."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One input value of a row: text, or bytes in memory or in a file, or a plain JSON value.

    `type` is the bucket schema's type (text, image, pdf, audio, video, json, string, number, ...).
    """

    type: str
    text: str | None = None
    data: bytes | None = None
    path: Path | None = None
    value: Any = None
    mime_type: str | None = None
    filename: str | None = None
    blob_id: str | None = None
    url: str | None = None
    size_bytes: int | None = None

    def load(self) -> bytes:
        """Return the bytes (UTF-8 for text); raise OSError when the file cannot be read."""
        if self.data is not None:
            return self.data
        if self.path is not None:
            return self.path.read_bytes()
        return (self.text or "").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object or upstream document. `inputs` is keyed by the extractor's input names."""

    row_id: str
    inputs: Mapping[str, Part | Sequence[Part]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file made on the way (a thumbnail): stored as a blob of the document; `field` gets its URL."""

    field: str
    role: str
    type: str
    data: bytes
    content_type: str
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedDocument:
    """One document: its fields, its vectors by output name (each `(d,)` float32), its place in the source.

    `position` holds the values of the extractor's position fields; with object, collection and extractor it
    makes the document id, so the same input gives the same ids. `sources` names files of the input that the document
    links to: the `blob_id` of a part by the field that gets its URL.
    """

    position: tuple[str | int | float, ...]
    fields: Mapping[str, Any]
    vectors: Mapping[str, FloatArray] = field(default_factory=dict)
    artifacts: Sequence[Artifact] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFailure:
    """Why a row, or a part of one, gave nothing. `code` is stable and machine-readable, `message` says what to do.

    `missing_feature` names what the row's documents lack where all of them were written all the same.
    """

    stage: str
    code: str
    message: str
    error_type: ErrorType
    missing_feature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """Documents, or a failure, or the reason why the row was rightly skipped (blank text).

    `partial_failures` says what could not be done beside the documents that were: the object is partial. Unless it
    names a `missing_feature`, a part of the input was lost, and the batch ends with errors.

    `dropped` counts pages and segments that were left out, by reason: `{"pages": {"max_document_pages_cap": 3}}`.
    `units` says what the row is to be paid for, in units of the record's rates, where that cannot be seen from its
    inputs and documents.
    """

    row_id: str
    documents: Sequence[ExtractedDocument] = ()
    failure: RowFailure | None = None
    skipped: str | None = None
    partial_failures: Sequence[RowFailure] = ()
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    units: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorOutput:
    """A vector an extractor writes. `name` is the model's name and the last part of the feature URI.

    `model` is the registry entry that really runs. `query_modalities` says what a query may be made of.
    """

    name: str
    storage_name: str
    dimensions: int
    distance: str
    model: str
    query_modalities: tuple[str, ...] = ("text",)
    primary: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorRecord:
    """What the catalogue says of an extractor. Schemas are JSON Schema objects.

    `source` is `builtin`, or `custom` for those of other packages, which the catalogue sets. `gatherer` is set where
    rows need more than they bring, such as the pages of a site: `module:function` that is called before, in a process
    beside those that compute, with the parameters, a row and the settings of the house; it returns the row with more
    inputs, or its failure. `gathering_parameter` names the parameter that says how many seconds that may take.
    """

    name: str
    version: str
    description: str
    category: str
    icon: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    parameter_schema: Mapping[str, Any]
    default_parameters: Mapping[str, Any]
    input_types: Mapping[str, tuple[str, ...]]
    vector_outputs: tuple[VectorOutput, ...]
    position_fields: tuple[str, ...]
    type_mode: str = "type_specific"
    costs: Mapping[str, Any] | None = None
    inference_type: str | None = "embedding"
    max_inputs: Mapping[str, int] = field(default_factory=dict)
    example_usage: Mapping[str, Any] | None = None
    source: str = "builtin"
    gatherer: str | None = None
    gathering_parameter: str | None = None

    @property
    def extractor_id(self) -> str:
        """`name_version`."""
        return f"{self.name}_{self.version}"

    def feature_uri(self, output: VectorOutput) -> str:
        """`mixpeek://name@version/output`."""
        return f"mixpeek://{self.name}@{self.version}/{output.name}"


class Extractor(Protocol):
    """A loaded extractor. Raising fails the whole call; a bad row is a RowFailure, never an exception."""

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        ...
