"""Rows through the compute pool: what fails for a passing reason is tried again, what kills a process is found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from prismhouse.api.batches.service.parts import Parts
from prismhouse.engine.extractors.port import ErrorType, Row, RowFailure, RowResult
from prismhouse.kit.errors import WarehouseError
from prismhouse.storage.compute.port import ComputeTimedOut, WorkerLost

__all__ = ["Extracted", "extract"]

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of a row, and how often it was tried."""

    result: RowResult
    attempts: int


async def extract(
    parts: Parts, extractor_id: str, parameters: Mapping[str, Any], rows: Sequence[Row]
) -> dict[str, Extracted]:
    """Return what became of each row, by row id.

    Raises:
        WarehouseError: when extraction as a whole cannot run (a model is missing), which no row is to blame for.
    """
    done: dict[str, Extracted] = {}
    waiting = list(rows)
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(1, parts.worker.max_attempts + 1):
        results = await _run(parts, extractor_id, dict(parameters), waiting)
        done.update({result.row_id: Extracted(result, attempt) for result in results})
        waiting = [row for row in waiting if _is_transient(done[row.row_id].result)]
        if not waiting or attempt == parts.worker.max_attempts:
            break
        await asyncio.sleep(pause)
        pause = min(pause * 4, _LONGEST_PAUSE_SECONDS)
    return done


def _is_transient(result: RowResult) -> bool:
    failures = [*result.partial_failures, *([result.failure] if result.failure else [])]
    return any(failure.error_type is ErrorType.TRANSIENT for failure in failures)


async def _run(
    parts: Parts, extractor_id: str, parameters: dict[str, Any], rows: Sequence[Row], *, again: bool = False
) -> list[RowResult]:
    """Run rows together; when that fails as a whole, in halves, so that only the guilty row pays."""
    if not rows:
        return []
    extraction = parts.extraction
    try:
        results: list[RowResult] = await parts.compute.run(
            extraction.function,
            extractor_id,
            parameters,
            list(rows),
            extraction.threads,
            extraction.cache_dir,
            parts.limits.image_pixels,
            extraction.media,
            group=extractor_id,
        )
    except (WorkerLost, ComputeTimedOut, MemoryError) as error:
        if len(rows) == 1:
            # Once more: the death may have had another cause, such as a neighbour that took all memory.
            if isinstance(error, WorkerLost) and not again:
                return await _run(parts, extractor_id, parameters, rows, again=True)
            return [_failed(rows[0], _resource_failure(error))]
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded, and it becomes a failed row
        _log.warning("extractor raised", extractor_id=extractor_id, rows=len(rows), error=type(error).__name__)
        if len(rows) == 1:
            message = f"The extractor failed on it: {type(error).__name__}: {error}"
            kind = ErrorType.PERMANENT
            return [
                _failed(rows[0], RowFailure(stage="extract", code="extractor_error", message=message, error_type=kind))
            ]
    else:
        return _complete(rows, results)
    middle = len(rows) // 2
    halves = [await _run(parts, extractor_id, parameters, half) for half in (rows[:middle], rows[middle:])]
    return halves[0] + halves[1]


def _complete(rows: Sequence[Row], results: Sequence[RowResult]) -> list[RowResult]:
    """A row that came back without a result is a failure, not a silence."""
    known = {result.row_id: _with_numbers(result) for result in results}
    lost = RowFailure(
        stage="extract",
        code="no_result",
        message="The extractor gave no result for it.",
        error_type=ErrorType.PERMANENT,
    )
    return [known.get(row.row_id) or _failed(row, lost) for row in rows]


def _with_numbers(result: RowResult) -> RowResult:
    """A vector that holds no number could not be stored, and would take its whole chunk along."""
    vectors = [vector for item in result.documents for vector in item.vectors.values()]
    if all(np.isfinite(vector).all() for vector in vectors):
        return result
    message = "The model gave a vector that holds no number for it."
    failure = RowFailure(stage="extract", code="bad_vector", message=message, error_type=ErrorType.PERMANENT)
    return RowResult(row_id=result.row_id, failure=failure)


def _failed(row: Row, failure: RowFailure) -> RowResult:
    return RowResult(row_id=row.row_id, failure=failure)


def _resource_failure(error: Exception) -> RowFailure:
    if isinstance(error, ComputeTimedOut):
        code, message = "timeout", f"{error.message}"
    elif isinstance(error, WorkerLost):
        code = "process_killed"
        message = (
            "It ended the extraction process each time it ran alone (out of memory, or a crash). Try a smaller file."
        )
    else:
        code, message = "out_of_memory", "It needs more memory than there is. Try a smaller file."
    return RowFailure(stage="extract", code=code, message=message, error_type=ErrorType.RESOURCE)
