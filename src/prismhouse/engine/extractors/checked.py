"""What a custom extractor gives is checked as it comes, so that a fault of it is a failed row with a name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import (
    Artifact,
    ErrorType,
    ExtractedDocument,
    Extractor,
    ExtractorRecord,
    Row,
    RowFailure,
    RowResult,
    VectorOutput,
)
from prismhouse.engine.extractors.rows import guarded
from prismhouse.engine.media.errors import MediaFault

__all__ = ["run_checked"]

_CODE = "bad_result"
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_Position = (str, int, float)


def run_checked(extractor: Extractor, record: ExtractorRecord, rows: Sequence[Row]) -> list[RowResult]:
    """Return one result per row: a row that makes the extractor raise, or whose result cannot be stored, fails alone.

    Args:
        extractor: as its definition loaded it.
        record: with the vectors that its parameters give.
        rows: any number.
    """

    def run(some: Sequence[Row]) -> list[RowResult]:
        made: Any = extractor(some)
        if not isinstance(made, list) or [getattr(one, "row_id", None) for one in made] != [row.row_id for row in some]:
            message = "The extractor must return a list of one RowResult for each row, in their order."
            raise MediaFault(_CODE, message)
        return [_checked(record, result) for result in made]

    return guarded(rows, run)


def _checked(record: ExtractorRecord, result: RowResult) -> RowResult:
    outputs = {output.name: output for output in record.vector_outputs}
    fault = None if isinstance(result, RowResult) else f"gave a {type(result).__name__}, not a RowResult"
    for document in result.documents if fault is None else ():
        fault = fault or _fault(document, record, outputs)
    if fault is None and len({item.position for item in result.documents}) < len(result.documents):
        fault = f"gave two documents of one position. {', '.join(record.position_fields)} must tell them apart"
    if fault is None:
        return result
    message = f"The extractor {record.extractor_id} {fault}. Correct the extractor."
    failure = RowFailure(stage="extract", code=_CODE, message=message, error_type=ErrorType.PERMANENT)
    return RowResult(row_id=result.row_id, failure=failure)


def _fault(document: Any, record: ExtractorRecord, outputs: Mapping[str, VectorOutput]) -> str | None:
    """Return what is wrong with a document, or None."""
    if not isinstance(document, ExtractedDocument):
        return f"gave a {type(document).__name__}, not an ExtractedDocument"
    place = document.position
    if not isinstance(place, tuple) or len(place) != len(record.position_fields):
        return f"gave the position {place!r}, not a tuple of {', '.join(record.position_fields)}"
    if not all(isinstance(one, _Position) for one in place):
        return f"gave the position {place!r}, which is not of texts and numbers"
    if not all(isinstance(one, Artifact) for one in document.artifacts):
        return "gave an artifact that is no Artifact"
    for name, vector in document.vectors.items():
        if fault := _vector_fault(name, vector, outputs):
            return fault
    return _fields_fault(document.fields)


def _vector_fault(name: str, vector: Any, outputs: Mapping[str, VectorOutput]) -> str | None:
    if (output := outputs.get(name)) is None:
        return f"gave a vector {name!r}; its record names {', '.join(outputs) or 'none'}"
    if not isinstance(vector, np.ndarray) or vector.dtype != np.float32 or vector.shape != (output.dimensions,):
        shape = f"{vector.dtype} of shape {vector.shape}" if isinstance(vector, np.ndarray) else type(vector).__name__
        return f"gave {name} as {shape}, not as float32 of shape ({output.dimensions},)"
    if not np.isfinite(vector).all():
        return f"gave a vector {name} that holds no number"
    if output.distance == "cosine" and not vector.any():
        return f"gave a vector {name} of zeros, which has no direction to compare"
    return None


def _fields_fault(fields: Any) -> str | None:
    if not isinstance(fields, Mapping) or not all(isinstance(name, str) for name in fields):
        return "gave fields that are no mapping by name"
    try:
        written = json.dumps(dict(fields), ensure_ascii=False, allow_nan=False)
        written.encode()
    except (TypeError, ValueError, RecursionError) as error:
        return f"gave fields that are no JSON ({error})"
    return "gave a text with the character U+0000, which cannot be stored" if _NUL.search(written) else None
