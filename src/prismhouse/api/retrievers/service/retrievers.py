"""Create, find, change, copy and delete retrievers; run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from prismhouse.api.audit.model import Action, changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.documents.links import LinkBlob
from prismhouse.api.models.service import QueryEmbedders
from prismhouse.api.retrievers import store
from prismhouse.api.retrievers.model.definition import Retriever, dependencies_of, fusion_of
from prismhouse.api.retrievers.model.inputs import input_fields
from prismhouse.api.retrievers.schemas import (
    AdhocExecute,
    CloneRetriever,
    CreateRetriever,
    ExecuteBatch,
    ExecuteRetriever,
    ListRetrievers,
    PatchRetriever,
    SearchFeatures,
)
from prismhouse.api.retrievers.service.compile import Collections, Compiled, compile_definition
from prismhouse.api.retrievers.service.errors import (
    EmptyChange,
    ExecutionNotFound,
    RetrieverNameTaken,
    RetrieverNotFound,
)
from prismhouse.api.retrievers.service.execute import Executor
from prismhouse.api.retrievers.service.log import ExecutionLog
from prismhouse.api.retrievers.service.several import adhoc_of, execute_batch
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import new_id
from prismhouse.query.filters import MAX_DEPTH, parse
from prismhouse.query.stages.port import Embedder, StageRecord
from prismhouse.query.stages.registry import STAGES
from prismhouse.storage.postgres.database import Database, NamespaceReader, Record, Writer

__all__ = ["RetrieverPage", "Retrievers"]

_KEPT = (
    "description",
    "visibility",
    "marketplace_listing_id",
    "requires_subscription",
    "tags",
    "metadata",
    "display_config",
    "cache_config",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverPage:
    """Some retrievers and how many there are."""

    results: Sequence[Retriever]
    total: int


class Retrievers:
    """Retrievers of a namespace. Call `close` at shutdown: it stores the last execution records."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        embedder: Embedder,
        filter_depth: int = MAX_DEPTH,
        audit: Audit | None = None,
        link_blob: LinkBlob | None = None,
        models: QueryEmbedders | None = None,
    ) -> None:
        self._db = db
        self._audit = audit or Audit(db)
        self._filter_depth = filter_depth
        self._collections = collections
        self._log = ExecutionLog(db)
        self._executor = Executor(
            db, collections, embedder, self._log, filter_depth=filter_depth, link_blob=link_blob, models=models
        )

    async def close(self) -> None:
        """Store what the record of runs still holds."""
        await self._log.close()

    # Definitions

    async def create(self, scope: Scope, request: CreateRetriever, *, by: str | None) -> Retriever:
        """Check the pipeline against its collections and store it as version 1."""
        definition: dict[str, Any] = {name: getattr(request, name) for name in _KEPT}
        definition |= {
            "visibility": request.visibility,
            "tags": request.tags or [],
            "stages": request.stages,
            "collection_identifiers": request.collection_identifiers,
            "input_schema": request.input_schema or {},
            "budget_limits": request.budget_limits.model_dump() if request.budget_limits else {},
        }
        return await self._insert(scope, request.retriever_name, definition, by)

    async def _insert(self, scope: Scope, name: str, definition: dict[str, Any], by: str | None) -> Retriever:
        _storable({"retriever_name": name, **definition})
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            checked = await self._checked(tx, scope, definition)
            record = await store.insert(tx, retriever_id=new_id("ret"), name=name, definition=checked, by=by)
            if record is None:
                raise RetrieverNameTaken(retriever_name=name)
            await self._record(unit, scope, "retriever_created", record, {"retriever_name": name})
            return Retriever.from_record(record)

    async def _checked(self, tx: NamespaceReader, scope: Scope, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition as it is stored: canonical stages, collection ids, what it depends on."""
        compiled = await compile_definition(tx, self._collections, scope, definition)
        stages = compiled.pipeline.stages
        rest = {key: value for key, value in definition.items() if key not in {"collection_identifiers", "stages"}}
        return {
            **rest,
            "stages": [spec.wire for spec in stages],
            "collection_ids": list(compiled.collection_ids) if definition.get("collection_identifiers") else [],
            "input_schema": input_fields(definition.get("input_schema")),
            "fusion": fusion_of(stages),
            "feature_dependencies": dependencies_of(stages),
        }

    async def read(self, scope: Scope, identifier: str) -> Retriever:
        """Return one by id or name; raise RetrieverNotFound."""
        async with self._db.read() as unit:
            found = Retriever.from_record(await _found(unit.within(scope.namespace_id), identifier))
        await self._audit.note_read(
            scope, action="retriever_accessed", resource_type="retriever", resource_id=found.retriever_id
        )
        return found

    async def _record(
        self, tx: Writer, scope: Scope, action: Action, record: Record, changes: Mapping[str, Any]
    ) -> None:
        await self._audit.record(
            tx,
            scope,
            action=action,
            resource_type="retriever",
            resource_id=record["retriever_id"],
            changes=changes,
        )

    async def _note_query(self, scope: Scope, identifier: str | None) -> None:
        if not scope.reads_audited:
            return
        retriever_id = "adhoc"
        if identifier is not None:
            async with self._db.read() as unit:
                retriever_id = (await _found(unit.within(scope.namespace_id), identifier))["retriever_id"]
        await self._audit.note_read(
            scope, action="retriever_queried", resource_type="retriever", resource_id=retriever_id
        )

    async def list_retrievers(self, scope: Scope, request: ListRetrievers, page: Page) -> RetrieverPage:
        """Return a page, newest first unless sorts are given. `*` in `search` may stand for anything at its ends."""
        wanted = parse(request.filters, max_depth=self._filter_depth, case_sensitive=request.case_sensitive)
        async with self._db.read() as unit:
            rows = await store.list_page(
                unit.within(scope.namespace_id),
                search=(request.search or "").strip("*") or None,
                case_sensitive=request.case_sensitive,
                filters=wanted,
                sorts=_sorts(request),
                limit=page.limit,
                offset=page.offset,
            )
        total = rows[0]["matching"] if rows else 0
        return RetrieverPage(results=[Retriever.from_record(row) for row in rows], total=total)

    async def patch(self, scope: Scope, identifier: str, request: PatchRetriever, *, by: str | None) -> Retriever:
        """Store the change as the next version; a change of stages or collections is checked as at creation."""
        changes = request.model_dump(exclude_unset=True)
        if not changes:
            raise EmptyChange
        _storable(changes)
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            before = Retriever.from_record(await _found(tx, identifier, lock=True))
            name = changes.pop("retriever_name", None) or before.name
            definition = {**before.definition, "collection_identifiers": before.definition["collection_ids"]}
            if changes.get("input_schema") is not None:
                _check_compatible(definition["input_schema"], input_fields(changes["input_schema"]))
            definition |= {key: value for key, value in changes.items() if value is not None or key in _KEPT}
            definition["visibility"] = definition.get("visibility") or "private"
            definition.pop("collection_ids")
            checked = await self._checked(tx, scope, definition)
            try:
                record = await store.update(tx, retriever_id=before.retriever_id, name=name, definition=checked, by=by)
            except psycopg.errors.UniqueViolation as error:
                raise RetrieverNameTaken(retriever_name=name) from error
            if record is None:
                raise RetrieverNotFound(identifier)
            # Stages may hold credentials: the log has which keys changed, the versions tell the rest.
            differences = changed({"retriever_name": before.name}, {"retriever_name": name})
            differences["version"] = {"old": before.version, "new": record["version"]}
            differences["changed_keys"] = sorted(changed(before.definition, checked))
            await self._record(unit, scope, "retriever_updated", record, differences)
            return Retriever.from_record(record)

    async def clone(
        self, scope: Scope, identifier: str, request: CloneRetriever, *, by: str | None
    ) -> tuple[Retriever, Retriever]:
        """Return the copy and its source."""
        source = await self.read(scope, identifier)
        definition = {**source.definition, "collection_identifiers": source.definition["collection_ids"]}
        changes = request.model_dump(exclude_unset=True)
        definition |= {key: value for key, value in changes.items() if value is not None}
        definition.pop("retriever_name")
        definition.pop("collection_ids")
        return await self._insert(scope, request.retriever_name, definition, by), source

    async def delete(self, scope: Scope, identifier: str) -> Retriever:
        """Remove a retriever with its executions."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            record = await _found(tx, identifier)
            await store.delete(tx, record["retriever_id"])
            await self._record(
                unit, scope, "retriever_deleted", record, {"retriever_name": Retriever.from_record(record).name}
            )
            return Retriever.from_record(record)

    # Runs

    async def execute(
        self, scope: Scope, identifier: str, request: ExecuteRetriever, *, legacy_results: bool = False
    ) -> bytes:
        """Return the answer of a run as JSON."""
        result = await self._executor.execute(scope, identifier, request, legacy_results=legacy_results)
        await self._note_query(scope, identifier)
        return result

    async def execute_adhoc(self, scope: Scope, request: AdhocExecute) -> bytes:
        """Return the answer of a pipeline that is not stored."""
        result = await self._executor.execute_adhoc(scope, request)
        await self._note_query(scope, None)
        return result

    async def execute_batch(self, scope: Scope, identifier: str, request: ExecuteBatch) -> bytes:
        """Return the answers of several queries to one retriever as JSON."""
        result = await execute_batch(self._executor, scope, identifier, request)
        await self._note_query(scope, identifier)
        return result

    async def search_features(self, scope: Scope, request: SearchFeatures) -> bytes:
        """Return the nearest documents of one feature as JSON; nothing is stored."""
        result = await self._executor.execute_adhoc(scope, adhoc_of(request), default_limit=request.top_k)
        await self._note_query(scope, None)
        return result

    async def plan(self, scope: Scope, identifier: str) -> tuple[Retriever, Compiled]:
        """Return a retriever and its compiled form, without running it."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            retriever = Retriever.from_record(await _found(tx, identifier))
            definition = {**retriever.definition, "collection_identifiers": retriever.definition["collection_ids"]}
            return retriever, await compile_definition(tx, self._collections, scope, definition)

    async def executions(
        self, scope: Scope, identifier: str | None, *, status: str | None, page: Page
    ) -> tuple[list[Record], int]:
        """Return past runs, newest first, and how many there are; without a retriever, the ad hoc ones."""
        await self._log.flush()
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            retriever_id = (await _found(tx, identifier))["retriever_id"] if identifier is not None else None
            rows = await store.list_executions(
                tx, retriever_id=retriever_id, status=status, limit=page.limit, offset=page.offset
            )
        return rows, rows[0]["matching"] if rows else 0

    async def execution(self, scope: Scope, identifier: str | None, execution_id: str) -> Record:
        """Return one past run; raise ExecutionNotFound."""
        await self._log.flush()
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            retriever_id = (await _found(tx, identifier))["retriever_id"] if identifier is not None else None
            record = await store.find_execution(tx, retriever_id=retriever_id, execution_id=execution_id)
        if record is None:
            raise ExecutionNotFound(execution_id)
        return record

    def stages(self, category: str | None) -> list[StageRecord]:
        """Return the stages that can be used."""
        wanted = "reduce" if category == "group" else category
        return [record for record in STAGES.values() if wanted in (None, record.category)]


async def _found(tx: NamespaceReader, identifier: str, *, lock: bool = False) -> Record:
    record = await store.find(tx, identifier, lock=lock)
    if record is None:
        raise RetrieverNotFound(identifier)
    return record


def _sorts(request: ListRetrievers) -> list[tuple[str, bool]]:
    asked = request.sorts or ([request.sort] if request.sort else [])
    if any(option.field not in store.SORTABLE for option in asked):
        message = f"retrievers are sorted by {', '.join(store.SORTABLE)}"
        raise Invalid([field_fault(["body", "sorts" if request.sorts else "sort", "field"], message)])
    return [(option.field, option.direction == "desc") for option in asked] or [("created_at", True)]


def _storable(given: Mapping[str, Any]) -> None:
    faults = unstorable(dict(given), ["body"])
    if faults:
        raise Invalid(faults)


def _check_compatible(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise Invalid naming every change that would break callers."""
    faults: list[FieldFault] = []
    for name, field in before.items():
        location = ["body", "input_schema", name]
        if name not in after:
            faults.append(field_fault(location, "must not be removed; clone the retriever instead"))
        elif after[name]["type"] != field["type"]:
            faults.append(field_fault(location, f"must stay of type {field['type']}; clone the retriever instead"))
    for name, field in after.items():
        if field.get("required") and not (before.get(name) or {}).get("required"):
            faults.append(field_fault(["body", "input_schema", name], "must not become required"))
    if faults:
        raise Invalid(faults)
