"""Running a retriever: two round trips to the database, one for the caller and one for the search."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from prismhouse.api.documents.links import Link, LinkBlob, link_document
from prismhouse.api.models.service import QueryEmbedders
from prismhouse.api.retrievers import store
from prismhouse.api.retrievers.model import CheckedInputs, ResultPage, check_inputs, page_answer, result_page
from prismhouse.api.retrievers.schemas import AdhocExecute, ExecuteRetriever
from prismhouse.api.retrievers.service.compile import Collections, Compiled, compile_definition
from prismhouse.api.retrievers.service.errors import RetrieverNotFound
from prismhouse.api.retrievers.service.log import ExecutionLog
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.storable import unstorable
from prismhouse.kit import json
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import new_id
from prismhouse.query.hits import Hit
from prismhouse.query.pipeline import Outcome, RunRequest
from prismhouse.query.search import Window
from prismhouse.query.stages.port import Embedder, NotBuilt
from prismhouse.storage.postgres.database import Database, NamespaceReader

__all__ = ["Executor", "RetrieverKeepsChanging"]

_CACHED = 1_000
_ATTEMPTS = 5


class RetrieverKeepsChanging(WarehouseError):
    """The retriever {id} changed again and again while it ran."""

    code = Code.UNAVAILABLE
    hint = "Try again."


class Executor:
    """Keeps compiled retrievers by the id or name they were asked by.

    A search answers with the retriever's version of that moment: a compiled form that turns out to be older, in
    whatever process the change was made, is compiled anew and run again.
    """

    def __init__(
        self,
        db: Database,
        collections: Collections,
        embedder: Embedder,
        log: ExecutionLog,
        *,
        filter_depth: int,
        link_blob: LinkBlob | None = None,
        models: QueryEmbedders | None = None,
    ) -> None:
        self._models = models
        self._link_blob = link_blob
        self._db = db
        self._filter_depth = filter_depth
        self._collections = collections
        self._embedder = embedder
        self._log = log
        self._compiled: OrderedDict[tuple[str, str], Compiled] = OrderedDict()

    async def execute(
        self, scope: Scope, identifier: str, request: ExecuteRetriever, *, legacy_results: bool = False
    ) -> bytes:
        """Return the answer of a stored retriever as JSON."""
        _refuse(request, ("stream", "expand", "target_collection_id"))
        for _ in range(_ATTEMPTS):
            async with self._db.read() as unit:
                tx = unit.within(scope.namespace_id)
                compiled = self._compiled.get((scope.namespace_id, identifier))
                fresh = compiled is None
                if compiled is None:
                    compiled = await self._compile(tx, scope, identifier)
                try:
                    return await self._answer(tx, compiled, request, legacy_results=legacy_results, fresh=fresh)
                except _StaleError:
                    self._compiled.pop((scope.namespace_id, identifier), None)
        raise RetrieverKeepsChanging(id=identifier)

    async def prepare(self, scope: Scope, identifier: str) -> None:
        """Compile the retriever unless that was done; raise what makes it impossible to run."""
        if (scope.namespace_id, identifier) not in self._compiled:
            async with self._db.read() as unit:
                await self._compile(unit.within(scope.namespace_id), scope, identifier)

    async def execute_adhoc(self, scope: Scope, request: AdhocExecute, *, default_limit: int | None = None) -> bytes:
        """Return the answer of a pipeline that is not stored."""
        _refuse(request, ("stream",))
        definition = {
            "stages": request.stages,
            "collection_identifiers": request.collection_identifiers,
            "input_schema": request.input_schema,
            "budget_limits": request.budget_limits.model_dump() if request.budget_limits else None,
        }
        if faults := unstorable(definition, ["body"]):
            raise Invalid(faults)
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            compiled = await compile_definition(tx, self._collections, scope, definition)
            if default_limit is not None:
                compiled = replace(compiled, default_limit=default_limit)
            return await self._answer(tx, compiled, request, legacy_results=False, fresh=True)

    async def _compile(self, tx: NamespaceReader, scope: Scope, identifier: str) -> Compiled:
        record = await store.find(tx, identifier)
        if record is None:
            raise RetrieverNotFound(identifier)
        definition = record["definition"]
        compiled = await compile_definition(
            tx,
            self._collections,
            scope,
            {**definition, "collection_identifiers": definition["collection_ids"]},
            retriever_id=record["retriever_id"],
            version=record["version"],
        )
        if compiled.fixed:
            self._compiled[scope.namespace_id, identifier] = compiled
            while len(self._compiled) > _CACHED:
                self._compiled.popitem(last=False)
        return compiled

    async def _answer(
        self,
        tx: NamespaceReader,
        compiled: Compiled,
        request: ExecuteRetriever | AdhocExecute,
        *,
        legacy_results: bool,
        fresh: bool,
    ) -> bytes:
        started = time.perf_counter()
        execution_id = new_id("exec")
        try:
            inputs = check_inputs(compiled.inputs, request.inputs or {})
            digest = _digest(compiled, inputs, request)
            page = result_page(
                request.pagination, _limit(request), default_limit=compiled.default_limit, fingerprint=digest[:16]
            )
            run = RunRequest(
                inputs=inputs.values,
                filters=request.filters,
                window=Window(start=page.offset, stop=page.offset + page.limit),
                retriever_id=compiled.retriever_id,
                return_vectors=request.return_vectors,
                max_time_ms=compiled.budget.get("max_time_ms"),
                filter_depth=self._filter_depth,
            )
            embedder = self._models.within(tx.namespace_id, self._embedder) if self._models else self._embedder
            outcome = await compiled.pipeline.run(tx, run, embedder)
        except WarehouseError as error:
            await self._check_version(tx, compiled, fresh=fresh, seen=None)
            self._note(tx, compiled, execution_id, started, status="failed", returned=0, digest="", error=error.message)
            raise
        await self._check_version(tx, compiled, fresh=fresh, seen=outcome.version)
        hits = outcome.hits[page.offset : page.offset + page.limit]
        status = "degraded" if outcome.report.degraded else "completed"
        self._note(tx, compiled, execution_id, started, status=status, returned=len(hits), digest=digest, error=None)
        head = _head(compiled, execution_id, status, outcome, page, len(hits), inputs, request)
        if request.return_presigned_urls and self._link_blob is not None:
            _link(hits, partial(self._link_blob, tx.namespace_id))
        documents = b",".join([hit.json() for hit in hits])
        legacy = b',"results":[' + documents + b"]" if legacy_results else b""
        return b"".join((json.dumps(head)[:-1], b',"documents":[', documents, b"]", legacy, b"}"))

    async def _check_version(self, tx: NamespaceReader, compiled: Compiled, *, fresh: bool, seen: int | None) -> None:
        """Raise _StaleError when a remembered form is not the retriever's present one."""
        if fresh or compiled.retriever_id is None:
            return
        if seen is None:
            record = await store.find(tx, compiled.retriever_id)
            seen = record["version"] if record else 0
        if seen != compiled.version:
            raise _StaleError

    def _note(
        self,
        tx: NamespaceReader,
        compiled: Compiled,
        execution_id: str,
        started: float,
        *,
        status: str,
        returned: int,
        digest: str,
        error: str | None,
    ) -> None:
        self._log.add(
            {
                "namespace_id": tx.namespace_id,
                "execution_id": execution_id,
                "retriever_id": compiled.retriever_id,
                "status": status,
                "duration_ms": round((time.perf_counter() - started) * 1000, 3),
                "returned": returned,
                "inputs_hash": digest,
                "error": error,
                "created_at": utc_now(),
            }
        )


def _link(hits: Sequence[Hit], link: Link) -> None:
    for hit in hits:
        link_document(hit.document, link)
        hit.changed()


class _StaleError(Exception):
    """The compiled form is older than the retriever."""


def _refuse(request: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(request, name):
            raise NotBuilt(what=f"`{name}`", instead="Leave it out.")


def _limit(request: ExecuteRetriever | AdhocExecute) -> int | None:
    if None not in (request.limit, request.page_size) and request.limit != request.page_size:
        raise Invalid([field_fault(["body", "limit"], "disagrees with page_size; send one of them")])
    given = request.limit or request.page_size or (request.settings or {}).get("limit")
    return given if isinstance(given, int) and 1 <= given <= 500 else None


def _digest(compiled: Compiled, inputs: CheckedInputs, request: ExecuteRetriever | AdhocExecute) -> str:
    stages = None if compiled.retriever_id else [spec.wire for spec in compiled.pipeline.stages]
    asked = [compiled.retriever_id, stages, inputs.values, request.filters]
    try:
        raw = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Invalid([field_fault(["body", "inputs"], f"cannot be used: {error}")]) from error
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()


def _head(
    compiled: Compiled,
    execution_id: str,
    status: str,
    outcome: Outcome,
    page: ResultPage,
    returned: int,
    inputs: CheckedInputs,
    request: ExecuteRetriever | AdhocExecute,
) -> dict[str, Any]:
    report = outcome.report
    warnings = list(report.warnings)
    if request.pagination is not None and request.limit is not None:
        warnings.append("pagination was given, so limit was not used.")
    head: dict[str, Any] = {
        "retriever_id": compiled.retriever_id or "",
        "execution_id": execution_id,
        "status": status,
        "pagination": page_answer(page, returned=returned, total=len(outcome.hits)),
        "stage_statistics": {
            "stages": outcome.statistics,
            "total_time_ms": round(outcome.total_ms, 3),
            "credits_used": 0.0,
            "server_service_ms": round(outcome.total_ms, 3),
        },
        "budget": {**_present(compiled.budget), "credits_used": 0.0, "time_used_ms": round(outcome.total_ms, 3)},
        "optimization_applied": any(s["metadata"].get("pushed_down") for s in outcome.statistics.values()),
        "cache_hit": False,
        "consistency_mode": "strong",
    }
    ignored = [name for name in inputs.undeclared if name not in compiled.used_inputs]
    if inputs.inferred or ignored or report.relaxations:
        head["interpretation"] = {
            "provided_input_keys": sorted(request.inputs or {}),
            "inferred_inputs": inputs.inferred,
            "ignored_input_keys": ignored,
            "relaxations": report.relaxations,
        }
    if compiled.retriever_id is None:
        head |= {"execution_metadata": {"retriever_persisted": False}, "cache_status": "disabled"}
    return head | _present({"warnings": warnings, "degraded": report.degraded, "limits": report.limits})


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value not in (None, [])}
