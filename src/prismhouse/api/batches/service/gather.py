"""What rows need beyond what they bring, such as the pages of a site: gathered before they are computed.

It takes minutes of waiting and no computing, so it has processes of its own: no extraction process waits for a network,
and on a cluster the requests leave from here, where the rules for outgoing requests are set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from prismhouse.api.batches.service.parts import Parts
from prismhouse.engine.extractors.port import ErrorType, ExtractorRecord, Row, RowFailure, RowResult
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.compute.port import ComputeTimedOut, WorkerLost

__all__ = ["gathered"]

# Beside what the parameter grants: parsing what came last, and handing it over.
_GRACE_SECONDS = 60.0
_log = structlog.get_logger(__name__)


async def gathered(
    parts: Parts,
    namespace_id: NamespaceId,
    record: ExtractorRecord,
    parameters: Mapping[str, Any],
    rows: Sequence[Row],
) -> tuple[list[Row], list[RowResult]]:
    """Return the rows with what they need, and the results of those that failed. Namespaces take turns.

    Raises:
        WarehouseError: nothing can be gathered at all (a package is missing).
    """
    if record.gatherer is None:
        return list(rows), []

    async def in_turn(row: Row) -> Row | RowResult:
        async with parts.gathering_turns.turn(namespace_id):
            return await _one(parts, record, parameters, row)

    try:
        async with asyncio.TaskGroup() as group:  # where one raises, no other goes on unseen for minutes
            tasks = [group.create_task(in_turn(row)) for row in rows]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    made = [task.result() for task in tasks]
    return [one for one in made if isinstance(one, Row)], [one for one in made if isinstance(one, RowResult)]


async def _one(
    parts: Parts, record: ExtractorRecord, parameters: Mapping[str, Any], row: Row, *, again: bool = False
) -> Row | RowResult:
    allowed = float(parameters.get(record.gathering_parameter or "") or 0)
    try:
        done: Row | RowResult = await parts.gatherers.run(
            record.gatherer or "",
            dict(parameters),
            row,
            parts.gathering,
            timeout_seconds=allowed + _GRACE_SECONDS,
            group=record.gatherer or "",
        )
    except ComputeTimedOut as error:
        code, message = "timeout", f"It took longer than {error.details['timeout_seconds']} s and was stopped."
    except WorkerLost:
        if not again:  # the first death may have been the machine's doing
            return await _one(parts, record, parameters, row, again=True)
        code, message = "process_killed", "It ended the crawling process each time (out of memory, or a crash)."
    except MemoryError:
        code, message = "out_of_memory", "There was not enough memory for its pages. Lower max_pages."
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded, and it becomes a failed row
        _log.warning("gathering raised", row_id=row.row_id, exc_info=error)
        code, message = "unexpected_error", f"It could not be gathered: {type(error).__name__}: {error}"
        failure = RowFailure(stage="fetch", code=code, message=message, error_type=ErrorType.PERMANENT)
        return RowResult(row_id=row.row_id, failure=failure)
    else:
        return done
    failure = RowFailure(stage="fetch", code=code, message=message, error_type=ErrorType.RESOURCE)
    return RowResult(row_id=row.row_id, failure=failure)
