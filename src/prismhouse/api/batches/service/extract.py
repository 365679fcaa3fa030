"""Rows through the compute pool: what kills a process, hangs or raises is found among its neighbours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from prismhouse.api.batches.service.gather import gathered
from prismhouse.api.batches.service.parts import Parts
from prismhouse.engine.extractors.bounds import bounded
from prismhouse.engine.extractors.port import ErrorType, ExtractorRecord, Part, Row, RowFailure, RowResult
from prismhouse.engine.inference.lent import LentModel
from prismhouse.engine.pipeline.cost import Rate
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.compute.port import ComputeTimedOut, WorkerLost

__all__ = ["Extracted", "Extraction", "is_transient", "size_of"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of a row, and how often it was tried."""

    result: RowResult
    attempts: int


@dataclass(slots=True, kw_only=True)
class Extraction:
    """Calls for rows of one collection. `measured` sums what they cost; `isolated` names rows that had to run alone."""

    parts: Parts
    namespace_id: NamespaceId
    collection: Any
    record: ExtractorRecord
    lent: Sequence[LentModel] = ()
    attempt: int = 1
    measured: Rate = field(default_factory=Rate)
    isolated: list[str] = field(default_factory=list)

    async def run(self, rows: Sequence[Row]) -> dict[str, Extracted]:
        """Return what became of each row, by row id. When they fail together, each runs once more, alone;
        one whose process dies then too, twice.

        Raises:
            WarehouseError: when extraction as a whole cannot run (a model is missing), which no row is to blame for.
        """
        began = time.perf_counter()
        rows, failed = await gathered(self.parts, self.record, self.collection.parameters, rows)
        if self.record.gatherer is not None:
            self.measured += Rate(time.perf_counter() - began)
        results = [*failed, *await self._run(rows)]
        return {result.row_id: Extracted(result, self.attempt) for result in results}

    async def _run(self, rows: Sequence[Row]) -> list[RowResult]:
        if not rows:
            return []
        try:
            return await self._call(rows)
        except (WorkerLost, ComputeTimedOut, MemoryError) as error:
            # Once more even if it was alone: the death may have had another cause, such as a neighbour's hunger.
            retry = len(rows) > 1 or isinstance(error, WorkerLost)
            return await self._one_by_one(rows) if retry else [_failed(rows[0], _resource_failure(error))]
        except WarehouseError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded, and it becomes a failed row
            return await self._one_by_one(rows) if len(rows) > 1 else [_raised(rows[0], error)]

    async def _one_by_one(self, rows: Sequence[Row]) -> list[RowResult]:
        return [await self._alone(row) for row in rows]

    async def _alone(self, row: Row, *, again: bool = False) -> RowResult:
        try:
            return (await self._call([row]))[0]
        except WorkerLost as error:
            # The first death may have been a neighbour's doing, and this one the machine's: only a second one tells.
            if not again:
                return await self._alone(row, again=True)
            failure = _failed(row, _resource_failure(error))
        except (ComputeTimedOut, MemoryError) as error:
            failure = _failed(row, _resource_failure(error))
        except WarehouseError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded, and it becomes a failed row
            failure = _raised(row, error)
        self.isolated.append(row.row_id)
        return failure

    async def _call(self, rows: Sequence[Row]) -> list[RowResult]:
        extraction, parts = self.parts.extraction, self.parts
        async with parts.turns.turn(self.namespace_id):
            began = time.perf_counter()
            results: list[RowResult] = await parts.compute.run(
                extraction.function,
                self.collection.extractor_id,
                dict(self.collection.parameters),
                list(rows),
                extraction.threads,
                extraction.cache_dir,
                parts.limits.image_pixels,
                extraction.media,
                parts.limits.row_documents,
                extraction.models,
                *([self.lent] if self.lent else []),
                group=self.collection.extractor_id,
            )
            seconds = time.perf_counter() - began
        documents = sum(len(result.documents) for result in results)
        self.measured += Rate(seconds, len(rows), sum(map(size_of, rows)), documents)
        return _complete(rows, results, most_documents=parts.limits.row_documents)


def size_of(row: Row) -> int:
    """Return the bytes that a row brings along: of its texts, and of its files."""
    given = [part for value in row.inputs.values() for part in ([value] if isinstance(value, Part) else value)]
    return sum(part.size_bytes or len(part.text or "") for part in given)


def is_transient(result: RowResult) -> bool:
    """Whether something failed that may pass by itself."""
    failures = [*result.partial_failures, *([result.failure] if result.failure else [])]
    return any(failure.error_type is ErrorType.TRANSIENT for failure in failures)


def _complete(rows: Sequence[Row], results: Sequence[RowResult], *, most_documents: int) -> list[RowResult]:
    """A row that came back without a result is a failure, not a silence."""
    known = {result.row_id: _checked(result, most_documents) for result in results}
    lost = RowFailure(
        stage="extract",
        code="no_result",
        message="The extractor gave no result for it.",
        error_type=ErrorType.PERMANENT,
    )
    return [known.get(row.row_id) or _failed(row, lost) for row in rows]


def _checked(result: RowResult, most_documents: int) -> RowResult:
    """A vector that holds no number could not be stored, and would take its whole chunk along; so would too many."""
    if (result := bounded(result, most_documents)).failure is not None:
        return result
    vectors = [vector for item in result.documents for vector in item.vectors.values()]
    if all(np.isfinite(vector).all() for vector in vectors):
        return result
    message = "The model gave a vector that holds no number for it."
    failure = RowFailure(stage="extract", code="bad_vector", message=message, error_type=ErrorType.PERMANENT)
    return RowResult(row_id=result.row_id, failure=failure)


def _raised(row: Row, error: Exception) -> RowResult:
    _log.warning("extractor raised", row_id=row.row_id, error=type(error).__name__)
    message = f"The extractor failed on it: {type(error).__name__}: {error}"
    kind = ErrorType.PERMANENT
    return _failed(row, RowFailure(stage="extract", code="extractor_error", message=message, error_type=kind))


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
