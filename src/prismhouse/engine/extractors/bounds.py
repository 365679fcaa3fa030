"""What a row may give at most."""

from __future__ import annotations

from prismhouse.engine.extractors.port import ErrorType, RowFailure, RowResult

__all__ = ["bounded"]


def bounded(result: RowResult, most_documents: int) -> RowResult:
    """Return the result; a failure in its place when it has more documents than that."""
    if len(result.documents) <= most_documents:
        return result
    message = (
        f"It gives {len(result.documents)} documents; {most_documents} are allowed. Send smaller parts of it, or"
        " raise PRISMHOUSE_LIMITS__ROW_DOCUMENTS."
    )
    failure = RowFailure(stage="extract", code="too_many_documents", message=message, error_type=ErrorType.PERMANENT)
    return RowResult(row_id=result.row_id, failure=failure)
