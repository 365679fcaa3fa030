"""Several queries to one retriever, and one search without any: both are runs of the executor."""

from __future__ import annotations

import asyncio
from typing import Any

from prismhouse.api.retrievers.schemas import (
    AdhocExecute,
    BatchSettings,
    ExecuteBatch,
    ExecuteRetriever,
    SearchFeatures,
)
from prismhouse.api.retrievers.service.errors import TooManyQueries
from prismhouse.api.retrievers.service.execute import Executor
from prismhouse.api.web.caller import Scope
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.query.stages.port import NotBuilt

__all__ = ["adhoc_of", "execute_batch"]

_MOST_QUERIES = 16
_MODES = {"text": "text", "vector": "vector", "image": "content", "url": "content"}


async def execute_batch(executor: Executor, scope: Scope, identifier: str, request: ExecuteBatch) -> bytes:
    """Return the answers of all queries as JSON, in their order. A query that fails has an error, the others run.

    A retriever that is not there, or cannot run at all, fails the whole.
    """
    if len(request.queries) > _MOST_QUERIES:
        raise TooManyQueries(given=len(request.queries), most=_MOST_QUERIES)
    settings = request.settings or BatchSettings()
    if request.stream or settings.max_chunks is not None:
        raise NotBuilt(what="`stream`" if request.stream else "`settings.max_chunks`", instead="Leave it out.")
    await executor.prepare(scope, identifier)
    turn = asyncio.Semaphore(request.concurrency)

    async def one(index: int, query: Any) -> tuple[bytes, bool]:
        asked = ExecuteRetriever(
            inputs=query.inputs,
            filters=query.filters,
            limit=settings.limit,
            return_vectors=request.return_vectors,
            return_presigned_urls=request.return_presigned_urls,
        )
        try:
            async with turn:
                found = await executor.execute(scope, identifier, asked)
        except WarehouseError as error:
            return json.dumps(_failure(index, error)), False
        return b'{"index":%d,"error":null,' % index + found[1:], True

    done = await asyncio.gather(*(one(index, query) for index, query in enumerate(request.queries)))
    succeeded = sum(good for _, good in done)
    counts = {"total": len(done), "succeeded": succeeded, "failed": len(done) - succeeded}
    return b'{"results":[' + b",".join(content for content, _ in done) + b"]," + json.dumps(counts)[1:]


def _failure(index: int, error: WarehouseError) -> dict[str, Any]:
    details = {key: value for key, value in error.details.items() if value is not None}
    fault = {"message": error.message, "type": error.code.wire_type, "code": error.wire_code, "details": details}
    return {"index": index, "status": "failed", "documents": [], "error": fault}


def adhoc_of(request: SearchFeatures) -> AdhocExecute:
    """Return the search as a pipeline of one stage; raise Invalid when the query lacks what its mode names."""
    mode = request.query.input_mode
    value = getattr(request.query, mode)
    if not value:
        raise Invalid([field_fault(["body", "query", mode], f"is required with input_mode {mode}", "missing")])
    # As an input, so that braces in a text are no template.
    search = {
        "feature_uri": request.feature_uri,
        "query": {"input_mode": _MODES[mode], "value": "{{INPUT.query}}"},
        "top_k": request.top_k,
    }
    parameters = {"searches": [search], "final_top_k": request.top_k}
    return AdhocExecute(
        collection_identifiers=request.collection_identifiers,
        stages=[{"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": parameters}}],
        inputs={"query": value},
        filters=request.filters,
    )
