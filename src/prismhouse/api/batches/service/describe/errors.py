"""Failures of rows as the API tells of them: a category, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prismhouse.api.batches.store.failures import FailureGroup
from prismhouse.engine.extractors.port import ErrorType
from prismhouse.kit.clock import iso

__all__ = ["category", "detail", "suggestion", "summary"]

_OURS = frozenset({"extractor_error", "no_result", "bad_vector"})
_SUGGESTIONS = {
    "missing_input": "Map an input (input_mappings of the collection) to a field that these rows have, or fill it.",
    "source_gone": "Nothing: the object was deleted. Upload it again if it is wanted.",
    "blob_missing": "Upload the file again; its bytes are not in the blob store any more.",
    "timeout": "Use smaller files, or raise PRISMHOUSE_COMPUTE__CALL_TIMEOUT_SECONDS.",
    "process_killed": "Use smaller files, or give the worker more memory; then retry with retry_mode all.",
    "out_of_memory": "Use smaller files, or give the worker more memory; then retry with retry_mode all.",
    "extractor_error": "Report it with the message; the other rows of the batch are not affected.",
    "bad_vector": "Check the input for values that a model cannot take, such as an empty or damaged picture.",
    "too_many_chunks": "Raise chunk_size, lower chunk_overlap, or split the text.",
}


def category(group: FailureGroup) -> str:
    """Return the API's category of errors."""
    match group.error_type:
        case ErrorType.RESOURCE:
            return "resource"
        case ErrorType.TRANSIENT:
            return "network"
        case _:
            return "runtime" if group.code in _OURS or group.code == "blob_missing" else "validation"


def suggestion(group: FailureGroup) -> str:
    """Return what the user can do."""
    if (known := _SUGGESTIONS.get(group.code)) is not None:
        return known
    match group.error_type:
        case ErrorType.TRANSIENT:
            return "Retry the batch: POST .../retry runs the failed rows again."
        case ErrorType.RESOURCE:
            return "Use smaller files or give the worker more memory; then retry with retry_mode all."
        case _:
            return "Correct the input of these rows, then retry with retry_mode all."


def detail(group: FailureGroup, *, component: str | None) -> dict[str, Any]:
    """Return a group of failures as one error; `component` is the extractor that met it."""
    return {
        "error_type": category(group),
        "message": group.message,
        "component": component,
        "stage": group.stage,
        "timestamp": iso(group.first_at),
        "affected_document_ids": list(group.source_ids),
        "affected_count": group.number,
        "recovery_suggestion": suggestion(group),
        "metadata": {
            "code": group.code,
            "row_error_type": group.error_type,
            "collection_id": group.collection_id,
            "attempts": group.most_attempts,
            "last_at": iso(group.last_at),
        },
    }


def summary(groups: Iterable[FailureGroup]) -> dict[str, int] | None:
    """Return failed rows and parts by category; None when there are none."""
    found: dict[str, int] = {}
    for group in groups:
        name = category(group)
        found[name] = found.get(name, 0) + group.number
    return found or None
